-- migrate 1 --
-- A file of a skill, or a piece of one: never changed, and known by its digest.
CREATE TABLE skill_files (
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
    path text NOT NULL,
    part integer NOT NULL,
    media_type text NOT NULL,
    digest text NOT NULL,
    encoding text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX skill_files_path ON skill_files (owner, skill_id, path, part);

-- query pieces --
-- Read a file in its pieces.
SELECT * FROM skill_files
WHERE owner = :owner AND skill_id = :skill_id AND path = :path AND digest = :digest
  AND deleted_at IS NULL ORDER BY part LIMIT 1000;
