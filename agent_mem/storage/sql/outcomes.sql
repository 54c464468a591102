-- migrate 1 --
-- How a decision turned out, as somebody said at some time; each one is kept.
CREATE TABLE outcomes (
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
    decision_id uuid NOT NULL,
    agent_name text NOT NULL,
    success boolean NOT NULL,
    quality_score double precision,
    latency_ms double precision,
    error text,
    PRIMARY KEY (owner, id)
);
CREATE INDEX outcomes_decision ON outcomes (owner, decision_id, hlc);

-- query of_decision --
-- List the outcomes of a decision, forgotten or not, the first one first. The order is that of sync.
SELECT * FROM outcomes WHERE owner = :owner AND decision_id = :id
ORDER BY hlc, origin LIMIT 1000;
