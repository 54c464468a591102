-- migrate 1 --
-- Long-term memory. The same content again reinforces it; a correction supersedes it.
CREATE TABLE memories (
    owner text NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    hlc bigint NOT NULL,
    origin uuid NOT NULL,
    ver bigint,
    schema_v integer NOT NULL,
    extra jsonb NOT NULL,
    agent_name text NOT NULL,
    project text,
    session_id uuid,
    topic text,
    subject text,
    occurred_at timestamptz,
    kind text NOT NULL,
    content text NOT NULL,
    relevance double precision NOT NULL,
    tags text ARRAY NOT NULL,
    shared_with text ARRAY NOT NULL,
    source_ids text ARRAY NOT NULL,
    content_hash text NOT NULL,
    reinforced integer NOT NULL,
    valid_from timestamptz,
    valid_until timestamptz,
    superseded_by uuid,
    expires_at timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX memories_hash ON memories (owner, content_hash);
CREATE INDEX memories_topic ON memories (owner, topic);

-- migrate 2 sqlite --
-- What a hook looks through while a conversation waits for it.
CREATE INDEX memories_lasting ON memories (owner, updated_at, project)
    WHERE deleted_at IS NULL AND superseded_by IS NULL;

-- query same --
-- Find the memory that says the same.
SELECT * FROM memories
WHERE owner = :owner AND content_hash = :content_hash AND deleted_at IS NULL AND superseded_by IS NULL
ORDER BY id;

-- query topics --
-- List the topics after a name, with how much is known of each and since when.
SELECT topic, count(*) AS memories, max(updated_at) AS updated_at FROM memories
WHERE owner = :owner AND deleted_at IS NULL AND superseded_by IS NULL AND topic > :after
GROUP BY topic ORDER BY topic LIMIT :limit;

-- query of_topic --
-- List what is known of a topic, the latest first.
SELECT * FROM memories
WHERE owner = :owner AND topic = :topic AND deleted_at IS NULL AND superseded_by IS NULL
ORDER BY updated_at DESC, id LIMIT :limit;

-- query topic_names --
-- List the names of the topics.
SELECT DISTINCT topic AS name FROM memories
WHERE owner = :owner AND topic IS NOT NULL AND deleted_at IS NULL ORDER BY topic LIMIT 500;

-- query agent_names --
-- List the agents that wrote memories, have skills or are registered.
SELECT agent_name AS name FROM memories WHERE owner = :owner
UNION SELECT agent_name FROM agent_skill_bindings WHERE owner = :owner
UNION SELECT agent_name FROM agents WHERE owner = :owner
ORDER BY 1 LIMIT 500;

-- query project_names --
-- List which projects have memories.
SELECT DISTINCT project AS name FROM memories
WHERE owner = :owner AND project IS NOT NULL ORDER BY project LIMIT 500;

-- query of_agent --
-- List what an agent wrote, the latest first.
SELECT * FROM memories
WHERE owner = :owner AND agent_name = :agent AND deleted_at IS NULL AND superseded_by IS NULL
ORDER BY updated_at DESC, id LIMIT :limit;

-- query all_of_topic --
-- List all of a topic, forgotten or not.
SELECT * FROM memories WHERE owner = :owner AND topic = :topic ORDER BY id;

-- query touched --
-- Count the memories that changed in a time window, by topic.
SELECT topic, count(*) AS memories FROM memories
WHERE owner = :owner AND topic IS NOT NULL AND updated_at >= :since AND deleted_at IS NULL
  AND (CAST(:project AS text) IS NULL OR project = :project)
GROUP BY topic ORDER BY memories DESC, topic LIMIT :limit;

-- query lasting sqlite --
-- List what matters most among what was lately learned or learned again, of one project.
SELECT * FROM (
    SELECT * FROM memories
    WHERE owner = :owner AND deleted_at IS NULL AND superseded_by IS NULL
      AND (expires_at IS NULL OR expires_at > :now)
      AND (valid_until IS NULL OR valid_until > :now)
      AND (CAST(:project AS text) IS NULL OR project = :project OR project IS NULL)
    ORDER BY updated_at DESC LIMIT :among
) AS lately
ORDER BY relevance DESC, reinforced DESC, updated_at DESC, id LIMIT :limit;
