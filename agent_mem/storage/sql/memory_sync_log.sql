-- migrate 1 --
-- One pass of the sync that moved rows, or failed.
CREATE TABLE memory_sync_log (
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
    sync_source text NOT NULL,
    session_id uuid,
    events_synced integer NOT NULL,
    sync_started_at timestamptz NOT NULL,
    sync_ended_at timestamptz,
    status text NOT NULL,
    error_message text,
    meta jsonb NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (owner, id)
);
CREATE INDEX memory_sync_log_started ON memory_sync_log (owner, sync_started_at);

-- query latest --
-- List the latest passes.
SELECT * FROM memory_sync_log WHERE owner = :owner AND deleted_at IS NULL
ORDER BY sync_started_at DESC, id LIMIT :limit;
