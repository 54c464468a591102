-- query create --
-- Keep what was done to the tables, so that each step is done once.
CREATE TABLE IF NOT EXISTS schema_ledger (
    line text NOT NULL,
    version integer NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (line, version)
);

-- query all --
-- Read what was done.
SELECT line, version, sha256 FROM schema_ledger;

-- query add --
-- Note that a step is done.
INSERT INTO schema_ledger (line, version, sha256) VALUES (:line, :version, :sha256);
