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

-- migrate 2 --
-- What is in a skill's folder, and who registered it.
ALTER TABLE skills ADD COLUMN files jsonb NOT NULL DEFAULT '[]';
ALTER TABLE skills ADD COLUMN registered_by text;

-- migrate 3 sqlite --
-- What was registered on this machine before there were approvals, is approved as it is.
INSERT INTO skill_approvals (owner, skill_id, digest, approved_at)
SELECT owner, id, hlc || ':' || origin, updated_at FROM skills
WHERE origin IN (SELECT id FROM replica);

-- query all --
-- List all versions of the skills, inactive ones too; of one name, the latest last.
SELECT * FROM skills WHERE owner = :owner AND deleted_at IS NULL
ORDER BY skill_name, created_at, id LIMIT 5000;
