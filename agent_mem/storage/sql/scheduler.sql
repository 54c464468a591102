-- migrate 1 sqlite --
-- Up to which change of this file behaviors have heard of new records.
CREATE TABLE scheduler_state (
    owner text NOT NULL,
    heard bigint NOT NULL,
    PRIMARY KEY (owner)
);

-- query heard sqlite --
-- Say up to which change behaviors have heard of new records.
SELECT heard FROM scheduler_state WHERE owner = :owner;

-- query note_heard sqlite --
-- Note up to which change behaviors have heard of new records.
INSERT INTO scheduler_state (owner, heard) VALUES (:owner, :heard)
ON CONFLICT (owner) DO UPDATE SET heard = excluded.heard;

-- query changes sqlite --
-- List what changed after a place in the list, the first first.
SELECT n, uri FROM changes WHERE n > :n AND uri LIKE 'memory://item/%' ORDER BY n LIMIT :limit;

-- query stirred sqlite --
-- Say what time it is in this file: another one after every write.
SELECT clock FROM replica;
