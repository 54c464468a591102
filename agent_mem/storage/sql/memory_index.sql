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

-- migrate 4 postgres --
-- The same on the server, but for the vectors themselves, which need an extension (`found`).
CREATE TABLE passage_tokens (
    owner text NOT NULL,
    model text NOT NULL,
    n bigint NOT NULL,
    digest bigint NOT NULL,
    tokens bytea NOT NULL,
    PRIMARY KEY (owner, model, n)
);
CREATE TABLE embedding_models (
    owner text NOT NULL,
    model text NOT NULL,
    dim integer NOT NULL,
    complete boolean NOT NULL,
    PRIMARY KEY (owner, model)
);
CREATE TABLE embedding_queue (
    owner text NOT NULL,
    model text NOT NULL,
    n bigint NOT NULL,
    digest bigint NOT NULL,
    PRIMARY KEY (owner, model, n)
);

-- query made_of sqlite --
-- Read what a model has made of some records' passages.
SELECT p.record_id, p.part, p.digest, v.vector, t.tokens
FROM passages p JOIN memory_index v ON v.model = :model AND v.n = p.n
LEFT JOIN passage_tokens t ON t.n = p.n AND t.model = v.model
WHERE p.owner = :owner AND p.record_id IN (SELECT value FROM json_each(:ids)) AND v.vector IS NOT NULL;

-- query extension postgres --
-- Say whether pgvector is available, and in which schema it is, if it was made; whether the table
-- that needs it is there, and may be made; and whether the events' column is not, and may be.
SELECT (
    SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'vector'
) AS path, to_regclass('agent_mem.memory_index') IS NOT NULL AS found,
    EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'vector') AS available,
    has_schema_privilege('agent_mem', 'CREATE') AS may_found, EXISTS (
        SELECT 1 FROM pg_class c WHERE c.oid = to_regclass('agent_mem.events')
            AND pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (
                SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'embedding'
            )
    ) AS may_widen;

-- query extend postgres --
-- Make pgvector, where that is allowed.
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;

-- query found postgres --
-- Make the table of the vectors. A row is of a passage as it was when it had this digest.
CREATE TABLE memory_index (
    owner text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    n bigint NOT NULL,
    digest bigint NOT NULL,
    vector halfvec NOT NULL,
    PRIMARY KEY (owner, model, n)
);

-- query hurry postgres --
-- Wait for nobody who has a table.
SELECT set_config('lock_timeout', '1s', true);

-- query events_column postgres --
-- Let a program of one's own keep its vectors of events; recall and sync know nothing of them.
ALTER TABLE events ADD COLUMN IF NOT EXISTS embedding vector(1536);

-- query events_index postgres --
-- Find those that are near; made again (REINDEX) once there are some, it knows how they lie.
CREATE INDEX IF NOT EXISTS idx_agent_mem_events_embedding
    ON events USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);

-- query models postgres --
-- List the models that passages are embedded with.
SELECT model, dim, complete, CAST(NULL AS text) AS file FROM embedding_models WHERE owner = :owner;

-- query add_model postgres --
-- Note a model from which vectors are wanted.
INSERT INTO embedding_models (owner, model, dim, complete) VALUES (:owner, :model, :dim, false)
ON CONFLICT DO NOTHING RETURNING model;

-- query enqueue_all postgres --
-- Ask for the vectors that a model has not made yet.
INSERT INTO embedding_queue (owner, model, n, digest)
SELECT :owner, :model, p.n, p.digest FROM passages p WHERE p.owner = :owner AND NOT EXISTS (
    SELECT 1 FROM memory_index v
    WHERE v.owner = :owner AND v.model = :model AND v.n = p.n AND v.digest = p.digest
) {again};

-- query enqueue_again postgres --
-- Ask for all of a model's vectors, those that it has made already, too.
INSERT INTO embedding_queue (owner, model, n, digest)
SELECT :owner, :model, n, digest FROM passages WHERE owner = :owner {again};

-- query enqueue_some postgres --
-- Ask every model for the vectors of passages that are new, or others now.
INSERT INTO embedding_queue (owner, model, n, digest)
SELECT :owner, m.model, x.n, x.digest FROM embedding_models m CROSS JOIN {these}) AS x (n, digest)
WHERE m.owner = :owner {again};

-- query dequeue_some postgres --
-- Ask for some passages' vectors no more.
DELETE FROM embedding_queue WHERE owner = :owner AND n = ANY(CAST(:among AS bigint ARRAY));

-- query queued postgres --
-- List passages that wait for a model, with what it takes to read their text.
SELECT q.n, q.n AS ticket, q.owner, p.record, CAST(p.record_id AS text) AS record_id, p.part, q.digest
FROM (
    SELECT * FROM embedding_queue
    WHERE owner = :owner AND model = :model AND n > :after
      -- A case is taken for half of the rows; an equation for a few, which would be read all, and sorted.
      AND CASE WHEN n % :shares = :share THEN true ELSE false END
    ORDER BY n LIMIT :limit
) AS q LEFT JOIN passages p ON p.owner = :owner AND p.n = q.n
ORDER BY q.n;

-- query waiting postgres --
-- Count the passages that wait for a model.
SELECT count(*) AS n FROM embedding_queue WHERE owner = :owner AND model = :model;

-- query take postgres --
-- Take a passage off the queue; no row comes back if it is another by now, which waits on.
DELETE FROM embedding_queue
WHERE owner = :owner AND model = :model AND n = :ticket AND digest = :digest RETURNING n;

-- query finish postgres --
-- Note that a model has caught up.
UPDATE embedding_models SET complete = true
WHERE owner = :owner AND model = :model AND NOT complete
  AND NOT EXISTS (SELECT 1 FROM embedding_queue WHERE owner = :owner AND model = :model);

-- part again postgres --
-- Who waits, waits as what it is now.
ON CONFLICT (owner, model, n) DO UPDATE SET digest = excluded.digest

-- part keep_vector postgres --
{again}, vector = excluded.vector

-- part keep_tokens postgres --
{again}, tokens = excluded.tokens

-- query put postgres --
-- Keep a passage's vector.
INSERT INTO memory_index (owner, model, n, digest, vector)
VALUES (:owner, :model, :n, :digest, CAST(CAST(:vector AS text) AS halfvec)) {keep_vector};

-- query put_tokens postgres --
-- Keep the vectors of a passage's tokens.
INSERT INTO passage_tokens (owner, model, n, digest, tokens)
VALUES (:owner, :model, :n, :digest, :tokens) {keep_tokens};

-- part these postgres --
-- Passages that are named by a machine, each as it was when it had this digest.
unnest(CAST(:among AS bigint ARRAY), CAST(:digests AS bigint ARRAY)

-- query take_some postgres --
-- Take passages off the queue; those that are others by now wait on.
DELETE FROM embedding_queue q USING {these}) AS x (n, digest)
WHERE q.owner = :owner AND q.model = :model AND q.n = x.n AND q.digest = x.digest RETURNING q.n;

-- query put_many postgres --
-- Keep the vectors of some passages.
INSERT INTO memory_index (owner, model, n, digest, vector)
SELECT :owner, :model, x.n, x.digest, CAST(x.vector AS halfvec)
FROM {these}, CAST(:vectors AS text ARRAY)) AS x (n, digest, vector) {keep_vector};

-- query put_all_tokens postgres --
-- Keep the token vectors of some passages.
INSERT INTO passage_tokens (owner, model, n, digest, tokens)
SELECT :owner, :model, x.n, x.digest, x.tokens
FROM {these}, CAST(:tokens AS bytea ARRAY)) AS x (n, digest, tokens)
WHERE x.tokens IS NOT NULL {keep_tokens};

-- query vectors postgres --
-- Read a model's vectors of some passages, as pgvector sends them.
SELECT v.n, v.digest, halfvec_send(v.vector) AS vector, t.tokens
FROM memory_index v LEFT JOIN passage_tokens t
    ON t.owner = v.owner AND t.model = v.model AND t.n = v.n AND t.digest = v.digest
WHERE v.owner = :owner AND v.model = :model AND v.n = ANY(CAST(:among AS bigint ARRAY));

-- query cosines postgres --
-- Compare some passages' vectors with one.
SELECT v.n, 1 - (v.vector <=> CAST(CAST(:asked AS text) AS halfvec)) AS cosine
FROM memory_index v JOIN passages p ON p.owner = v.owner AND p.n = v.n AND p.digest = v.digest
WHERE v.owner = :owner AND v.model = :model AND v.n = ANY(CAST(:among AS bigint ARRAY));

-- query tokens postgres --
-- Read the token vectors of some passages.
SELECT t.n, t.tokens FROM passage_tokens t
JOIN passages p ON p.owner = t.owner AND p.n = t.n AND p.digest = t.digest
WHERE t.owner = :owner AND t.model = :model AND t.n = ANY(CAST(:among AS bigint ARRAY));

-- query search_wide postgres --
-- Have an index go on until enough is found that is allowed.
SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', :width, true);

-- query indexed postgres --
-- Count a model's vectors, and say whether an index of that name is there, and whether it may be made.
SELECT (SELECT count(*) FROM memory_index WHERE owner = :owner AND model = :model) AS vectors,
    to_regclass(:name) IS NOT NULL AS found,
    (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = to_regclass('memory_index')) AS mine;

-- query build_fast postgres --
-- Let an index be made in memory.
SELECT set_config('maintenance_work_mem', :memory, true);

-- query make postgres --
-- Make the index of a model: its name, the length of its vectors and its own are put into the text.
CREATE INDEX IF NOT EXISTS memory_index_of_model ON memory_index
USING hnsw ((CAST(vector AS halfvec(384))) halfvec_cosine_ops) WHERE model = 'of this model';

-- query count_up postgres --
-- Have the planner know how much there is, without waiting for the server's own look.
ANALYZE passages, passage_terms, passage_tokens, memory_index;

-- query drop_astray postgres --
-- Forget the vectors of passages that are gone, or others now.
DELETE FROM memory_index v WHERE v.owner = :owner AND v.model = :model AND NOT EXISTS (
    SELECT 1 FROM passages p WHERE p.owner = :owner AND p.n = v.n AND p.digest = v.digest
);

-- query drop_model postgres --
-- Forget a model.
DELETE FROM embedding_models WHERE owner = :owner AND model = :model;

-- query drop_vectors postgres --
-- Forget a model's vectors.
DELETE FROM memory_index WHERE owner = :owner AND model = :model;

-- query drop_queue postgres --
-- Forget what waits for a model.
DELETE FROM embedding_queue WHERE owner = :owner AND model = :model;

-- query drop_all_tokens postgres --
-- Forget the token vectors of a model.
DELETE FROM passage_tokens WHERE owner = :owner AND model = :model;

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
SELECT q.ticket, q.n, p.owner, p.record, p.record_id, p.part, p.digest
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
