-- migrate 1 sqlite --
-- What recall searches: every findable record, cut into passages. Derived: rebuilt at will.
CREATE TABLE passages (
    n integer PRIMARY KEY,
    owner text NOT NULL,
    record text NOT NULL,
    record_id uuid NOT NULL,
    part integer NOT NULL,
    kind text NOT NULL,
    agent_name text,
    project text,
    session_id uuid,
    topic text,
    subject text,
    at timestamptz NOT NULL,
    valid_from timestamptz,
    valid_until timestamptz,
    expires_at timestamptz,
    importance double precision NOT NULL,
    terms text NOT NULL,
    labels text NOT NULL,
    size integer NOT NULL,
    marks integer NOT NULL,
    dates text NOT NULL,
    UNIQUE (owner, record_id, part)
);
CREATE INDEX passages_at ON passages (owner, at);
CREATE INDEX passages_session ON passages (session_id, at, n) WHERE session_id IS NOT NULL;
CREATE VIRTUAL TABLE passages_fts USING fts5 (
    terms, labels, content = 'passages', content_rowid = 'n', tokenize = 'unicode61 remove_diacritics 0'
);
CREATE VIRTUAL TABLE passages_vocab USING fts5vocab (passages_fts, 'row');
CREATE TABLE passages_size (
    passages integer NOT NULL,
    terms integer NOT NULL
);
INSERT INTO passages_size (passages, terms) VALUES (0, 0);

-- migrate 2 sqlite --
-- A checksum of the text that is embedded, which the terms do not show whole.
ALTER TABLE passages ADD COLUMN digest bigint NOT NULL DEFAULT 0;

-- query put sqlite --
-- Index one passage; its key stays, so that its neighbours do.
INSERT INTO passages (
    owner, record, record_id, part, kind, agent_name, project, session_id, topic, subject,
    at, valid_from, valid_until, expires_at, importance, terms, labels, size, marks, dates,
    digest
) VALUES (
    :owner, :record, :record_id, :part, :kind, :agent_name, :project, :session_id, :topic, :subject,
    :at, :valid_from, :valid_until, :expires_at, :importance, :terms, :labels, :size, :marks, :dates,
    :digest
) ON CONFLICT (owner, record_id, part) DO UPDATE SET
    kind = excluded.kind, agent_name = excluded.agent_name, project = excluded.project, session_id = excluded.session_id,
    topic = excluded.topic, subject = excluded.subject, at = excluded.at,
    valid_from = excluded.valid_from, valid_until = excluded.valid_until,
    expires_at = excluded.expires_at, importance = excluded.importance, terms = excluded.terms,
    labels = excluded.labels, size = excluded.size, marks = excluded.marks, dates = excluded.dates,
    digest = excluded.digest
RETURNING n;

-- query held sqlite --
-- Read what the index has of a record, by part.
SELECT part, n, terms, labels, size, digest FROM passages WHERE owner = :owner AND record_id = :record_id;

-- query drop sqlite --
-- Take one passage out of the index.
DELETE FROM passages WHERE n = :n;

-- query add_words sqlite --
-- Make a passage findable by its words.
INSERT INTO passages_fts (rowid, terms, labels) VALUES (:n, :terms, :labels);

-- query drop_words sqlite --
-- Make a passage unfindable by the words that it had.
INSERT INTO passages_fts (passages_fts, rowid, terms, labels)
VALUES ('delete', :n, :terms, :labels);

-- query resize sqlite --
-- Count what came and went.
UPDATE passages_size SET passages = passages + :passages, terms = terms + :terms;

-- part allowed --
-- What a request leaves to be found: whose, of which kind, about what, from when, still valid.
p.owner = :owner
  AND (CAST(:kinds AS text) IS NULL
    OR p.record IN (SELECT value FROM json_each(:kinds))
    OR p.kind IN (SELECT value FROM json_each(:kinds)))
  AND (CAST(:topic AS text) IS NULL OR p.topic = :topic)
  AND (CAST(:agent AS text) IS NULL OR p.agent_name = :agent)
  AND (CAST(:project AS text) IS NULL OR p.project = :project OR p.project IS NULL)
  AND p.at >= :since AND p.at < :until
  AND (p.expires_at IS NULL OR p.expires_at > :valid_at)
  AND (CAST(:ended AS boolean) OR p.valid_until IS NULL OR p.valid_until > :valid_at)
  AND coalesce(p.valid_from, p.at) <= :begun_by

-- query matching sqlite --
-- Find the passages that fit a full-text query best (BM25), among what is allowed.
SELECT p.n, p.record_id, p.terms, 1 AS allowed
FROM passages_fts f CROSS JOIN passages p ON p.n = f.rowid
WHERE f.passages_fts MATCH :match AND {allowed}
ORDER BY f.rank LIMIT :limit;

-- part shape --
-- What ranking reads of a passage.
p.n, p.record, p.record_id, p.part, p.session_id, p.topic, p.subject, p.importance, p.terms,
    p.marks, p.dates, p.at

-- query latest_matching sqlite --
-- Find the latest passages that fit a full-text query, among what is allowed.
SELECT p.n, p.record_id, p.terms, 1 AS allowed
FROM passages_fts f CROSS JOIN passages p ON p.n = f.rowid
WHERE f.passages_fts MATCH :match AND {allowed}
ORDER BY f.rowid DESC LIMIT :limit;

-- query newest sqlite --
-- List the first passages of the latest records, among what is allowed.
SELECT {shape}, 1 AS allowed FROM passages p
WHERE p.part = 0 AND {allowed} ORDER BY p.at DESC, p.n DESC LIMIT :limit;

-- query records sqlite --
-- Name the records of some passages.
SELECT n, record_id FROM passages WHERE n IN (SELECT value FROM json_each(:among));

-- query links sqlite --
-- Name what stands one and two places before, and after, some passages in their sessions.
SELECT a.n, (
    SELECT b.n FROM passages b WHERE b.session_id = a.session_id AND (b.at, b.n) < (a.at, a.n)
    ORDER BY b.at DESC, b.n DESC LIMIT 1
) AS previous, (
    SELECT b.n FROM passages b WHERE b.session_id = a.session_id AND (b.at, b.n) < (a.at, a.n)
    ORDER BY b.at DESC, b.n DESC LIMIT 1 OFFSET 1
) AS earlier, (
    SELECT b.n FROM passages b WHERE b.session_id = a.session_id AND (b.at, b.n) > (a.at, a.n)
    ORDER BY b.at, b.n LIMIT 1
) AS next, (
    SELECT b.n FROM passages b WHERE b.session_id = a.session_id AND (b.at, b.n) > (a.at, a.n)
    ORDER BY b.at, b.n LIMIT 1 OFFSET 1
) AS later FROM passages a WHERE a.n IN (SELECT value FROM json_each(:among));

-- query fetch sqlite --
-- Fetch some passages, and say which are allowed.
SELECT {shape}, {allowed} AS allowed
FROM passages p WHERE p.n IN (SELECT value FROM json_each(:among));

-- query frequencies sqlite --
-- Count in how many passages each of some terms occurs.
SELECT term, doc FROM passages_vocab WHERE term IN (SELECT value FROM json_each(:terms));

-- query totals sqlite --
-- Count the passages, and the terms in all of them.
SELECT passages, terms FROM passages_size;
