-- migrate 1 --
-- What a behavior found; worth a memory once it is promoted.
CREATE TABLE insights (
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
    behavior_id uuid NOT NULL,
    run_id uuid NOT NULL,
    topic text NOT NULL,
    content text NOT NULL,
    relevance double precision NOT NULL,
    promoted_to uuid,
    PRIMARY KEY (owner, id)
);
CREATE INDEX insights_run ON insights (owner, run_id);
