-- migrate 1 --
-- The state of some work, for picking up where one left off.
CREATE TABLE context_snapshots (
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
    context_type text NOT NULL,
    context_data jsonb NOT NULL,
    tags text ARRAY NOT NULL,
    importance integer NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX snapshots_created ON context_snapshots (owner, created_at);

-- query latest --
-- Find the last snapshot of a session, an agent or a project.
SELECT * FROM context_snapshots
WHERE owner = :owner AND deleted_at IS NULL AND context_type = 'session'
  AND (expires_at IS NULL OR expires_at > :now)
  AND (CAST(:session_id AS text) IS NULL OR CAST(session_id AS text) = :session_id)
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
ORDER BY created_at DESC, id DESC LIMIT :limit;
