-- migrate 1 --
-- Something to do, and how far it is.
CREATE TABLE tasks (
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
    session_id uuid,
    agent_name text NOT NULL,
    project text,
    title text NOT NULL,
    status text NOT NULL,
    progress text,
    blockers text ARRAY NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX tasks_open ON tasks (owner, status);

-- query listed --
-- List the tasks of a status, or those that are open or all, the latest first.
SELECT * FROM tasks
WHERE owner = :owner AND deleted_at IS NULL
  AND (CAST(:status AS text) = 'all' OR status = :status
       OR (CAST(:status AS text) = 'open' AND status <> 'done'))
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
ORDER BY updated_at DESC, id LIMIT :limit;
