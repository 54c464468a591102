-- migrate 1 --
-- What lost where two machines changed a row before they heard of each other.
CREATE TABLE record_history (
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
    record text NOT NULL,
    record_id uuid NOT NULL,
    body jsonb NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX record_history_of ON record_history (owner, record, record_id);

-- query of_record --
-- List what was lost of a row.
SELECT * FROM record_history
WHERE owner = :owner AND record = :record AND record_id = :record_id
ORDER BY hlc DESC, id LIMIT :limit;

-- query latest --
-- List what was lost last, of all rows.
SELECT * FROM record_history
WHERE owner = :owner
ORDER BY hlc DESC, id LIMIT :limit;
