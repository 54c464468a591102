-- migrate 1 --
-- A problem, what solves it best, and what else was tried.
CREATE TABLE knowledge_base (
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
    problem_signature text NOT NULL,
    problem_description text NOT NULL,
    solution text NOT NULL,
    success_count integer NOT NULL,
    usage_count integer NOT NULL,
    success_rate double precision NOT NULL,
    last_used timestamptz,
    others jsonb NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE UNIQUE INDEX knowledge_base_problem ON knowledge_base (owner, problem_signature);

-- query lately sqlite --
-- List the problems that were solved last.
SELECT * FROM knowledge_base
WHERE owner = :owner AND deleted_at IS NULL AND success_count > 0
  AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
ORDER BY last_used DESC, id LIMIT :limit;
