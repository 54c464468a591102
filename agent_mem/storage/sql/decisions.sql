-- migrate 1 --
-- What was chosen, from what, and why; later, how it turned out.
CREATE TABLE decisions (
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
    session_id uuid,
    project text,
    decision_type text NOT NULL,
    question text NOT NULL,
    context jsonb NOT NULL,
    options jsonb NOT NULL,
    selected text ARRAY NOT NULL,
    rationale text,
    confidence double precision,
    patterns_applied text ARRAY NOT NULL,
    parent_id uuid,
    supersedes uuid,
    expires_at timestamptz,
    success boolean,
    quality_score double precision,
    latency_ms double precision,
    error text,
    outcome_at timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX decisions_parent ON decisions (owner, parent_id);
CREATE INDEX decisions_created ON decisions (owner, created_at);

-- migrate 2 --
-- What stays the same of a question when it comes again; decisions of before have none.
ALTER TABLE decisions ADD COLUMN question_signature text;
CREATE INDEX decisions_question ON decisions (owner, question_signature);
CREATE INDEX decisions_supersedes ON decisions (owner, supersedes, created_at, id)
    WHERE supersedes IS NOT NULL;
CREATE INDEX decisions_open ON decisions (owner, created_at) WHERE outcome_at IS NULL;

-- migrate 3 sqlite --
-- All that is counted of decisions, so that whole decisions are not read for it. A server has a
-- limit for the length of what an index holds, and is asked for this by nobody who waits.
DROP INDEX decisions_created;
CREATE INDEX decisions_counted ON decisions (
    owner, created_at, deleted_at, project, decision_type, agent_name, id,
    success, confidence, quality_score, latency_ms
);

-- part standing --
-- Decisions that no other corrects. Derived, so that whoever logs an outcome of a corrected one
-- elsewhere at the same time takes nothing away:
id NOT IN (
    SELECT supersedes FROM decisions
    WHERE owner = :owner AND supersedes IS NOT NULL AND deleted_at IS NULL
)

-- part asked --
-- Decisions of a time window, a type, an agent, a project and a kind of outcome:
owner = :owner AND deleted_at IS NULL AND created_at >= :since AND created_at < :until
  AND (CAST(:type AS text) IS NULL OR decision_type = :type)
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
  AND (CAST(:project AS text) IS NULL OR project = :project)
  AND (
    CAST(:outcome AS text) IS NULL OR :outcome =
      CASE WHEN success THEN 'success' WHEN NOT success THEN 'failure' ELSE 'open' END
  )

-- query chain --
-- Walk from a decision to the first that led to it, and down to all that followed.
WITH RECURSIVE up (id, parent_id) AS (
    SELECT id, parent_id FROM decisions WHERE owner = :owner AND id = :id
    UNION
    SELECT d.id, d.parent_id FROM decisions d JOIN up ON d.id = up.parent_id WHERE d.owner = :owner
), down (id) AS (
    SELECT id FROM up
    UNION
    SELECT d.id FROM decisions d JOIN down ON d.parent_id = down.id WHERE d.owner = :owner
)
SELECT decisions.* FROM decisions JOIN down ON decisions.id = down.id
WHERE decisions.owner = :owner AND decisions.deleted_at IS NULL
ORDER BY decisions.created_at, decisions.id LIMIT 200;

-- query recent --
-- List the latest decisions.
SELECT * FROM decisions
WHERE owner = :owner AND deleted_at IS NULL
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
  AND {standing}
ORDER BY created_at DESC, id DESC LIMIT :limit;

-- query failed --
-- List the decisions whose outcome, known in a time window, was a failure.
SELECT * FROM decisions
WHERE owner = :owner AND deleted_at IS NULL AND outcome_at >= :since AND NOT success
  AND (CAST(:project AS text) IS NULL OR project = :project)
  AND {standing}
ORDER BY outcome_at, id LIMIT :limit;

-- query reviewed --
-- List the decisions that are asked for, the latest first.
SELECT * FROM decisions
WHERE {asked} AND (CAST(:corrected AS bigint) = 1 OR {standing})
ORDER BY created_at DESC, id DESC LIMIT :limit;

-- query measured --
-- Sum up the decisions that are asked for, by the tenth of their confidence and by their outcome.
SELECT
  CASE
    WHEN confidence >= 0.9 THEN 9 WHEN confidence >= 0.8 THEN 8 WHEN confidence >= 0.7 THEN 7
    WHEN confidence >= 0.6 THEN 6 WHEN confidence >= 0.5 THEN 5 WHEN confidence >= 0.4 THEN 4
    WHEN confidence >= 0.3 THEN 3 WHEN confidence >= 0.2 THEN 2 WHEN confidence >= 0.1 THEN 1
    WHEN confidence >= 0.0 THEN 0 ELSE -1
  END AS tenth,
  CASE WHEN success THEN 1 WHEN NOT success THEN 0 ELSE -1 END AS came,
  count(*) AS n,
  coalesce(sum(confidence), 0.0) AS said,
  coalesce(sum((confidence - CAST(success AS integer)) * (confidence - CAST(success AS integer))),
    0.0) AS missed,
  count(quality_score) AS rated,
  coalesce(sum(quality_score), 0.0) AS quality,
  count(latency_ms) AS timed
FROM decisions
WHERE {asked} AND (CAST(:corrected AS bigint) = 1 OR {standing})
GROUP BY tenth, came ORDER BY tenth, came;

-- query ranked --
-- Give the latencies that have two places among those of the decisions that are asked for.
SELECT place, latency_ms FROM (
    SELECT latency_ms, row_number() OVER (ORDER BY latency_ms) AS place FROM decisions
    WHERE {asked} AND (CAST(:corrected AS bigint) = 1 OR {standing}) AND latency_ms IS NOT NULL
) AS timed
WHERE place IN (:middle, :late) ORDER BY place;

-- query waiting --
-- List the latest decisions that have waited for an outcome since before a time.
SELECT * FROM decisions
WHERE owner = :owner AND deleted_at IS NULL AND outcome_at IS NULL AND created_at < :before
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND (CAST(:agent AS text) IS NULL OR agent_name = :agent)
  AND {standing}
ORDER BY created_at DESC, id DESC LIMIT :limit;

-- query of_question --
-- List the latest decisions on one question, those first whose outcome is known.
SELECT * FROM decisions
WHERE owner = :owner AND question_signature = :signature AND deleted_at IS NULL
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
  AND {standing}
ORDER BY CASE WHEN outcome_at IS NULL THEN 1 ELSE 0 END, created_at DESC, id DESC LIMIT :limit;

-- query corrections --
-- Find what corrects a decision; more than one, if machines did it apart.
SELECT * FROM decisions
WHERE owner = :owner AND supersedes = :id AND deleted_at IS NULL
ORDER BY created_at, id LIMIT 50;

-- query led_by --
-- List the ids of all that led to a decision; its own is among them if it is in a circle.
WITH RECURSIVE up (id) AS (
    SELECT parent_id FROM decisions WHERE owner = :owner AND id = :id
    UNION
    SELECT d.parent_id FROM decisions d JOIN up ON d.id = up.id WHERE d.owner = :owner
)
SELECT id FROM up WHERE id IS NOT NULL ORDER BY id;

-- query ancestors --
-- Walk from a decision to those that led to it, the nearest first. The order of a CROSS JOIN is
-- kept by SQLite, which otherwise would walk all decisions in the order of time.
WITH RECURSIVE up (id) AS (
    SELECT parent_id FROM decisions WHERE owner = :owner AND id = :id
    UNION
    SELECT d.parent_id FROM decisions d JOIN up ON d.id = up.id WHERE d.owner = :owner
)
SELECT decisions.* FROM up CROSS JOIN decisions
WHERE decisions.id = up.id AND decisions.owner = :owner AND decisions.deleted_at IS NULL
ORDER BY decisions.created_at DESC, decisions.id DESC LIMIT :limit;

-- query descendants --
-- Walk from a decision to all that followed from it.
WITH RECURSIVE down (id) AS (
    SELECT id FROM decisions WHERE owner = :owner AND parent_id = :id
    UNION
    SELECT d.id FROM decisions d JOIN down ON d.parent_id = down.id WHERE d.owner = :owner
)
SELECT decisions.* FROM decisions JOIN down ON decisions.id = down.id
WHERE decisions.owner = :owner AND decisions.deleted_at IS NULL
ORDER BY decisions.created_at, decisions.id LIMIT :limit;

-- query evidence --
-- List the latest decisions whose outcome is known, made in a time window.
SELECT * FROM decisions
WHERE owner = :owner AND deleted_at IS NULL AND success IS NOT NULL
  AND created_at >= :since AND created_at < :until
  AND (CAST(:project AS text) IS NULL OR project = :project)
  AND {standing}
ORDER BY created_at DESC, id DESC LIMIT :limit;
