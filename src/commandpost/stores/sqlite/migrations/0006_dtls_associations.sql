-- DTLS associations that outlive a restart. Conventions are those of 0001.

-- sealed_state holds traffic keys, and numbers up to which records may have been sent under them.
CREATE TABLE dtls_association (
    remote        BLOB PRIMARY KEY CHECK (length(remote) <= 32),
    device_id     INTEGER NOT NULL,
    sealed_state  BLOB NOT NULL,
    saved_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX dtls_association_by_device ON dtls_association (device_id);
