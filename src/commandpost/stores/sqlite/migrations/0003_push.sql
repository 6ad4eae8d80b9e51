-- HTTP push and triggers. Conventions are those of 0001.
--
-- Until now nothing could subscribe, so that `subscription` and `outbox` are empty in every database: both are made anew.

DROP TABLE subscription;
DROP TABLE outbox;

-- Who is told of a product's events. kinds is a set of bits, 1 << EventKind; 0 for the url of a trigger, which is told
-- of its alarms alone. AUTOINCREMENT: events of a subscription that is gone lie about until they are swept.
CREATE TABLE subscription (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id         INTEGER NOT NULL,
    role               TEXT NOT NULL CHECK (role IN ('push', 'alarm')),
    url                TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 1024),
    sealed_token       BLOB,
    sealed_aes_key     BLOB,
    kinds              INTEGER NOT NULL,
    batch_count        INTEGER CHECK (batch_count BETWEEN 1 AND 100),
    batch_interval_ms  INTEGER CHECK (batch_interval_ms BETWEEN 100 AND 60000),
    created_at         INTEGER NOT NULL,
    CHECK ((batch_count IS NULL) = (batch_interval_ms IS NULL)),
    CHECK ((sealed_token IS NOT NULL) = (role = 'push')),
    CHECK ((kinds = 0) = (role = 'alarm'))
) STRICT;

-- With the kinds in it, telling that nobody wants an event costs one look into the index.
CREATE INDEX subscription_by_product ON subscription (product_id, kinds);

-- One row per event and subscription; seq is the order of telling, and the order of the commits.
CREATE TABLE outbox (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription_id  INTEGER NOT NULL,
    product_id       INTEGER NOT NULL,
    device_id        INTEGER NOT NULL,
    kind             INTEGER NOT NULL CHECK (kind IN (1, 2, 7, 32)),
    at               INTEGER NOT NULL,
    command_id       BLOB,
    is_online        INTEGER CHECK (is_online IN (0, 1)),
    stream_id        TEXT,
    value            TEXT,
    alarm            TEXT,
    told_at          INTEGER NOT NULL
) STRICT;

-- The one index: a queue, that is the events of one device for one subscription, in order.
CREATE INDEX outbox_by_queue ON outbox (subscription_id, device_id, seq);

-- Queues that have failed since their last success.
CREATE TABLE push_queue (
    subscription_id  INTEGER NOT NULL,
    device_id        INTEGER NOT NULL,
    failures         INTEGER NOT NULL CHECK (failures > 0),
    head_seq         INTEGER NOT NULL,
    head_failures    INTEGER NOT NULL CHECK (head_failures BETWEEN 1 AND failures),
    failing_since    INTEGER NOT NULL,
    given_up         INTEGER NOT NULL CHECK (given_up >= 0),
    PRIMARY KEY (subscription_id, device_id)
) STRICT, WITHOUT ROWID;

-- The list of failures: what an outbox row had, and what became of it. id is never given twice.
CREATE TABLE push_failure (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription_id  INTEGER NOT NULL,
    product_id       INTEGER NOT NULL,
    device_id        INTEGER NOT NULL,
    kind             INTEGER NOT NULL CHECK (kind IN (1, 2, 7, 32)),
    at               INTEGER NOT NULL,
    command_id       BLOB,
    is_online        INTEGER CHECK (is_online IN (0, 1)),
    stream_id        TEXT,
    value            TEXT,
    alarm            TEXT,
    failures         INTEGER NOT NULL,
    failing_since    INTEGER NOT NULL,
    given_up_at      INTEGER NOT NULL,
    reason           TEXT NOT NULL CHECK (length(reason) <= 200)
) STRICT;

CREATE INDEX push_failure_by_queue ON push_failure (subscription_id, device_id, id);
CREATE INDEX push_failure_list ON push_failure (subscription_id, id);
CREATE INDEX push_failure_retention ON push_failure (given_up_at, id);

-- Subscriptions that are gone and have rows on the disk still.
CREATE TABLE orphan_subscription (
    subscription_id  INTEGER PRIMARY KEY
) STRICT;

-- The newest attempts to push the result of a command; status 0 accepted, 1 failed.
CREATE TABLE push_feedback (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    command_id  BLOB NOT NULL CHECK (length(command_id) = 16),
    at          INTEGER NOT NULL,
    status      INTEGER NOT NULL CHECK (status IN (0, 1))
) STRICT;

CREATE INDEX push_feedback_by_command ON push_feedback (command_id, id);

-- A trigger's url is a subscription of its own. device_ids and stream_uuids are JSON lists, NULL: all.
CREATE TABLE push_trigger (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id       INTEGER NOT NULL,
    subscription_id  INTEGER NOT NULL UNIQUE,
    title            TEXT NOT NULL,
    stream_id        TEXT NOT NULL CHECK (length(stream_id) BETWEEN 1 AND 64),
    device_ids       TEXT,
    stream_uuids     TEXT,
    url              TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 1024),
    kind             TEXT NOT NULL,
    threshold        TEXT,
    created_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX push_trigger_by_stream ON push_trigger (product_id, stream_id, id);
CREATE INDEX push_trigger_by_product ON push_trigger (product_id, id);

-- What a trigger remembers of a device's stream, if its condition needs a memory. due_at: when silence is an alarm.
CREATE TABLE trigger_memory (
    trigger_id  INTEGER NOT NULL,
    device_id   INTEGER NOT NULL,
    is_inside   INTEGER CHECK (is_inside IN (0, 1)),
    value       TEXT,
    at          INTEGER,
    heard_at    INTEGER NOT NULL,
    due_at      INTEGER,
    PRIMARY KEY (trigger_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX trigger_memory_due ON trigger_memory (due_at, trigger_id, device_id) WHERE due_at IS NOT NULL;
CREATE INDEX trigger_memory_by_device ON trigger_memory (device_id);
