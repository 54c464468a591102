-- migrate 1 sqlite --
-- How far this file and the server have got with each other, and what could not be taken.
CREATE TABLE sync_state (
    owner text NOT NULL,
    epoch uuid NOT NULL,
    head bigint NOT NULL,
    offset_ms bigint,
    synced_at timestamptz,
    PRIMARY KEY (owner)
);
CREATE TABLE sync_cursors (
    owner text NOT NULL,
    record text NOT NULL,
    ver bigint NOT NULL,
    PRIMARY KEY (owner, record)
);
CREATE TABLE sync_aside (
    owner text NOT NULL,
    record text NOT NULL,
    id uuid NOT NULL,
    ver bigint NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (owner, record, id)
);
CREATE TABLE sync_trouble (
    owner text NOT NULL,
    at timestamptz NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (owner)
);

-- migrate 2 sqlite --
-- How often this file has met the server: one that knows of less has been restored from a backup.
ALTER TABLE sync_state ADD COLUMN met bigint NOT NULL DEFAULT 0;
ALTER TABLE sync_state DROP COLUMN head;

-- query head postgres --
-- Say how far the owner's changes are, and what time it is there.
SELECT ver, epoch, min_writer, clock_timestamp() AS now FROM feed WHERE owner = :owner;

-- part meet --
-- Note that a machine is here, and how far it is.
INSERT INTO replicas (owner, id, host, ver, seen_at, met) VALUES (:owner, :id, :host, 0, :at, 0)
ON CONFLICT (owner, id) DO UPDATE SET host = excluded.host, seen_at = excluded.seen_at,
    ver = CASE WHEN replicas.met >= :met THEN CAST(:ver AS bigint) ELSE 0 END,
    met = CASE WHEN replicas.met >= :met THEN replicas.met + 1 ELSE replicas.met END
RETURNING met

-- query meet postgres --
-- Note how far a machine has read, and count that it was here, unless it knows of more than is known here.
{meet};

-- query announce postgres --
-- Tell whoever listens that an owner's rows have changed: a hint, which a pooler may swallow.
SELECT pg_notify('agent_mem', :owner);

-- query meet_and_announce postgres --
-- Note how far a machine has read, count that it was here, and tell whoever listens.
WITH noted AS ({meet})
SELECT met, pg_notify('agent_mem', :owner) AS told FROM noted;

-- query replica sqlite --
-- Say which machine this file is.
SELECT id FROM replica;

-- query state sqlite --
-- Say how far this file has got with the server.
SELECT epoch, met, offset_ms, synced_at FROM sync_state WHERE owner = :owner;

-- query note_state sqlite --
-- Note when a pass came to its end, and how far the clocks were apart.
UPDATE sync_state SET offset_ms = :offset_ms, synced_at = :synced_at WHERE owner = :owner;

-- query note_met sqlite --
-- Note how often this file has met the server.
UPDATE sync_state SET met = :met WHERE owner = :owner;

-- query begin_state sqlite --
-- Note that this file begins anew with a server.
INSERT INTO sync_state (owner, epoch, met) VALUES (:owner, :epoch, :met)
ON CONFLICT (owner) DO UPDATE SET epoch = excluded.epoch, met = excluded.met;

-- query trouble sqlite --
-- Say why the last pass failed, and when.
SELECT at, error FROM sync_trouble WHERE owner = :owner;

-- query note_trouble sqlite --
-- Note why a pass failed; since when stays.
INSERT INTO sync_trouble (owner, at, error) VALUES (:owner, :at, :error)
ON CONFLICT (owner) DO UPDATE SET error = excluded.error;

-- query end_trouble sqlite --
-- Note that a pass did not fail.
DELETE FROM sync_trouble WHERE owner = :owner;

-- query cursors sqlite --
-- Say up to which version each table was read.
SELECT record, ver FROM sync_cursors WHERE owner = :owner;

-- query note_cursors sqlite --
-- Note up to which versions tables were read.
INSERT INTO sync_cursors (owner, record, ver)
SELECT :owner, key, value FROM json_each(:cursors) WHERE true
ON CONFLICT (owner, record) DO UPDATE SET ver = excluded.ver;

-- query rewind sqlite --
-- Read all tables from their beginning.
DELETE FROM sync_cursors WHERE owner = :owner;

-- query counted sqlite --
-- Count what waits for sync, its own log aside, what was refused, and what cannot be taken.
SELECT count(*) FILTER (WHERE record <> 'memory_sync_log') AS waiting, count(error) AS refused,
    (SELECT count(*) FROM sync_aside WHERE owner = :owner) AS aside
FROM outbox WHERE owner = :owner;

-- query due sqlite --
-- List what of a table waits for sync and may be tried.
SELECT id, hlc FROM outbox
WHERE owner = :owner AND record = :record AND id > :after
  AND (next_at IS NULL OR next_at <= :now)
ORDER BY id LIMIT :limit;

-- query stirred sqlite --
-- Look whether anything waits for sync and may be tried, or anything but its log; and what time it is here.
SELECT clock, EXISTS (
    SELECT 1 FROM outbox WHERE owner = :owner AND (next_at IS NULL OR next_at <= :now)
) AS any, EXISTS (
    SELECT 1 FROM outbox
    WHERE owner = :owner AND (next_at IS NULL OR next_at <= :now) AND record <> :log
) AS due
FROM replica;

-- query waiting_among sqlite --
-- Look which rows wait for sync.
SELECT id FROM outbox
WHERE owner = :owner AND record = :record AND id IN (SELECT value FROM json_each(:ids));

-- query aside_among sqlite --
-- Look which rows of the server could not be taken.
SELECT id FROM sync_aside
WHERE owner = :owner AND record = :record AND id IN (SELECT value FROM json_each(:ids));

-- query done sqlite --
-- Note that the server has a row as it was at a time, or a later one; what came since waits on.
DELETE FROM outbox WHERE owner = :owner AND record = :record AND id = :id AND hlc <= :hlc;

-- query tried sqlite --
-- Say how often a row was refused.
SELECT tries FROM outbox
WHERE owner = :owner AND record = :record AND id = :id AND hlc <= :hlc;

-- query defer sqlite --
-- Note why a row was refused, and when it is tried again.
UPDATE outbox SET tries = tries + 1, error = :error, next_at = :next_at
WHERE owner = :owner AND record = :record AND id = :id AND hlc <= :hlc;

-- query postpone sqlite --
-- Have a row wait that the server did not take.
UPDATE outbox SET next_at = :next_at
WHERE owner = :owner AND record = :record AND id = :id AND hlc <= :hlc;

-- query refused sqlite --
-- List what the server refused, the latest first.
SELECT record, id, tries, next_at, error FROM outbox
WHERE owner = :owner AND error IS NOT NULL ORDER BY hlc DESC LIMIT :limit;

-- query put_aside sqlite --
-- Note a row of the server that cannot be taken.
INSERT INTO sync_aside (owner, record, id, ver, error, at)
VALUES (:owner, :record, :id, :ver, :error, :at)
ON CONFLICT (owner, record, id) DO UPDATE SET
    ver = excluded.ver, error = excluded.error, at = excluded.at;

-- query take_back sqlite --
-- Note that a row of the server was taken.
DELETE FROM sync_aside WHERE owner = :owner AND record = :record AND id = :id;

-- query aside sqlite --
-- List the rows of the server that cannot be taken, the latest first.
SELECT record, id, ver, error, at FROM sync_aside
WHERE owner = :owner ORDER BY at DESC LIMIT :limit;

-- query retry_refused sqlite --
-- Have everything that the server refused tried again.
UPDATE outbox SET next_at = NULL, error = NULL, tries = 0
WHERE owner = :owner AND error IS NOT NULL RETURNING id;

-- query retry_aside sqlite --
-- Have the rows that could not be taken read again.
DELETE FROM sync_aside WHERE owner = :owner RETURNING record, ver;
