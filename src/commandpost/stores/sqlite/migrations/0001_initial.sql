-- The first schema. Instants are milliseconds UTC; ids are as domain.ids says; nested records are versioned JSON text
-- (stores/record_texts.py). Sets of names repeat the enums of the domain, because a CHECK is the last to be asked.
--
-- There are no foreign keys: one writer applies whole facts, and DeleteDevice removes what hangs on a device itself.
-- Checking references on every accept would cost more than it could ever find.

CREATE TABLE product (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
    name                TEXT NOT NULL,
    created_at          INTEGER NOT NULL,
    is_auto_discovered  INTEGER NOT NULL CHECK (is_auto_discovered IN (0, 1)),
    imei_rule           TEXT NOT NULL CHECK (imei_rule IN ('permissive', 'strict')),
    allow_imei_only     INTEGER NOT NULL CHECK (allow_imei_only IN (0, 1)),
    execute_delivery    TEXT NOT NULL CHECK (execute_delivery IN ('at_least_once', 'at_most_once'))
) STRICT;

CREATE TABLE product_key (
    product_id  INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('master', 'access')),
    sealed      BLOB NOT NULL,
    key_index   BLOB NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (product_id, kind)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the id of a deleted device is never given again, for it stands in tokens and in applications' records.
CREATE TABLE device (
    id                INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 4294967295),
    product_id        INTEGER NOT NULL,
    protocol          TEXT NOT NULL,
    title             TEXT NOT NULL,
    description       TEXT NOT NULL,
    tags              TEXT NOT NULL,
    location          TEXT,
    is_private        INTEGER NOT NULL CHECK (is_private IN (0, 1)),
    is_auto_observed  INTEGER NOT NULL CHECK (is_auto_observed IN (0, 1)),
    auth_info         TEXT NOT NULL,
    imei              TEXT UNIQUE,
    imsi              TEXT,
    imsi_old          TEXT NOT NULL,
    imsi_changed_at   INTEGER,
    chip              INTEGER,
    other             TEXT NOT NULL,
    sealed_auth_code  BLOB,
    sealed_psk        BLOB,
    created_at        INTEGER NOT NULL,
    activated_at      INTEGER,
    last_heard_at     INTEGER,
    manufacturer      TEXT NOT NULL,
    model             TEXT NOT NULL,
    is_setup_done     INTEGER NOT NULL CHECK (is_setup_done IN (0, 1))
) STRICT;

CREATE INDEX device_by_product ON device (product_id, id);
CREATE INDEX device_by_auth_info ON device (product_id, auth_info) WHERE imei IS NULL;

CREATE TABLE device_resource (
    device_id  INTEGER NOT NULL,
    object_id  INTEGER NOT NULL CHECK (object_id BETWEEN 0 AND 65535),
    instances  TEXT NOT NULL,
    PRIMARY KEY (device_id, object_id)
) STRICT, WITHOUT ROWID;

-- Narrow, because it is what plain uplinks write. The row outlives the registration: the epoch never falls back.
CREATE TABLE session (
    device_id      INTEGER PRIMARY KEY,
    product_id     INTEGER NOT NULL,
    epoch          INTEGER NOT NULL CHECK (epoch > 0),
    is_online      INTEGER NOT NULL CHECK (is_online IN (0, 1)),
    start_id       INTEGER NOT NULL,
    remote         BLOB CHECK (length(remote) <= 32),
    lifetime_s     INTEGER NOT NULL,
    last_heard_at  INTEGER NOT NULL,
    deadline       INTEGER NOT NULL
) STRICT;

CREATE INDEX session_by_deadline ON session (deadline, device_id) WHERE is_online = 1;

-- What a REGISTER said; only sessions that are online have a row.
CREATE TABLE session_detail (
    device_id         INTEGER PRIMARY KEY,
    endpoint_name     TEXT NOT NULL,
    location          TEXT NOT NULL,
    registered_at     INTEGER NOT NULL,
    binding           TEXT NOT NULL,
    is_queue_mode     INTEGER NOT NULL CHECK (is_queue_mode IN (0, 1)),
    lwm2m_version     TEXT NOT NULL,
    links             TEXT NOT NULL,
    alternate_path    TEXT NOT NULL,
    accepted_formats  TEXT NOT NULL,
    pending_setup     TEXT
) STRICT;

CREATE INDEX session_by_location ON session_detail (location, device_id);
CREATE INDEX session_in_setup ON session_detail (device_id) WHERE pending_setup IS NOT NULL;

CREATE TABLE observation (
    id            INTEGER PRIMARY KEY,
    device_id     INTEGER NOT NULL,
    path          TEXT NOT NULL,
    coap_token    BLOB NOT NULL,
    is_automatic  INTEGER NOT NULL CHECK (is_automatic IN (0, 1)),
    UNIQUE (device_id, path)
) STRICT;

-- seq is the order of acceptance, and never given twice.
CREATE TABLE command (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT,
    id                 BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    product_id         INTEGER NOT NULL,
    device_id          INTEGER NOT NULL,
    imei               TEXT NOT NULL,
    operation          TEXT NOT NULL,
    mode               TEXT NOT NULL CHECK (mode IN ('instant', 'cached')),
    transport          TEXT NOT NULL CHECK (transport IN ('lwm2m', 'mqtt', 'edp')),
    created_at         INTEGER NOT NULL,
    valid_from         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    retry              INTEGER,
    remaining          INTEGER,
    answer_timeout_ms  INTEGER NOT NULL,
    triggers           INTEGER NOT NULL,
    delivery           TEXT NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
    state              TEXT NOT NULL CHECK (
        state IN ('waiting', 'sent', 'delivered', 'succeeded', 'failed', 'expired', 'cancelled')
    ),
    attempts           INTEGER NOT NULL,
    current_attempt    INTEGER,
    deadline           INTEGER,
    sent_at            INTEGER,
    answered_at        INTEGER,
    finished_at        INTEGER,
    outcome            INTEGER CHECK (outcome BETWEEN 0 AND 13),
    arguments          TEXT NOT NULL,
    content            TEXT NOT NULL,
    CHECK (expires_at > valid_from),
    CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'expired', 'cancelled'))),
    CHECK ((current_attempt IS NOT NULL) = (state IN ('sent', 'delivered'))),
    CHECK ((deadline IS NOT NULL) = (current_attempt IS NOT NULL))
) STRICT;

-- Waiting commands of a device in order of acceptance (P5), and those whose window has closed. The first has what the
-- limit of waiting commands is counted by; state stands in it because SQLite looks the row up for it otherwise.
CREATE INDEX command_waiting ON command (device_id, seq, expires_at, state) WHERE state = 'waiting';
CREATE INDEX command_expiring ON command (expires_at, seq) WHERE state = 'waiting';

-- P4: one LwM2M request in flight per device.
CREATE UNIQUE INDEX command_sent ON command (device_id) WHERE state = 'sent' AND transport = 'lwm2m';

-- What is in flight: by deadline for the rescuer, by attempt for a start that adopts.
CREATE INDEX command_deadline ON command (deadline, current_attempt) WHERE state IN ('sent', 'delivered');
CREATE UNIQUE INDEX command_attempt ON command (current_attempt) WHERE state IN ('sent', 'delivered');

-- The history of a device, and every command of it; with the mode in it, totals are counted from the index alone.
CREATE INDEX command_history ON command (device_id, mode, created_at, seq);

CREATE INDEX command_retention ON command (created_at, seq) WHERE finished_at IS NOT NULL;
CREATE INDEX command_by_product ON command (product_id, seq);

-- One sending. The end is there as a whole or not at all; an answer without code does not exist.
CREATE TABLE attempt (
    id              INTEGER PRIMARY KEY CHECK (id > 0),
    command_seq     INTEGER NOT NULL,
    number          INTEGER NOT NULL,
    coap_token      BLOB NOT NULL,
    start_id        INTEGER NOT NULL,
    sent_at         INTEGER NOT NULL,
    deadline        INTEGER NOT NULL,
    ended_at        INTEGER,
    outcome         INTEGER CHECK (outcome BETWEEN 0 AND 13),
    answer_code     INTEGER CHECK (answer_code BETWEEN 0 AND 255),
    answer_format   INTEGER,
    answer_payload  BLOB CHECK (length(answer_payload) <= 65536),
    answer_result   TEXT,
    late_answers    INTEGER NOT NULL,
    CHECK ((ended_at IS NOT NULL) = (outcome IS NOT NULL)),
    CHECK (answer_code IS NULL OR ended_at IS NOT NULL),
    CHECK ((answer_code IS NOT NULL) = (answer_payload IS NOT NULL))
) STRICT;

CREATE INDEX attempt_by_command ON attempt (command_seq, number);

-- Who is told of a product's events; kinds is a set of bits, 1 << EventKind.
CREATE TABLE subscription (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id  INTEGER NOT NULL,
    kinds       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX subscription_by_product ON subscription (product_id);

CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id  INTEGER NOT NULL,
    device_id   INTEGER NOT NULL,
    kind        INTEGER NOT NULL CHECK (kind IN (1, 2, 7)),
    at          INTEGER NOT NULL,
    command_id  BLOB,
    is_online   INTEGER CHECK (is_online IN (0, 1))
) STRICT;

CREATE INDEX outbox_by_device ON outbox (device_id, seq);
