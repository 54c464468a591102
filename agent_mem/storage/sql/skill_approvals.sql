-- migrate 1 --
-- What a person has approved here of the skills: it is never synced.
CREATE TABLE skill_approvals (
    owner text NOT NULL,
    skill_id uuid NOT NULL,
    digest text NOT NULL,
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (owner, skill_id, digest)
);

-- query all --
-- List what was approved here.
SELECT skill_id, digest, approved_at FROM skill_approvals WHERE owner = :owner;

-- query add --
-- Note that a skill was approved here as it is.
INSERT INTO skill_approvals (owner, skill_id, digest, approved_at)
VALUES (:owner, :skill_id, :digest, :approved_at) ON CONFLICT (owner, skill_id, digest) DO NOTHING;

-- query here sqlite --
-- Say which machine this is.
SELECT id FROM replica;

-- query here postgres --
-- Say which machine the server is.
SELECT origin AS id FROM feed WHERE owner = :owner;
