-- migrate 1 --
-- One run of a behavior, and what came of it.
CREATE TABLE behavior_runs (
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
    behavior_id uuid NOT NULL,
    trigger text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    status text NOT NULL,
    output jsonb NOT NULL,
    error text,
    duration_ms double precision,
    PRIMARY KEY (owner, id)
);
CREATE INDEX runs_of ON behavior_runs (owner, behavior_id, started_at);

-- migrate 2 --
-- What it was given, when it was due, and who runs it until when: the run is its own lease.
ALTER TABLE behavior_runs ADD COLUMN input jsonb NOT NULL DEFAULT '{}';
ALTER TABLE behavior_runs ADD COLUMN due_at timestamptz;
ALTER TABLE behavior_runs ADD COLUMN attempt integer NOT NULL DEFAULT 1;
ALTER TABLE behavior_runs ADD COLUMN retry_at timestamptz;
ALTER TABLE behavior_runs ADD COLUMN lease_until timestamptz;
ALTER TABLE behavior_runs ADD COLUMN run_by text;
ALTER TABLE behavior_runs ADD COLUMN attempt_of uuid;
CREATE INDEX runs_open ON behavior_runs (owner, status, lease_until);

-- query under_way --
-- List the runs of a behavior that are under way.
SELECT * FROM behavior_runs
WHERE owner = :owner AND behavior_id = :behavior_id AND status = 'running'
  AND lease_until > :now AND deleted_at IS NULL
ORDER BY started_at, id;

-- query lost --
-- List the runs that nobody is at any more: their lease is over, or whoever held it is gone.
SELECT * FROM behavior_runs
WHERE owner = :owner AND status = 'running' AND deleted_at IS NULL
  AND (lease_until <= :now OR (CAST(:gone AS text) IS NOT NULL
       AND trigger <> 'manual' AND run_by >= :gone AND run_by < CAST(:gone AS text) || '~'))
ORDER BY started_at, id LIMIT 500;

-- query retried --
-- List the runs that failed and are to be tried again, the first first.
SELECT * FROM behavior_runs
WHERE owner = :owner AND status = 'failed' AND retry_at IS NOT NULL AND deleted_at IS NULL
ORDER BY retry_at, id LIMIT 500;

-- query last_due --
-- Say up to which due time each behavior was run.
SELECT behavior_id, max(due_at) AS due_at FROM behavior_runs
WHERE owner = :owner AND due_at IS NOT NULL AND deleted_at IS NULL
GROUP BY behavior_id ORDER BY behavior_id;

-- query latest --
-- Say how the last run of each behavior went, its earlier attempts aside.
SELECT r.behavior_id, r.id, r.status, r.started_at, r.ended_at, r.error, r.output
FROM behavior_runs r JOIN (
    SELECT behavior_id, max(started_at) AS started_at FROM behavior_runs
    WHERE owner = :owner AND deleted_at IS NULL AND attempt_of IS NULL AND status <> 'skipped'
    GROUP BY behavior_id
) AS last ON last.behavior_id = r.behavior_id AND last.started_at = r.started_at
WHERE r.owner = :owner AND r.deleted_at IS NULL AND r.attempt_of IS NULL AND r.status <> 'skipped'
ORDER BY r.behavior_id, r.id;

-- query of_behavior --
-- List the runs of a behavior, the latest first.
SELECT * FROM behavior_runs
WHERE owner = :owner AND behavior_id = :behavior_id AND deleted_at IS NULL
ORDER BY started_at DESC, id DESC LIMIT :limit;

-- query waiting --
-- List the runs that wait for an agent's answer, the first first: nothing of their behavior came since.
SELECT r.* FROM behavior_runs r
WHERE r.owner = :owner AND r.status = 'needs_agent' AND r.deleted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM behavior_runs later
    WHERE later.owner = r.owner AND later.behavior_id = r.behavior_id
      AND later.deleted_at IS NULL AND later.started_at > r.started_at
      AND later.status IN ('complete', 'needs_agent'))
ORDER BY r.started_at, r.id LIMIT :limit;
