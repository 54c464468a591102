-- migrate 1 --
-- Something that agents can be taught: a SKILL.md and an MCP-compatible description.
CREATE TABLE skills (
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
    skill_name text NOT NULL,
    description text NOT NULL,
    category text,
    version text NOT NULL,
    spec jsonb NOT NULL,
    body text,
    dependencies text ARRAY NOT NULL,
    is_active boolean NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX skills_name ON skills (owner, skill_name);

-- query named --
-- Find a skill by its name; the latest version first.
SELECT * FROM skills
WHERE owner = :owner AND skill_name = :name AND is_active AND deleted_at IS NULL
ORDER BY created_at DESC, id DESC LIMIT 1;

-- query all --
-- List the skills; of one name, the latest version last.
SELECT * FROM skills WHERE owner = :owner AND is_active AND deleted_at IS NULL
ORDER BY skill_name, created_at, id LIMIT 500;

-- query names --
-- List the names of the skills.
SELECT DISTINCT skill_name AS name FROM skills
WHERE owner = :owner AND is_active AND deleted_at IS NULL ORDER BY skill_name LIMIT 500;
