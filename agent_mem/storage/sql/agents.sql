-- migrate 1 --
-- Who works here: an agent's role, its directives, what it can do, and its configuration.
CREATE TABLE agents (
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
    agent_name text NOT NULL,
    role text,
    directives text ARRAY NOT NULL,
    capabilities text ARRAY NOT NULL,
    config jsonb NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX agents_name ON agents (owner, agent_name);

-- query listed --
-- List the agents that are registered, or one of them.
SELECT * FROM agents
WHERE owner = :owner AND deleted_at IS NULL
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
ORDER BY agent_name LIMIT :limit;

-- query seen --
-- Say when an agent was last heard of: it wrote its state, sent a signal, or got one.
SELECT max(at) AS at FROM (
    SELECT max(created_at) AS at FROM agent_state WHERE owner = :owner AND agent_name = :agent
    UNION ALL SELECT max(created_at) FROM signals WHERE owner = :owner AND sender = :agent
    UNION ALL SELECT max(created_at) FROM signal_receipts WHERE owner = :owner AND agent_name = :agent
) AS heard;
