-- Connections over MQTT and EDP, device-level keys, reported data, and what topics keep. Conventions are those of 0001.

-- --- connections and payloads ---------------------------------------------------------------------------------------

-- A connection has a session's narrow row: one place for the epoch, and for who is online. It has no detail, and no
-- deadline: its transport knows when it ends.
ALTER TABLE session ADD COLUMN transport TEXT NOT NULL DEFAULT 'lwm2m' CHECK (transport IN ('lwm2m', 'mqtt', 'edp'));

-- Made anew without the connections.
DROP INDEX session_by_deadline;
CREATE INDEX session_by_deadline ON session (deadline, device_id) WHERE is_online = 1 AND transport = 'lwm2m';

CREATE INDEX connection_by_start ON session (start_id, device_id) WHERE is_online = 1 AND transport <> 'lwm2m';

-- Payloads in flight of a device. What stands behind seq is there because SQLite looks the row up for it otherwise.
CREATE INDEX payload_in_flight ON command (device_id, seq, state, transport)
WHERE state IN ('sent', 'delivered') AND transport <> 'lwm2m';

-- The payloads of a device by creation, with all that says how one stands: totals are counted from here alone.
CREATE INDEX payload_history ON command (device_id, created_at, seq, state, outcome, expires_at, retry, transport)
WHERE transport <> 'lwm2m';

-- --- keys -----------------------------------------------------------------------------------------------------------

-- A CHECK cannot be changed: the table is made anew, with the kind 'register'.
CREATE TABLE product_key_2 (
    product_id  INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('master', 'access', 'register')),
    sealed      BLOB NOT NULL,
    key_index   BLOB NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (product_id, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO product_key_2 (product_id, kind, sealed, key_index, created_at)
SELECT product_id, kind, sealed, key_index, created_at FROM product_key;

DROP TABLE product_key;
ALTER TABLE product_key_2 RENAME TO product_key;

-- id is the order in which keys came.
CREATE TABLE device_key (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id         INTEGER NOT NULL,
    title              TEXT NOT NULL,
    sealed             BLOB NOT NULL,
    key_index          BLOB NOT NULL UNIQUE,
    permissions        TEXT NOT NULL,
    registered_device  INTEGER UNIQUE,
    created_at         INTEGER NOT NULL
) STRICT;

CREATE INDEX device_key_by_product ON device_key (product_id, id);

-- What the limit of keys is counted by: those that somebody added. One key per device that registered itself is no
-- matter of the owner's, and must not take his room.
CREATE INDEX device_key_added ON device_key (product_id, registered_device) WHERE registered_device IS NULL;

-- Which keys name a device, so that these are found without reading every key's permissions.
CREATE TABLE device_key_mention (
    device_id  INTEGER NOT NULL,
    key_id     INTEGER NOT NULL,
    PRIMARY KEY (device_id, key_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX device_key_mention_by_key ON device_key_mention (key_id);

-- --- data -----------------------------------------------------------------------------------------------------------

-- number is never given twice: points of a deleted stream lie about until they are swept.
CREATE TABLE datastream (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id      INTEGER NOT NULL,
    stream_id      TEXT NOT NULL CHECK (length(stream_id) BETWEEN 1 AND 64),
    uuid           TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    unit           TEXT NOT NULL CHECK (length(unit) <= 64),
    unit_symbol    TEXT NOT NULL CHECK (length(unit_symbol) <= 64),
    tags           TEXT NOT NULL,
    updated_at     INTEGER,
    current_value  TEXT CHECK (length(current_value) <= 65536),
    UNIQUE (device_id, stream_id),
    CHECK ((current_value IS NULL) = (updated_at IS NULL))
) STRICT;

-- number is the order in which points were stored, so that retention walks the table and needs no index on received_at.
CREATE TABLE datapoint (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    stream       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    value        TEXT NOT NULL CHECK (length(value) <= 65536)
) STRICT;

-- Each entry ends with the row's number: a stream's points in their order. The one index there is, for each costs a
-- page per point.
CREATE INDEX datapoint_by_stream ON datapoint (stream, at);

-- The payload is last, so that the other columns are read without it.
CREATE TABLE stored_binary (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    binary_index  TEXT NOT NULL UNIQUE,
    device_id     INTEGER NOT NULL,
    stream        INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    received_at   INTEGER NOT NULL,
    description   TEXT NOT NULL,
    payload       BLOB NOT NULL
) STRICT;

CREATE INDEX binary_by_device ON stored_binary (device_id, at);
CREATE INDEX binary_by_stream ON stored_binary (stream);

-- Streams that were deleted and have points or binaries on the disk still.
CREATE TABLE orphan_stream (
    stream  INTEGER PRIMARY KEY
) STRICT;

-- --- topics ---------------------------------------------------------------------------------------------------------

-- expires_at is left_at and expiry_s added up; NULL while the device is connected, or if the session never expires.
-- The two sums are those of queued_message, so that the bounds cost no counting.
CREATE TABLE topic_session (
    device_id        INTEGER PRIMARY KEY,
    product_id       INTEGER NOT NULL,
    expiry_s         INTEGER NOT NULL CHECK (expiry_s BETWEEN 0 AND 4294967295),
    left_at          INTEGER,
    expires_at       INTEGER,
    queued_messages  INTEGER NOT NULL DEFAULT 0 CHECK (queued_messages >= 0),
    queued_bytes     INTEGER NOT NULL DEFAULT 0 CHECK (queued_bytes >= 0),
    CHECK (expires_at IS NULL OR left_at IS NOT NULL)
) STRICT;

CREATE INDEX topic_session_by_product ON topic_session (product_id, device_id);
CREATE INDEX topic_session_expiring ON topic_session (expires_at, device_id) WHERE expires_at IS NOT NULL;

CREATE TABLE topic_subscription (
    device_id     INTEGER NOT NULL,
    topic_filter  TEXT NOT NULL,
    options       INTEGER NOT NULL CHECK (options BETWEEN 0 AND 255),
    identifier    INTEGER,
    PRIMARY KEY (device_id, topic_filter)
) STRICT, WITHOUT ROWID;

-- What is queued for many devices stands here once; size_bytes is what each copy counts.
CREATE TABLE topic_message (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    topic       TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    properties  BLOB NOT NULL,
    expires_at  INTEGER,
    payload     BLOB NOT NULL
) STRICT;

CREATE INDEX topic_message_expiring ON topic_message (expires_at, id) WHERE expires_at IS NOT NULL;

-- One device's copy of a message; number is the order of queueing. identifiers is NULL where there is none.
CREATE TABLE queued_message (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id    INTEGER NOT NULL,
    message_id   INTEGER NOT NULL,
    qos          INTEGER NOT NULL CHECK (qos IN (0, 1, 2)),
    is_retained  INTEGER NOT NULL CHECK (is_retained IN (0, 1)),
    identifiers  TEXT
) STRICT;

CREATE INDEX queued_by_device ON queued_message (device_id, number);
CREATE INDEX queued_by_message ON queued_message (message_id);

CREATE TABLE retained_message (
    product_id  INTEGER NOT NULL,
    topic       TEXT NOT NULL,
    qos         INTEGER NOT NULL CHECK (qos IN (0, 1, 2)),
    properties  BLOB NOT NULL,
    expires_at  INTEGER,
    payload     BLOB NOT NULL CHECK (length(payload) > 0),
    UNIQUE (product_id, topic)
) STRICT;

CREATE INDEX retained_expiring ON retained_message (expires_at, product_id, topic) WHERE expires_at IS NOT NULL;
