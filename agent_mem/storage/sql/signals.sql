-- migrate 1 --
-- What one agent tells others: some by name, or all.
CREATE TABLE signals (
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
    sender text NOT NULL,
    targets text ARRAY NOT NULL,
    signal_type text NOT NULL,
    payload jsonb NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX signals_expires ON signals (owner, expires_at);
CREATE INDEX signals_sender ON signals (owner, sender, created_at);

-- part addressed sqlite --
-- Signals for an agent: it is named, or nobody is and another sent it.
(EXISTS (SELECT 1 FROM json_each(targets) WHERE value = CAST(:agent AS text))
   OR (json_array_length(targets) = 0 AND sender <> :agent))

-- part addressed postgres --
-- Signals for an agent: it is named, or nobody is and another sent it.
(CAST(:agent AS text) = ANY (targets) OR (cardinality(targets) = 0 AND sender <> :agent))

-- part unprocessed --
-- Signals for an agent that have not expired and that it has not processed:
owner = :owner AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
  AND {addressed}
  AND NOT EXISTS (
    SELECT 1 FROM signal_receipts r
    WHERE r.owner = :owner AND r.signal_id = signals.id AND r.agent_name = :agent
      AND r.deleted_at IS NULL AND r.processed_at IS NOT NULL
  )

-- part leased --
-- Signals that were delivered, with time left to process them:
EXISTS (
    SELECT 1 FROM signal_receipts r
    WHERE r.owner = :owner AND r.signal_id = signals.id AND r.agent_name = :agent
      AND r.deleted_at IS NULL AND r.lease_until > :now
  )

-- query waiting --
-- List what waits for an agent, in the order in which it was sent.
SELECT * FROM signals
WHERE {unprocessed} AND NOT {leased} AND (CAST(:type AS text) IS NULL OR signal_type = :type)
ORDER BY hlc, origin, id LIMIT :limit;

-- query counted --
-- Count what waits for an agent, and what it has and has not processed yet.
SELECT count(*) AS unprocessed, count(CASE WHEN {leased} THEN 1 END) AS leased
FROM signals WHERE {unprocessed};

-- query sent --
-- List what an agent has sent, the latest first.
SELECT * FROM signals
WHERE owner = :owner AND sender = :agent AND deleted_at IS NULL
  AND (CAST(:type AS text) IS NULL OR signal_type = :type)
ORDER BY hlc DESC, origin DESC, id LIMIT :limit;
