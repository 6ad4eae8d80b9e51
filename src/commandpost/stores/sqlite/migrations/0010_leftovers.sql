-- What has lost its owner is noted in one row and goes from the disk in slices; retained messages are counted where they
-- come and go. Conventions are those of 0001.

-- Queues whose device is gone, with events or failures on the disk still. Ids of devices are never given twice.
CREATE TABLE orphan_queue (
    subscription_id  INTEGER NOT NULL,
    device_id        INTEGER NOT NULL,
    PRIMARY KEY (device_id, subscription_id)
) STRICT, WITHOUT ROWID;

-- What a trigger remembers hangs on a number of its own: a trigger forgets by taking another one.
ALTER TABLE trigger_memory RENAME COLUMN trigger_id TO memory_id;
ALTER TABLE push_trigger ADD COLUMN memory_id INTEGER NOT NULL DEFAULT 0;
UPDATE push_trigger SET memory_id = id;
CREATE UNIQUE INDEX push_trigger_by_memory ON push_trigger (memory_id);

-- Numbers that no trigger has any more, with rows on the disk still.
CREATE TABLE orphan_memory (
    memory_id  INTEGER PRIMARY KEY
) STRICT;

-- How many retained messages a product has, so that the bound costs no counting.
CREATE TABLE retained_count (
    product_id  INTEGER PRIMARY KEY,
    messages    INTEGER NOT NULL CHECK (messages >= 0)
) STRICT;

INSERT INTO retained_count (product_id, messages)
SELECT product_id, count(*) FROM retained_message GROUP BY product_id;
