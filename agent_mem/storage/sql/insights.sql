-- migrate 1 --
-- What a behavior found; worth a memory once it is promoted.
CREATE TABLE insights (
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
    project text,
    behavior_id uuid NOT NULL,
    run_id uuid NOT NULL,
    topic text NOT NULL,
    content text NOT NULL,
    relevance double precision NOT NULL,
    promoted_to uuid,
    PRIMARY KEY (owner, id)
);
CREATE INDEX insights_run ON insights (owner, run_id);

-- query promotable --
-- List the insights of all agents that are worth a memory and have none, the weightiest first.
SELECT * FROM insights
WHERE owner = :owner AND deleted_at IS NULL AND promoted_to IS NULL
  AND relevance >= :least AND created_at >= :since
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
ORDER BY relevance DESC, created_at, id LIMIT :limit;

-- query weightiest --
-- List the weightiest insights of all agents, those of one weight by their time.
SELECT * FROM insights
WHERE owner = :owner AND deleted_at IS NULL AND relevance >= :least AND created_at >= :since
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
ORDER BY relevance DESC, created_at, id LIMIT :limit;

-- query digest --
-- Count what happened in a time window, by project, kind and name.
SELECT project, what, name, count(*) AS n FROM (
    SELECT project, 'events' AS what, event_type AS name FROM events
    WHERE owner = :owner AND ts >= :since AND deleted_at IS NULL
    UNION ALL
    SELECT project, 'decisions',
        CASE WHEN success IS NULL THEN 'open' WHEN success THEN 'succeeded' ELSE 'failed' END
    FROM decisions WHERE owner = :owner AND created_at >= :since AND deleted_at IS NULL
    UNION ALL
    SELECT project, 'memories', coalesce(topic, kind) FROM memories
    WHERE owner = :owner AND updated_at >= :since AND deleted_at IS NULL
    UNION ALL
    SELECT project, 'work', CASE WHEN success THEN 'done' ELSE 'failed' END FROM work_history
    WHERE owner = :owner AND created_at >= :since AND signature <> '' AND success IS NOT NULL
      AND deleted_at IS NULL
) AS happened
WHERE CAST(:project AS text) IS NULL OR project = :project
GROUP BY project, what, name ORDER BY coalesce(project, ''), what, n DESC, name LIMIT 2000;
