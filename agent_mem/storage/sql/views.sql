-- migrate 1 postgres --
-- What analysts read. The policies of the tables hold in the views, too (`security_invoker`).
CREATE INDEX events_importance ON events (owner, importance, ts);
CREATE INDEX events_tags ON events USING gin (tags);
CREATE INDEX sessions_source ON sessions (owner, source, started_at);
CREATE INDEX skills_category ON skills (owner, category);
CREATE INDEX bindings_skill ON agent_skill_bindings (owner, skill_id);
CREATE INDEX bindings_priority ON agent_skill_bindings (owner, agent_name, priority);

-- An agent may have events and no session, or the other way round.
CREATE VIEW agent_performance_summary WITH (security_invoker = true) AS
SELECT owner, agent_name,
    coalesce(s.total_sessions, 0) AS total_sessions,
    coalesce(s.active_sessions, 0) AS active_sessions,
    coalesce(s.completed_sessions, 0) AS completed_sessions,
    coalesce(s.failed_sessions, 0) AS failed_sessions,
    coalesce(s.abandoned_sessions, 0) AS abandoned_sessions,
    s.completion_rate, s.avg_duration_minutes, s.last_session_at,
    coalesce(e.total_events, 0) AS total_events,
    e.avg_importance, e.last_event_at
FROM (
    SELECT owner, agent_name, count(*) AS total_sessions,
        count(*) FILTER (WHERE status = 'active') AS active_sessions,
        count(*) FILTER (WHERE status = 'completed') AS completed_sessions,
        count(*) FILTER (WHERE status = 'failed') AS failed_sessions,
        count(*) FILTER (WHERE status = 'abandoned') AS abandoned_sessions,
        CAST(avg(CAST(status = 'completed' AS integer)) FILTER (WHERE status <> 'active')
            AS double precision) AS completion_rate,
        CAST(avg(extract(epoch FROM ended_at - started_at)) / 60 AS double precision)
            AS avg_duration_minutes,
        max(started_at) AS last_session_at
    FROM sessions WHERE deleted_at IS NULL GROUP BY owner, agent_name
) AS s FULL JOIN (
    SELECT owner, agent_name, count(*) AS total_events,
        avg(importance) AS avg_importance, max(ts) AS last_event_at
    FROM events WHERE deleted_at IS NULL GROUP BY owner, agent_name
) AS e USING (owner, agent_name);

CREATE VIEW skill_usage_summary WITH (security_invoker = true) AS
SELECT k.owner, k.id AS skill_id, k.skill_name, k.category, k.version, k.is_active,
    count(b.agent_name) AS bound_agents,
    count(b.agent_name) FILTER (WHERE b.enabled) AS active_bindings,
    coalesce(array_agg(b.agent_name ORDER BY b.priority, b.agent_name) FILTER (WHERE b.enabled),
        CAST(ARRAY[] AS text ARRAY)) AS agents,
    min(b.priority) FILTER (WHERE b.enabled) AS first_priority,
    max(b.created_at) AS last_bound_at
FROM skills k LEFT JOIN agent_skill_bindings b
    ON b.owner = k.owner AND b.skill_id = k.id AND b.deleted_at IS NULL
WHERE k.deleted_at IS NULL
GROUP BY k.owner, k.id, k.skill_name, k.category, k.version, k.is_active;

-- Of the levels High and Critical, as memory_timeline has them.
CREATE VIEW important_events_recent WITH (security_invoker = true) AS
SELECT e.owner, e.id, e.session_id, e.agent_name, e.project, s.source, s.user_id,
    e.ts, e.role, e.event_type, e.content, e.importance, e.tags, e.meta
FROM events e LEFT JOIN sessions s
    ON s.owner = e.owner AND s.id = e.session_id AND s.deleted_at IS NULL
WHERE e.deleted_at IS NULL AND e.importance >= 0.6 AND e.ts > now() - INTERVAL '7 days';

CREATE VIEW decision_outcomes WITH (security_invoker = true) AS
SELECT owner, agent_name, project, decision_type,
    count(*) AS decisions,
    count(*) FILTER (WHERE success IS NULL) AS open,
    count(*) FILTER (WHERE success) AS succeeded,
    count(*) FILTER (WHERE NOT success) AS failed,
    CAST(avg(CAST(success AS integer)) AS double precision) AS success_rate,
    avg(confidence) AS avg_confidence,
    avg(confidence - CAST(success AS integer)) AS overconfidence,
    avg(quality_score) AS avg_quality_score,
    avg(latency_ms) AS avg_latency_ms,
    max(created_at) AS last_decision_at,
    max(outcome_at) AS last_outcome_at
FROM decisions WHERE deleted_at IS NULL
GROUP BY owner, agent_name, project, decision_type;

CREATE VIEW behavior_health WITH (security_invoker = true) AS
SELECT b.owner, b.id AS behavior_id, b.agent_name, b.name, b.trigger_type, b.schedule,
    b.enabled, b.status,
    coalesce(r.runs, 0) AS runs,
    coalesce(r.completed, 0) AS completed,
    coalesce(r.failed, 0) AS failed,
    r.success_rate, r.avg_duration_ms, r.last_started_at, r.last_status,
    r.last_failed_at, r.last_error,
    coalesce(i.insights, 0) AS insights
FROM behaviors b LEFT JOIN (
    SELECT owner, behavior_id, count(*) AS runs,
        count(*) FILTER (WHERE status = 'complete') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        CAST(avg(CAST(status = 'complete' AS integer)) FILTER (WHERE status <> 'running')
            AS double precision) AS success_rate,
        avg(duration_ms) AS avg_duration_ms,
        max(started_at) AS last_started_at,
        (array_agg(status ORDER BY started_at DESC, id DESC))[1] AS last_status,
        max(started_at) FILTER (WHERE status = 'failed') AS last_failed_at,
        (array_agg(error ORDER BY started_at DESC, id DESC) FILTER (WHERE status = 'failed'))[1]
            AS last_error
    FROM behavior_runs WHERE deleted_at IS NULL GROUP BY owner, behavior_id
) AS r ON r.owner = b.owner AND r.behavior_id = b.id LEFT JOIN (
    SELECT owner, behavior_id, count(*) AS insights
    FROM insights WHERE deleted_at IS NULL GROUP BY owner, behavior_id
) AS i ON i.owner = b.owner AND i.behavior_id = b.id
WHERE b.deleted_at IS NULL;

-- By machine: what it logged, and how far it has got. Nothing is logged while nothing moves.
CREATE VIEW sync_health WITH (security_invoker = true) AS
SELECT owner, sync_source,
    coalesce(l.passes, 0) AS passes,
    coalesce(l.completed, 0) AS completed,
    coalesce(l.failed, 0) AS failed,
    l.success_rate,
    coalesce(l.events_synced, 0) AS events_synced,
    l.avg_duration_seconds, l.last_started_at, l.last_completed_at,
    l.last_failed_at, l.last_error, m.last_seen_at, m.versions_behind
FROM (
    SELECT owner, sync_source, count(*) AS passes,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        CAST(avg(CAST(status = 'completed' AS integer)) FILTER (WHERE status <> 'running')
            AS double precision) AS success_rate,
        sum(events_synced) AS events_synced,
        CAST(avg(extract(epoch FROM sync_ended_at - sync_started_at)) AS double precision)
            AS avg_duration_seconds,
        max(sync_started_at) AS last_started_at,
        max(sync_ended_at) FILTER (WHERE status = 'completed') AS last_completed_at,
        max(sync_started_at) FILTER (WHERE status = 'failed') AS last_failed_at,
        (array_agg(error_message ORDER BY sync_started_at DESC, id DESC)
            FILTER (WHERE status = 'failed'))[1] AS last_error
    FROM memory_sync_log WHERE deleted_at IS NULL GROUP BY owner, sync_source
) AS l FULL JOIN (
    SELECT r.owner, r.host AS sync_source, max(r.seen_at) AS last_seen_at,
        max(f.ver) - max(r.ver) AS versions_behind
    FROM replicas r JOIN feed f ON f.owner = r.owner GROUP BY r.owner, r.host
) AS m USING (owner, sync_source);

-- What nobody gave an importance to has none, and no level.
CREATE VIEW memory_timeline WITH (security_invoker = true) AS
SELECT owner, at, record, kind, id, agent_name, project, session_id, content, importance,
    CASE
        WHEN importance >= 0.8 THEN 'Critical (0.8-1.0)'
        WHEN importance >= 0.6 THEN 'High (0.6-0.8)'
        WHEN importance >= 0.4 THEN 'Medium (0.4-0.6)'
        WHEN importance >= 0.2 THEN 'Low (0.2-0.4)'
        WHEN importance >= 0.0 THEN 'Minimal (0.0-0.2)'
    END AS importance_level
FROM (
    SELECT owner, ts AS at, 'event' AS record, event_type AS kind, id, agent_name, project,
        session_id, content, importance
    FROM events WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, coalesce(occurred_at, created_at), 'memory', kind, id, agent_name, project,
        session_id, content, relevance
    FROM memories WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'decision', decision_type, id, agent_name, project,
        session_id, question, NULL
    FROM decisions WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'snapshot', context_type, id, agent_name, project,
        session_id, CAST(context_data AS text), importance / 10.0
    FROM context_snapshots WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, coalesce(last_used, created_at), 'solution', 'solution', id, agent_name, project,
        NULL, problem_description, NULL
    FROM knowledge_base WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'insight', topic, id, agent_name, project,
        NULL, content, relevance
    FROM insights WHERE deleted_at IS NULL
) AS remembered;

-- migrate 2 postgres --
-- A decision that was corrected is no longer counted: its correction is. Nothing is corrected here
-- by what was forgotten. The timeline has patterns and finished work, too.
CREATE OR REPLACE VIEW decision_outcomes WITH (security_invoker = true) AS
SELECT owner, agent_name, project, decision_type,
    count(*) AS decisions,
    count(*) FILTER (WHERE success IS NULL) AS open,
    count(*) FILTER (WHERE success) AS succeeded,
    count(*) FILTER (WHERE NOT success) AS failed,
    CAST(avg(CAST(success AS integer)) AS double precision) AS success_rate,
    avg(confidence) AS avg_confidence,
    avg(confidence - CAST(success AS integer)) AS overconfidence,
    avg(quality_score) AS avg_quality_score,
    avg(latency_ms) AS avg_latency_ms,
    max(created_at) AS last_decision_at,
    max(outcome_at) AS last_outcome_at
FROM decisions d WHERE deleted_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM decisions c
    WHERE c.owner = d.owner AND c.supersedes = d.id AND c.deleted_at IS NULL
)
GROUP BY owner, agent_name, project, decision_type;

CREATE OR REPLACE VIEW memory_timeline WITH (security_invoker = true) AS
SELECT owner, at, record, kind, id, agent_name, project, session_id, content, importance,
    CASE
        WHEN importance >= 0.8 THEN 'Critical (0.8-1.0)'
        WHEN importance >= 0.6 THEN 'High (0.6-0.8)'
        WHEN importance >= 0.4 THEN 'Medium (0.4-0.6)'
        WHEN importance >= 0.2 THEN 'Low (0.2-0.4)'
        WHEN importance >= 0.0 THEN 'Minimal (0.0-0.2)'
    END AS importance_level
FROM (
    SELECT owner, ts AS at, 'event' AS record, event_type AS kind, id, agent_name, project,
        session_id, content, importance
    FROM events WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, coalesce(occurred_at, created_at), 'memory', kind, id, agent_name, project,
        session_id, content, relevance
    FROM memories WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'decision', decision_type, id, agent_name, project,
        session_id, question, NULL
    FROM decisions WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'pattern', pattern_type, id, agent_name, project,
        NULL, description, confidence
    FROM patterns WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'snapshot', context_type, id, agent_name, project,
        session_id, CAST(context_data AS text), importance / 10.0
    FROM context_snapshots WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, coalesce(last_used, created_at), 'solution', 'solution', id, agent_name, project,
        NULL, problem_description, NULL
    FROM knowledge_base WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'insight', topic, id, agent_name, project,
        NULL, content, relevance
    FROM insights WHERE deleted_at IS NULL
    UNION ALL
    SELECT owner, created_at, 'work', CASE WHEN success THEN 'done' ELSE 'failed' END, id,
        agent_name, project, NULL, action, NULL
    FROM work_history WHERE deleted_at IS NULL AND signature <> '' AND success IS NOT NULL
) AS remembered;

-- migrate 3 postgres --
-- How a behavior is doing is what its last run tells; one that was skipped, or waits, has not failed.
CREATE OR REPLACE VIEW behavior_health WITH (security_invoker = true) AS
SELECT b.owner, b.id AS behavior_id, b.agent_name, b.name, b.trigger_type, b.schedule,
    b.enabled,
    CASE WHEN r.last_status IN ('needs_agent', 'skipped') THEN 'idle'
        ELSE coalesce(r.last_status, b.status) END AS status,
    coalesce(r.runs, 0) AS runs,
    coalesce(r.completed, 0) AS completed,
    coalesce(r.failed, 0) AS failed,
    r.success_rate, r.avg_duration_ms, r.last_started_at, r.last_status,
    r.last_failed_at, r.last_error,
    coalesce(i.insights, 0) AS insights
FROM behaviors b LEFT JOIN (
    SELECT owner, behavior_id, count(*) AS runs,
        count(*) FILTER (WHERE status = 'complete') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        CAST(avg(CAST(status = 'complete' AS integer)) FILTER (WHERE status IN ('complete', 'failed'))
            AS double precision) AS success_rate,
        avg(duration_ms) AS avg_duration_ms,
        max(started_at) AS last_started_at,
        (array_agg(status ORDER BY started_at DESC, id DESC))[1] AS last_status,
        max(started_at) FILTER (WHERE status = 'failed') AS last_failed_at,
        (array_agg(error ORDER BY started_at DESC, id DESC) FILTER (WHERE status = 'failed'))[1]
            AS last_error
    FROM behavior_runs WHERE deleted_at IS NULL GROUP BY owner, behavior_id
) AS r ON r.owner = b.owner AND r.behavior_id = b.id LEFT JOIN (
    SELECT owner, behavior_id, count(*) AS insights
    FROM insights WHERE deleted_at IS NULL GROUP BY owner, behavior_id
) AS i ON i.owner = b.owner AND i.behavior_id = b.id
WHERE b.deleted_at IS NULL;

-- migrate 4 postgres --
-- How often each version of a skill was loaded, and when it was last. A binding is
-- to each version of the skill's name, unless it keeps to one.
CREATE OR REPLACE VIEW skill_usage_summary WITH (security_invoker = true) AS
SELECT k.owner, k.id AS skill_id, k.skill_name, k.category, k.version, k.is_active,
    count(b.agent_name) AS bound_agents,
    count(b.agent_name) FILTER (WHERE b.enabled) AS active_bindings,
    coalesce(array_agg(b.agent_name ORDER BY b.priority, b.agent_name) FILTER (WHERE b.enabled),
        CAST(ARRAY[] AS text ARRAY)) AS agents,
    min(b.priority) FILTER (WHERE b.enabled) AS first_priority,
    max(b.created_at) AS last_bound_at,
    coalesce(max(l.loads), 0) AS loads,
    max(l.last_used_at) AS last_used_at
FROM skills k LEFT JOIN (
    SELECT x.*, s.skill_name FROM agent_skill_bindings x JOIN skills s
        ON s.owner = x.owner AND s.id = x.skill_id
    WHERE x.deleted_at IS NULL
) AS b ON b.owner = k.owner AND b.skill_name = k.skill_name
    AND (b.version IS NULL OR b.version = k.version)
LEFT JOIN (
    SELECT owner, skill_id, count(*) AS loads, max(created_at) AS last_used_at
    FROM skill_loads WHERE deleted_at IS NULL GROUP BY owner, skill_id
) AS l ON l.owner = k.owner AND l.skill_id = k.id
WHERE k.deleted_at IS NULL
GROUP BY k.owner, k.id, k.skill_name, k.category, k.version, k.is_active;
