-- migrate 1 --
-- Which choice works or fails under which conditions, learned from decisions.
CREATE TABLE patterns (
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
    pattern_type text NOT NULL,
    description text NOT NULL,
    conditions jsonb NOT NULL,
    choice text NOT NULL,
    works boolean NOT NULL,
    confidence double precision NOT NULL,
    success_rate double precision NOT NULL,
    sample_size integer NOT NULL,
    other_rate double precision NOT NULL,
    other_size integer NOT NULL,
    shared_with text ARRAY NOT NULL,
    evidence_ids text ARRAY NOT NULL,
    version integer NOT NULL,
    faded_at timestamptz,
    user_metadata jsonb NOT NULL,
    history jsonb NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX patterns_type ON patterns (owner, pattern_type);

-- query listed --
-- List patterns, the surest first: those that hold, or all that were ever found.
SELECT * FROM patterns
WHERE owner = :owner AND deleted_at IS NULL
  AND (CAST(:faded AS bigint) = 1 OR faded_at IS NULL)
  AND (CAST(:type AS text) IS NULL OR pattern_type = :type)
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
ORDER BY confidence DESC, sample_size DESC, id LIMIT :limit;

-- query holding --
-- List the patterns that hold in a project, or anywhere.
SELECT * FROM patterns
WHERE owner = :owner AND deleted_at IS NULL AND faded_at IS NULL
  AND (CAST(:project AS text) IS NULL OR project = :project)
ORDER BY id LIMIT :limit;
