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

-- migrate 3 postgres --
-- What the server finds by. A passage's key is made of its record's and its part, so that its
-- vectors stay its own, whichever machine has sent them. Its words are rows: a full-text operator
-- uses no index where rows are hidden by owner, since it might tell what it has seen.
CREATE TABLE passages (
    owner text NOT NULL,
    n bigint NOT NULL,
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
    digest bigint NOT NULL,
    made timestamptz NOT NULL,
    PRIMARY KEY (owner, n)
);
CREATE INDEX passages_record ON passages (owner, record_id);
CREATE INDEX passages_at ON passages (owner, at);
CREATE INDEX passages_session ON passages (owner, session_id, at, made, part, n) WHERE session_id IS NOT NULL;
CREATE TABLE passage_terms (
    owner text NOT NULL,
    term text NOT NULL,
    at timestamptz NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (owner, term, at, n)
);
CREATE TABLE passages_size (
    owner text NOT NULL,
    passages bigint NOT NULL,
    terms bigint NOT NULL,
    PRIMARY KEY (owner)
);

-- query of_records sqlite --
-- Read the passages of some records.
SELECT record, record_id, part, kind, agent_name, project, session_id, topic, subject, at, valid_from,
    valid_until, expires_at, importance, terms, labels, size, marks, dates, digest
FROM passages WHERE owner = :owner AND record_id IN (SELECT value FROM json_each(:ids));

-- part ids postgres --
record_id = ANY(CAST(:ids AS uuid ARRAY))

-- part listed postgres --
-- Which words a passage is found by.
CROSS JOIN LATERAL (SELECT DISTINCT unnest(string_to_array(p.terms || ' ' || p.labels, ' ')) AS term) AS w

-- query unlist postgres --
-- Have some records' passages found by no word.
DELETE FROM passage_terms t USING passages p {listed}
WHERE p.owner = :owner AND p.{ids} AND t.owner = :owner AND t.term = w.term AND t.at = p.at AND t.n = p.n;

-- query remove postgres --
-- Take some records' passages out of the index.
DELETE FROM passages WHERE owner = :owner AND {ids} RETURNING n, size, digest;

-- query add postgres --
-- Index passages.
INSERT INTO passages SELECT * FROM jsonb_populate_recordset(CAST(NULL AS passages), CAST(:rows AS jsonb));

-- query list postgres --
-- Have some records' passages found by their words.
INSERT INTO passage_terms (owner, term, at, n)
SELECT p.owner, w.term, p.at, p.n FROM passages p {listed}
WHERE p.owner = :owner AND p.{ids} AND w.term <> '';

-- query resize postgres --
-- Count what came and went.
INSERT INTO passages_size AS s (owner, passages, terms) VALUES (:owner, :passages, :terms)
ON CONFLICT (owner) DO UPDATE SET passages = s.passages + excluded.passages, terms = s.terms + excluded.terms;

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
-- Read what the index has of some records.
SELECT record_id, part, n, terms, labels, size, digest FROM passages
WHERE owner = :owner AND record_id IN (SELECT value FROM json_each(:ids));

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

-- part kinds sqlite --
(SELECT value FROM json_each(:kinds))

-- part kinds postgres --
(SELECT unnest(CAST(:kinds AS text ARRAY)))

-- part among sqlite --
-- Some passages by their keys. The sign keeps the planner from an index by owner, which would be
-- read whole: nearly all passages of a file have one owner.
+p.owner = :owner AND p.n IN (SELECT value FROM json_each(:among))

-- part among postgres --
-- Some passages by their keys.
p.owner = :owner AND p.n = ANY(CAST(:among AS bigint ARRAY))

-- part all_kinds sqlite --
CAST(:kinds AS text) IS NULL

-- part all_kinds postgres --
CAST(:kinds AS text ARRAY) IS NULL

-- part allowed --
-- What a request leaves to be found: whose, of which kind, about what, from when, still valid.
p.owner = :owner
  AND ({all_kinds} OR p.record IN {kinds} OR p.kind IN {kinds})
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

-- part read postgres --
-- A passage by its key, whatever the planner thinks of other ways to it, and what it says as words
-- between spaces; no phrase goes on from its text to its labels.
CROSS JOIN LATERAL (
    SELECT *, ' ' || terms || ' | ' || labels || ' ' AS said FROM passages WHERE owner = :owner AND n = t.n LIMIT 1
) AS p CROSS JOIN LATERAL (
    SELECT count(*) AS words, sum(w.weight * w.times / (w.times + CAST(:damping AS double precision) + CAST(:lengthy AS double precision) * p.size)) AS score
    FROM (
        SELECT weight, (length(p.said) - length(replace(p.said, ' ' || word || ' ', ''))) / CAST(length(word) + 2 AS double precision)
        FROM unnest(CAST(:words AS text ARRAY), CAST(:weights AS double precision ARRAY)) AS w (word, weight)
    ) AS w (weight, times) WHERE w.times > 0
) AS has

-- part fits postgres --
-- What fits a request's words: enough of them, with every phrase, and without what is excluded.
has.words >= :least AND NOT EXISTS (
    SELECT 1 FROM unnest(CAST(:phrases AS text ARRAY)) AS w (word) WHERE strpos(p.said, ' ' || w.word || ' ') = 0
) AND NOT EXISTS (
    SELECT 1 FROM unnest(CAST(:excluded AS text ARRAY)) AS w (word) WHERE strpos(p.said, ' ' || w.word || ' ') > 0
)

-- query matching postgres --
-- Find the passages that fit a request's words best, among what is allowed: those that have one of
-- the leading words, by BM25.
SELECT p.n, CAST(p.record_id AS text) AS record_id, p.terms, 1 AS allowed
FROM (
    SELECT DISTINCT n FROM passage_terms WHERE owner = :owner AND term = ANY(CAST(:leads AS text ARRAY))
) AS t {read}
WHERE {allowed} AND {fits}
ORDER BY has.score DESC, p.at DESC, p.n
LIMIT :limit;

-- query latest_matching postgres --
-- Find the latest passages that fit a request's words, among what is allowed.
SELECT p.n, CAST(p.record_id AS text) AS record_id, p.terms, 1 AS allowed
FROM (
    SELECT n, at FROM passage_terms WHERE owner = :owner AND term = ANY(CAST(:leads AS text ARRAY))
    ORDER BY at DESC, n DESC OFFSET 0
) AS t {read}
WHERE {allowed} AND {fits} LIMIT :limit;

-- part shape postgres --
-- What ranking reads of a passage, as the other database has it.
p.n, p.record, CAST(p.record_id AS text) AS record_id, p.part, CAST(p.session_id AS text) AS session_id,
    p.topic, p.subject, p.importance, p.terms, p.marks, p.dates,
    to_char(p.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS at

-- part shape sqlite --
-- What ranking reads of a passage.
p.n, p.record, p.record_id, p.part, p.session_id, p.topic, p.subject, p.importance, p.terms,
    p.marks, p.dates, p.at

-- query latest_matching sqlite --
-- Find the latest passages that fit a full-text query, among what is allowed.
SELECT p.n, p.record_id, p.terms, 1 AS allowed
FROM passages_fts f CROSS JOIN passages p ON p.n = f.rowid
WHERE f.passages_fts MATCH :match AND {allowed}
ORDER BY f.rowid DESC LIMIT :limit;

-- query near postgres --
-- Find the passages whose vectors have the highest cosine, among what is allowed. The length of a
-- vector stands in the text, since an index is of vectors of one length.
SELECT v.n, 1 - (CAST(v.vector AS halfvec(384)) <=> CAST(CAST(:asked AS text) AS halfvec(384))) AS cosine
FROM memory_index v JOIN passages p ON p.owner = v.owner AND p.n = v.n AND p.digest = v.digest
WHERE v.owner = :owner AND v.model = :model AND {allowed}
ORDER BY CAST(v.vector AS halfvec(384)) <=> CAST(CAST(:asked AS text) AS halfvec(384)) LIMIT :limit;

-- query newest --
-- List the first passages of the latest records, among what is allowed.
SELECT {shape}, 1 AS allowed FROM passages p
WHERE p.part = 0 AND {allowed} ORDER BY p.at DESC, p.n DESC LIMIT :limit;

-- query records --
-- Name the records of some passages.
SELECT p.n, CAST(p.record_id AS text) AS record_id FROM passages p WHERE {among};

-- query links sqlite --
-- Name what stands one and two places before, and after, some passages in their sessions.
SELECT p.n, (
    SELECT b.n FROM passages b WHERE b.session_id = p.session_id AND (b.at, b.n) < (p.at, p.n)
    ORDER BY b.at DESC, b.n DESC LIMIT 1
) AS previous, (
    SELECT b.n FROM passages b WHERE b.session_id = p.session_id AND (b.at, b.n) < (p.at, p.n)
    ORDER BY b.at DESC, b.n DESC LIMIT 1 OFFSET 1
) AS earlier, (
    SELECT b.n FROM passages b WHERE b.session_id = p.session_id AND (b.at, b.n) > (p.at, p.n)
    ORDER BY b.at, b.n LIMIT 1
) AS next, (
    SELECT b.n FROM passages b WHERE b.session_id = p.session_id AND (b.at, b.n) > (p.at, p.n)
    ORDER BY b.at, b.n LIMIT 1 OFFSET 1
) AS later FROM passages p WHERE {among};

-- part of_its_session postgres --
-- The passages of the same session, as one of the owner's.
FROM passages b WHERE b.owner = :owner AND b.session_id = p.session_id

-- part before postgres --
-- Those before it, the nearest first.
{of_its_session} AND (b.at, b.made, b.part, b.n) < (p.at, p.made, p.part, p.n)
    ORDER BY b.at DESC, b.made DESC, b.part DESC, b.n DESC

-- part after postgres --
-- Those after it, the nearest first.
{of_its_session} AND (b.at, b.made, b.part, b.n) > (p.at, p.made, p.part, p.n)
    ORDER BY b.at, b.made, b.part, b.n

-- query links postgres --
-- Name what stands one and two places before, and after, some passages in their sessions.
SELECT p.n,
    (SELECT b.n {before} LIMIT 1) AS previous,
    (SELECT b.n {before} LIMIT 1 OFFSET 1) AS earlier,
    (SELECT b.n {after} LIMIT 1) AS next,
    (SELECT b.n {after} LIMIT 1 OFFSET 1) AS later
FROM passages p WHERE {among};

-- query fetch --
-- Fetch some passages, and say which are allowed.
SELECT {shape}, {allowed} AS allowed
FROM passages p WHERE {among};

-- query frequencies sqlite --
-- Count in how many passages each of some terms occurs.
SELECT term, doc FROM passages_vocab WHERE term IN (SELECT value FROM json_each(:terms));

-- query frequencies postgres --
-- Count in how many passages each of some terms occurs.
SELECT term, count(*) AS doc FROM passage_terms
WHERE owner = :owner AND term = ANY(CAST(:terms AS text ARRAY)) GROUP BY term;

-- query totals postgres --
-- Count the passages, and the terms in all of them.
SELECT coalesce(max(passages), 0) AS passages, coalesce(max(terms), 0) AS terms
FROM passages_size WHERE owner = :owner;

-- query totals sqlite --
-- Count the passages, and the terms in all of them.
SELECT passages, terms FROM passages_size;
