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

-- migrate 2 --
-- When it is due, where, and what becomes of a run that fails or comes too early.
ALTER TABLE behaviors ADD COLUMN time_zone text;
ALTER TABLE behaviors ADD COLUMN retries integer NOT NULL DEFAULT 2;
ALTER TABLE behaviors ADD COLUMN backoff_s integer NOT NULL DEFAULT 10;
ALTER TABLE behaviors ADD COLUMN overlap text NOT NULL DEFAULT 'skip';
ALTER TABLE behaviors ADD COLUMN skill text;
ALTER TABLE behaviors ADD COLUMN scheduled_at timestamptz;

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

-- query of_agent --
-- List an agent's behaviors: a workflow is made of them.
SELECT * FROM behaviors WHERE owner = :owner AND agent_name = :agent AND deleted_at IS NULL
ORDER BY name LIMIT 500;

-- query note_status --
-- Note how the last run went. It is no change of the record, and does not travel: its run does.
UPDATE behaviors SET status = :status, last_run = :last_run WHERE owner = :owner AND id = :id;
