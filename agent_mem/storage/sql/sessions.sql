-- migrate 1 --
-- One conversation or job.
CREATE TABLE sessions (
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
    user_id text,
    project text,
    source text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    status text NOT NULL,
    meta jsonb NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX sessions_started ON sessions (owner, started_at);
CREATE INDEX sessions_agent ON sessions (owner, agent_name, status);

-- query newest --
-- List the sessions that began before a time, the newest first.
SELECT * FROM sessions
WHERE owner = :owner AND deleted_at IS NULL
  AND started_at < :before
ORDER BY started_at DESC, id DESC LIMIT :limit;
