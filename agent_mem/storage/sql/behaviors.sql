-- migrate 1 --
-- Something that an agent does by itself: an action, and when it is due.
CREATE TABLE behaviors (
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
    name text NOT NULL,
    trigger_type text NOT NULL,
    schedule text,
    event_filter jsonb NOT NULL,
    action text NOT NULL,
    params jsonb NOT NULL,
    depends_on text ARRAY NOT NULL,
    timeout_s integer NOT NULL,
    enabled boolean NOT NULL,
    status text NOT NULL,
    last_run timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE UNIQUE INDEX behaviors_one ON behaviors (owner, agent_name, name);

-- query named --
-- Find a behavior by its name, an agent's own before another's.
SELECT * FROM behaviors
WHERE owner = :owner AND name = :name AND deleted_at IS NULL
ORDER BY CASE WHEN agent_name = :agent THEN 0 ELSE 1 END, id LIMIT 1;

-- query all --
-- List the behaviors.
SELECT * FROM behaviors
WHERE owner = :owner AND deleted_at IS NULL
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
ORDER BY name, agent_name LIMIT 500;
