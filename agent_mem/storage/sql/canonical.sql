-- migrate 1 postgres --
-- What the server knows of each owner: how far the changes are, and which machines follow them.
CREATE TABLE feed (
    owner text NOT NULL,
    ver bigint NOT NULL,
    clock bigint NOT NULL,
    origin uuid NOT NULL,
    epoch uuid NOT NULL,
    gc_ver bigint NOT NULL,
    min_writer integer NOT NULL,
    PRIMARY KEY (owner)
);
CREATE TABLE replicas (
    owner text NOT NULL,
    id uuid NOT NULL,
    host text NOT NULL,
    ver bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (owner, id)
);

-- migrate 2 postgres --
-- How often each machine was here: one that remembers more of it has met a later state of this server.
ALTER TABLE replicas ADD COLUMN met bigint NOT NULL DEFAULT 0;

-- query schema_exists postgres --
-- Look whether the schema has been made, perhaps by someone who may do more.
SELECT to_regnamespace('agent_mem') IS NOT NULL AS found;

-- query schema postgres --
-- Make the schema that everything is in.
CREATE SCHEMA agent_mem;

-- query ledger_exists postgres --
-- Look whether the tables have been made.
SELECT to_regclass('agent_mem.schema_ledger') IS NOT NULL AS found;

-- query lock postgres --
-- Let the other machines wait that want to update the tables, too.
LOCK TABLE schema_ledger IN SHARE ROW EXCLUSIVE MODE;

-- query settle postgres --
-- Say whose rows this transaction may see, and where the tables are.
SELECT set_config('agent_mem.owner', :owner, true), set_config('search_path', :path, true);

-- query unprotected postgres --
-- List our tables on which there is no policy yet.
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'agent_mem' AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'owner')
  AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'owner_only')
ORDER BY c.relname;

-- query uncounted postgres --
-- Say whether a table has rows, was not analyzed since it has them, and is this role's to analyze. One
-- that is spread over others has none itself.
SELECT pg_relation_size(oid) > 0 AND reltuples <= 0 AND pg_has_role(relowner, 'USAGE') AS uncounted
FROM pg_class WHERE oid = to_regclass(:table);

-- query count_passages postgres --
-- Have the planner learn what the passages are like.
ANALYZE passages;

-- query count_passage_terms postgres --
-- Have the planner learn how often words are in passages.
ANALYZE passage_terms;

-- query count_embedding_queue postgres --
-- Have the planner learn what the passages are like that wait for a model.
ANALYZE embedding_queue;

-- query enrol postgres --
-- Begin an owner's feed; it is a new one where there was none.
INSERT INTO feed (owner, ver, clock, origin, epoch, gc_ver, min_writer)
VALUES (:owner, 0, 0, :origin, :epoch, 0, 0) ON CONFLICT (owner) DO NOTHING;
