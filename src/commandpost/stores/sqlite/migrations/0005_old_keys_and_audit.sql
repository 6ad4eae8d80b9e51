-- Keys that were replaced and are good for a while yet, and who did what. Conventions are those of 0001.

CREATE TABLE retiring_key (
    key_index   BLOB PRIMARY KEY,
    product_id  INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('master', 'access', 'register')),
    sealed      BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX retiring_key_by_product ON retiring_key (product_id, kind, expires_at);
CREATE INDEX retiring_key_retention ON retiring_key (expires_at);

-- number is the order of writing; times counts calls of one second that differ in nothing but their moment. product_id is
-- NULL where nobody was recognised. No key and no body is ever among the columns.
CREATE TABLE audit_entry (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    product_id  INTEGER,
    actor       TEXT NOT NULL CHECK (actor IN ('master', 'device_key', 'token', 'device_token', 'operator', 'nobody')),
    key_title   TEXT NOT NULL CHECK (length(key_title) <= 256),
    action      TEXT NOT NULL CHECK (length(action) <= 200),
    target      TEXT NOT NULL CHECK (length(target) <= 200),
    remote      TEXT NOT NULL CHECK (length(remote) <= 100),
    result      TEXT NOT NULL CHECK (length(result) <= 32),
    times       INTEGER NOT NULL CHECK (times > 0)
) STRICT;

CREATE INDEX audit_by_product ON audit_entry (product_id, number);
