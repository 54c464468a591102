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
ORDER BY created_at DESC, id DESC LIMIT :limit;

-- query failed --
-- List the decisions whose outcome, known in a time window, was a failure.
SELECT * FROM decisions
WHERE owner = :owner AND deleted_at IS NULL AND outcome_at >= :since AND NOT success
  AND (CAST(:project AS text) IS NULL OR project = :project)
ORDER BY outcome_at, id LIMIT :limit;
