-- query tables sqlite --
-- List the tables of a file, whosever they are.
SELECT name FROM sqlite_master WHERE type = 'table';

-- query check_words sqlite --
-- Compare the full-text index with the passages; it fails where they differ.
INSERT INTO passages_fts (passages_fts, rank) VALUES ('integrity-check', 1);

-- query rebuild_words sqlite --
-- Make the full-text index anew from the passages.
INSERT INTO passages_fts (passages_fts) VALUES ('rebuild');

-- query passages_of sqlite --
-- Read all that the index has of some records.
SELECT * FROM passages
WHERE owner = :owner AND record_id IN (SELECT value FROM json_each(:ids))
ORDER BY record_id, part;

-- query counted sqlite --
-- Count the passages, and the terms in all of them, as they are.
SELECT count(*) AS passages, coalesce(sum(size), 0) AS terms FROM passages;

-- query drop_totals sqlite --
-- Forget how many passages and terms there were said to be.
DELETE FROM passages_size;

-- query put_totals sqlite --
-- Say how many passages and terms there are.
INSERT INTO passages_size (passages, terms) SELECT count(*), coalesce(sum(size), 0) FROM passages;

-- query corrected_by_none sqlite --
-- Count the memories whose correction is not there.
SELECT count(*) AS n, min(m.id) AS first FROM memories m
WHERE m.owner = :owner AND m.deleted_at IS NULL AND m.superseded_by IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM memories c WHERE c.owner = m.owner AND c.id = m.superseded_by);

-- query led_to_by_none sqlite --
-- Count the decisions whose parent is not there.
SELECT count(*) AS n, min(d.id) AS first FROM decisions d
WHERE d.owner = :owner AND d.deleted_at IS NULL AND d.parent_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM decisions p WHERE p.owner = d.owner AND p.id = d.parent_id);
