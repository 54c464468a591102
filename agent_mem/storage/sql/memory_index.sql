-- migrate 1 sqlite --
-- Embeddings of the passages, of several models side by side. Derived: made anew at will.
-- A row without a vector tells that its passage is gone, or is another now. The highest seq of a
-- model says what changed last, so no row is ever deleted while its model is in use.
CREATE TABLE memory_index (
    model text NOT NULL,
    n integer NOT NULL,
    seq integer NOT NULL,
    vector bytea,
    PRIMARY KEY (model, n)
);
CREATE UNIQUE INDEX memory_index_seq ON memory_index (model, seq);
CREATE TABLE passage_tokens (
    n integer PRIMARY KEY,
    model text NOT NULL,
    tokens bytea NOT NULL
);
CREATE TABLE embedding_models (
    model text PRIMARY KEY,
    dim integer NOT NULL,
    complete boolean NOT NULL,
    file text,
    file_seq integer
);
CREATE TABLE embedding_queue (
    ticket integer PRIMARY KEY AUTOINCREMENT,
    model text NOT NULL,
    n integer NOT NULL,
    UNIQUE (model, n)
);

-- migrate 2 sqlite --
-- A model that was forgotten begins anew under another name, since its order of changes does, too.
ALTER TABLE embedding_models ADD COLUMN life text;
UPDATE embedding_models SET life = lower(hex(randomblob(16)));

-- migrate 3 sqlite --
-- The latest of what waits for a model, without a look at all that waits.
CREATE INDEX embedding_queue_latest ON embedding_queue (model);

-- query models sqlite --
-- List the models that passages are embedded with.
SELECT model, dim, complete, file, file_seq, life FROM embedding_models;

-- query add_model sqlite --
-- Note a model from which vectors are wanted.
INSERT INTO embedding_models (model, dim, complete, life)
VALUES (:model, :dim, false, lower(hex(randomblob(16))))
ON CONFLICT DO NOTHING RETURNING model;

-- query enqueue_all sqlite --
-- Ask for the vectors that a model has not made yet.
INSERT INTO embedding_queue (model, n)
SELECT :model, p.n FROM passages p WHERE NOT EXISTS (
    SELECT 1 FROM memory_index v WHERE v.model = :model AND v.n = p.n AND v.vector IS NOT NULL
) ORDER BY p.n ON CONFLICT DO NOTHING;

-- query enqueue_again sqlite --
-- Ask for all of a model's vectors, those that it has made already, too.
INSERT OR REPLACE INTO embedding_queue (model, n) SELECT :model, n FROM passages ORDER BY n;

-- query enqueue sqlite --
-- Ask every model for the vector of a passage that is new, or is another now.
INSERT OR REPLACE INTO embedding_queue (model, n) SELECT model, :n FROM embedding_models;

-- query dequeue sqlite --
-- Ask for a passage's vectors no more.
DELETE FROM embedding_queue WHERE n = :n;

-- query queued sqlite --
-- List the latest passages that wait for a model, with what it takes to read their text.
SELECT q.ticket, q.n, p.owner, p.record, p.record_id, p.part
FROM embedding_queue q LEFT JOIN passages p ON p.n = q.n
WHERE q.model = :model AND q.ticket % :shares = :share ORDER BY q.ticket DESC LIMIT :limit;

-- query waiting sqlite --
-- Count the passages that wait for a model.
SELECT count(*) AS n FROM embedding_queue WHERE model = :model;

-- query take sqlite --
-- Take a passage off the queue; no row comes back if it is another by now.
DELETE FROM embedding_queue WHERE ticket = :ticket RETURNING n;

-- query finish sqlite --
-- Note that a model has caught up.
UPDATE embedding_models SET complete = true
WHERE model = :model AND NOT complete
  AND NOT EXISTS (SELECT 1 FROM embedding_queue WHERE model = :model);

-- query put sqlite --
-- Keep a passage's vector.
INSERT INTO memory_index (model, n, seq, vector) VALUES (
    :model, :n, (SELECT coalesce(max(seq), 0) + 1 FROM memory_index WHERE model = :model), :vector
) ON CONFLICT (model, n) DO UPDATE SET seq = excluded.seq, vector = excluded.vector;

-- query put_tokens sqlite --
-- Keep the vectors of a passage's tokens.
INSERT OR REPLACE INTO passage_tokens (n, model, tokens) VALUES (:n, :model, :tokens);

-- query touch sqlite --
-- Tell every index that the facts about a passage are others now.
UPDATE memory_index SET seq = (
    SELECT max(m.seq) + 1 FROM memory_index m WHERE m.model = memory_index.model
) WHERE n = :n;

-- query clear sqlite --
-- Tell every index that a passage is gone, or is another now.
UPDATE memory_index SET vector = NULL, seq = (
    SELECT max(m.seq) + 1 FROM memory_index m WHERE m.model = memory_index.model
) WHERE n = :n;

-- query unqueued sqlite --
-- Count the passages that have no vector of a model, and do not wait for it.
SELECT count(*) AS n FROM passages p WHERE NOT EXISTS (
    SELECT 1 FROM memory_index v WHERE v.model = :model AND v.n = p.n AND v.vector IS NOT NULL
) AND NOT EXISTS (SELECT 1 FROM embedding_queue q WHERE q.model = :model AND q.n = p.n);

-- query astray sqlite --
-- List the passages that are gone, but have vectors.
SELECT n FROM memory_index WHERE vector IS NOT NULL AND n NOT IN (SELECT n FROM passages)
UNION SELECT n FROM passage_tokens WHERE n NOT IN (SELECT n FROM passages);

-- query drop_tokens sqlite --
-- Forget the vectors of a passage's tokens.
DELETE FROM passage_tokens WHERE n = :n;

-- query latest sqlite --
-- Say where a model's vectors have got to, and in which of its lives.
SELECT coalesce(max(seq), 0) AS seq,
    (SELECT life FROM embedding_models WHERE model = :model) AS life
FROM memory_index WHERE model = :model;

-- query tail sqlite --
-- Read what changed after a place in the order of changes, with the facts that filters ask for.
-- Times are cut to whole seconds: `strftime` would round some up.
SELECT v.n, v.seq, CASE WHEN p.n IS NULL THEN NULL ELSE v.vector END AS vector,
    p.owner, p.record, p.kind, p.topic, p.agent_name, p.project,
    CAST(strftime('%s', substr(p.at, 1, 19)) AS bigint) AS at,
    CAST(strftime('%s', substr(coalesce(p.valid_from, p.at), 1, 19)) AS bigint) AS begins,
    coalesce(CAST(strftime('%s', substr(p.valid_until, 1, 19)) AS bigint), :never) AS ends,
    coalesce(CAST(strftime('%s', substr(p.expires_at, 1, 19)) AS bigint), :never) AS expires
FROM memory_index v LEFT JOIN passages p ON p.n = v.n
WHERE v.model = :model AND v.seq > :seq ORDER BY v.seq LIMIT :limit;

-- query tokens sqlite --
-- Read the token vectors of some passages.
SELECT n, tokens FROM passage_tokens
WHERE model = :model AND n IN (SELECT value FROM json_each(:among));

-- query note_file sqlite --
-- Note the file that a model's index was last written to.
UPDATE embedding_models SET file = :file, file_seq = :seq WHERE model = :model;

-- query forget_file sqlite --
-- Note that a model's index is in no file.
UPDATE embedding_models SET file = NULL, file_seq = NULL WHERE model = :model;

-- query drop_model sqlite --
-- Forget a model.
DELETE FROM embedding_models WHERE model = :model;

-- query drop_vectors sqlite --
-- Forget a model's vectors.
DELETE FROM memory_index WHERE model = :model;

-- query drop_queue sqlite --
-- Forget what waits for a model.
DELETE FROM embedding_queue WHERE model = :model;

-- query drop_all_tokens sqlite --
-- Forget the token vectors of a model.
DELETE FROM passage_tokens WHERE model = :model;
