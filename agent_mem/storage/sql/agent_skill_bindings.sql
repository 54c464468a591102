-- migrate 1 --
-- Which agent may use which skill, in which order, and how it is configured for it.
CREATE TABLE agent_skill_bindings (
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
    skill_id uuid NOT NULL,
    enabled boolean NOT NULL,
    priority integer NOT NULL,
    config jsonb NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE UNIQUE INDEX bindings_one ON agent_skill_bindings (owner, agent_name, skill_id);

-- migrate 2 --
-- The version that a binding keeps to; without one it follows the newest.
ALTER TABLE agent_skill_bindings ADD COLUMN version text;

-- query of_agent --
-- List what an agent may use, in its order.
SELECT * FROM agent_skill_bindings
WHERE owner = :owner AND agent_name = :agent AND deleted_at IS NULL
ORDER BY priority, id LIMIT 500;
