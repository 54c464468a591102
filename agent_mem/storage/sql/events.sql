-- migrate 1 --
-- What happened, as it happened: short-term memory, append-only.
CREATE TABLE events (
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
    ts timestamptz NOT NULL,
    role text,
    event_type text NOT NULL,
    content text NOT NULL,
    importance double precision NOT NULL,
    tags text ARRAY NOT NULL,
    meta jsonb NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX events_session ON events (owner, session_id, ts);
CREATE INDEX events_ts ON events (owner, ts);

-- query of_session --
-- Tell a session from its beginning, at most so much of its end.
SELECT * FROM (
    SELECT * FROM events WHERE owner = :owner AND session_id = :session_id AND deleted_at IS NULL
    ORDER BY ts DESC, id DESC LIMIT :limit
) AS latest ORDER BY ts, id;

-- query between --
-- Tell what happened in a time window from its beginning, at most so much of its end.
SELECT * FROM (
    SELECT * FROM events
    WHERE owner = :owner AND ts >= :since AND ts < :until AND deleted_at IS NULL
      AND (CAST(:project AS text) IS NULL OR project = :project)
    ORDER BY ts DESC, id DESC LIMIT :limit
) AS latest ORDER BY ts, id;

-- query errors --
-- List the latest errors.
SELECT * FROM events
WHERE owner = :owner AND event_type = 'error' AND deleted_at IS NULL
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
ORDER BY ts DESC, id DESC LIMIT :limit;
