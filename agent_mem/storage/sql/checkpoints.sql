-- migrate 1 --
-- Names for revisions of the agents' states.
CREATE TABLE checkpoints (
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
    label text NOT NULL,
    revision integer NOT NULL,
    state_id uuid NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX checkpoints_label ON checkpoints (owner, agent_name, label);

-- query of_agent --
-- List an agent's checkpoints, or those of one label, the latest first.
SELECT * FROM checkpoints
WHERE owner = :owner AND agent_name = :agent AND deleted_at IS NULL
  AND (CAST(:label AS text) IS NULL OR label = :label)
ORDER BY hlc DESC, origin DESC LIMIT :limit;
