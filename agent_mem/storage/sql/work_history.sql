-- migrate 1 --
-- A piece of work: claimed, then done or failed; or one change of a task.
CREATE TABLE work_history (
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
    task_id uuid,
    agent_name text NOT NULL,
    project text,
    action text NOT NULL,
    signature text NOT NULL,
    input jsonb NOT NULL,
    output jsonb NOT NULL,
    success boolean,
    error_message text,
    duration_ms double precision,
    claimed_at timestamptz,
    lease_until timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX work_history_same ON work_history (owner, signature, created_at);
CREATE INDEX work_history_task ON work_history (owner, task_id, created_at);

-- query under_way --
-- List the claims on a piece of work that have not run out: the first one has it.
SELECT * FROM work_history
WHERE owner = :owner AND deleted_at IS NULL AND signature = :signature
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND success IS NULL AND lease_until > :now
ORDER BY claimed_at, id LIMIT :limit;

-- query results --
-- List what came of a piece of work: what succeeded before what failed, the latest first.
SELECT * FROM work_history
WHERE owner = :owner AND deleted_at IS NULL AND signature = :signature
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND success IS NOT NULL
ORDER BY CASE WHEN success THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT :limit;

-- query of_task --
-- List what happened to a task and what was done for it, the latest first.
SELECT * FROM work_history
WHERE owner = :owner AND deleted_at IS NULL AND task_id = :task_id
ORDER BY created_at DESC, id DESC LIMIT :limit;
