-- migrate 1 sqlite --
-- What only this file knows: who it is, what waits for sync, what changed last.
CREATE TABLE replica (
    id uuid NOT NULL,
    clock bigint NOT NULL
);
CREATE TABLE outbox (
    owner text NOT NULL,
    record text NOT NULL,
    id uuid NOT NULL,
    hlc bigint NOT NULL,
    tries integer NOT NULL,
    next_at timestamptz,
    error text,
    PRIMARY KEY (owner, record, id)
);
CREATE TABLE changes (
    n integer PRIMARY KEY AUTOINCREMENT,
    uri text NOT NULL
);

-- migrate 2 sqlite --
-- Which file this was when it got its name: a copy is another one.
ALTER TABLE replica ADD COLUMN fingerprint text;

-- query fingerprint sqlite --
-- Say which file this was when it got its name.
SELECT fingerprint FROM replica;

-- query forget_plan sqlite --
-- Forget what the planner was told.
DELETE FROM sqlite_stat1;

-- query plan sqlite --
-- Tell the planner what it cannot know, the same in every file: that nearly all memories have one owner,
-- so that an index finds little by that alone, and more by each column after it. Without this it takes
-- whatever index spares a sort, and reads all rows.
INSERT INTO sqlite_stat1 (tbl, idx, stat)
SELECT m.tbl_name, m.name, '1000000 ' || (
    SELECT group_concat(CASE
        WHEN c.name = 'owner' THEN 1000000
        WHEN l."unique" AND c.seqno = (SELECT max(seqno) FROM pragma_index_info(m.name)) THEN 1
        WHEN c.seqno < 2 THEN 100 WHEN c.seqno = 2 THEN 10 ELSE 2
    END, ' ') FROM pragma_index_info(m.name) AS c
) FROM sqlite_master AS m JOIN pragma_index_list(m.tbl_name) AS l ON l.name = m.name
WHERE m.type = 'index' AND m.tbl_name = 'memories';

-- query name_replica sqlite --
-- Give a new file its name.
INSERT INTO replica (id, clock) SELECT :id, 0 WHERE NOT EXISTS (SELECT 1 FROM replica);

-- query rename_replica sqlite --
-- Give a copy of a file a name of its own: of two changes, the name says which is the later.
UPDATE replica SET id = :id, fingerprint = :fingerprint WHERE fingerprint IS NOT :fingerprint;

-- query tick sqlite --
-- Advance the hybrid logical clock: later than all that was seen, and not behind the wall.
UPDATE replica SET clock = max(clock + 1, :wall) RETURNING id AS origin, clock AS hlc, NULL AS ver;

-- query tick postgres --
-- Advance the owner's clock, and count one more change: whoever writes next waits for this one.
UPDATE feed SET ver = ver + 1, clock = greatest(clock + 1, :wall) WHERE owner = :owner
RETURNING origin, clock AS hlc, ver;

-- query advance sqlite --
-- Note that a row of this time was seen: all that is written from now on is later.
UPDATE replica SET clock = max(clock, :hlc) RETURNING NULL AS ver;

-- query advance postgres --
-- Note that a row of this time was seen, and count one more change.
UPDATE feed SET ver = ver + 1, clock = greatest(clock, :hlc) WHERE owner = :owner RETURNING ver;

-- query mark_dirty sqlite --
-- Note that a row waits for sync; a row waits once, however often it changes.
INSERT INTO outbox (owner, record, id, hlc, tries) VALUES (:owner, :record, :id, :hlc, 0)
ON CONFLICT (owner, record, id) DO UPDATE SET hlc = excluded.hlc, tries = 0, next_at = NULL, error = NULL;

-- query waiting sqlite --
-- Count what waits for sync.
SELECT count(*) AS n FROM outbox WHERE owner = :owner;

-- query drop_dirty sqlite --
-- Forget that a row waits, because it is gone.
DELETE FROM outbox WHERE owner = :owner AND record = :record AND id = :id;

-- query note_changes sqlite --
-- Tell the other processes which resources are others now.
INSERT INTO changes (uri) SELECT value FROM json_each(:uris);

-- query trim_changes sqlite --
-- Keep the last thousands: a process looks several times a second.
DELETE FROM changes WHERE n <= (SELECT max(n) FROM changes) - :keep;

-- query last_change sqlite --
-- Say where the changes have got to.
SELECT coalesce(max(n), 0) AS n FROM changes;

-- query last_change postgres --
-- Say where the changes have got to.
SELECT coalesce(max(ver), 0) AS n FROM feed WHERE owner = :owner;

-- query changed_since sqlite --
-- List what changed after a place in the list.
SELECT DISTINCT uri FROM changes WHERE n > :n;
