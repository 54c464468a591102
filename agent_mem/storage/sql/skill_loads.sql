-- migrate 1 --
-- That an agent has loaded a skill: a row each time.
CREATE TABLE skill_loads (
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
    skill_id uuid NOT NULL,
    agent_name text NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX skill_loads_skill ON skill_loads (owner, skill_id, created_at);

-- query counted --
-- Count how often each version of the skills was loaded, and when it was last.
SELECT skill_id, count(*) AS loads, max(created_at) AS last_used_at FROM skill_loads
WHERE owner = :owner AND deleted_at IS NULL GROUP BY skill_id ORDER BY skill_id;
