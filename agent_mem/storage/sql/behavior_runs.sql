-- migrate 1 --
-- One run of a behavior, and what came of it.
CREATE TABLE behavior_runs (
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
    behavior_id uuid NOT NULL,
    trigger text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    status text NOT NULL,
    output jsonb NOT NULL,
    error text,
    duration_ms double precision,
    PRIMARY KEY (owner, id)
);
CREATE INDEX runs_of ON behavior_runs (owner, behavior_id, started_at);
