-- migrate 1 --
-- The revisions of the agents' states: each is a row that is never changed.
CREATE TABLE agent_state (
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
    state jsonb NOT NULL,
    revision integer NOT NULL,
    parent_id uuid,
    restored_id uuid,
    PRIMARY KEY (owner, id)
);
CREATE INDEX agent_state_latest ON agent_state (owner, agent_name, revision, hlc, origin);
CREATE INDEX agent_state_written ON agent_state (owner, agent_name, created_at);
CREATE INDEX agent_state_parent ON agent_state (owner, parent_id);

-- query current --
-- Find an agent's current state: the highest revision, of two of one number the later.
SELECT * FROM agent_state
WHERE owner = :owner AND agent_name = :agent AND deleted_at IS NULL
ORDER BY revision DESC, hlc DESC, origin DESC LIMIT 1;

-- query numbered --
-- List the revisions of a number; more than one if machines wrote it apart.
SELECT * FROM agent_state
WHERE owner = :owner AND agent_name = :agent AND revision = :revision AND deleted_at IS NULL
ORDER BY hlc DESC, origin DESC LIMIT 50;

-- query lost --
-- List the ends of what was written apart and did not become the current state. Their numbers are
-- among those that were given twice, since the current state has one of each below it.
SELECT * FROM agent_state s
WHERE owner = :owner AND agent_name = :agent AND deleted_at IS NULL AND created_at >= :since
  AND revision IN (
    SELECT revision FROM agent_state WHERE owner = :owner AND agent_name = :agent
    GROUP BY revision HAVING count(*) > 1
  )
  AND id <> :current AND NOT EXISTS (
    SELECT 1 FROM agent_state later WHERE later.owner = :owner AND later.parent_id = s.id
  )
ORDER BY revision DESC, hlc DESC, origin DESC LIMIT :limit;
