-- migrate 1 --
-- That an agent got a signal, and what it did with it.
CREATE TABLE signal_receipts (
    owner text NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    hlc bigint NOT NULL,
    origin uuid NOT NULL,
    ver bigint,
    schema_v integer NOT NULL,
    extra jsonb NOT NULL,
    signal_id uuid NOT NULL,
    agent_name text NOT NULL,
    lease_until timestamptz,
    processed_at timestamptz,
    result jsonb NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX receipts_signal ON signal_receipts (owner, signal_id, agent_name);
CREATE INDEX receipts_agent ON signal_receipts (owner, agent_name, created_at);

-- query of_signal --
-- List what became of a signal, the first first.
SELECT * FROM signal_receipts
WHERE owner = :owner AND signal_id = :signal_id AND deleted_at IS NULL
ORDER BY hlc, origin, id LIMIT :limit;
