-- Triggers, and what they remember of streams.

-- fragment: trigger_columns
-- The columns of a trigger in the order of push_rows.trigger_from_row.
id, product_id, title, stream_id, device_ids, stream_uuids, url, kind, threshold, created_at

-- name: is_product
-- Whether there is such a product.
SELECT EXISTS (SELECT 1 FROM product WHERE id = ?);

-- name: count_triggers
-- How many triggers a product has.
SELECT count(*) FROM push_trigger WHERE product_id = ?;

-- name: count_triggers_of_stream
-- How many other triggers look at the streams of a name.
SELECT count(*) FROM push_trigger WHERE product_id = ? AND stream_id = ? AND id <> ?;

-- name: insert_trigger
-- Take a trigger in.
INSERT INTO push_trigger (
    product_id, title, stream_id, device_ids, stream_uuids, url, kind, threshold, created_at, subscription_id, memory_id
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_trigger
-- Put a trigger in place of what it was.
UPDATE push_trigger
SET title = :title, stream_id = :stream_id, device_ids = :device_ids, stream_uuids = :stream_uuids, url = :url,
    kind = :kind, threshold = :threshold
WHERE id = :id AND product_id = :product_id
RETURNING subscription_id;

-- name: delete_trigger
-- Forget a trigger; gives its subscription, and the number of its memory.
DELETE FROM push_trigger WHERE id = ? AND product_id = ? RETURNING subscription_id, memory_id;

-- name: next_memory
-- A number for a memory that is nobody's, and that nothing is left of.
SELECT 1 + max(
    coalesce((SELECT max(memory_id) FROM push_trigger), 0), coalesce((SELECT max(memory_id) FROM orphan_memory), 0)
);

-- name: orphan_memory_of
-- Note that a trigger has given up its memory.
INSERT INTO orphan_memory (memory_id) SELECT memory_id FROM push_trigger WHERE id = ?;

-- name: orphan_memory
-- Note that a memory is nobody's any more.
INSERT INTO orphan_memory (memory_id) VALUES (?);

-- name: set_memory
-- Give a trigger a memory of which nothing is known.
UPDATE push_trigger SET memory_id = ? WHERE id = ?;

-- name: find_trigger
-- A trigger of a product.
SELECT {trigger_columns} FROM push_trigger WHERE id = ? AND product_id = ?;

-- name: find_trigger_of
-- The trigger of a subscription.
SELECT {trigger_columns} FROM push_trigger WHERE subscription_id = ?;

-- name: count_titled
-- How many triggers of a product have a text in their title.
SELECT count(*) FROM push_trigger WHERE product_id = :product_id AND (:title = '' OR instr(title, :title) > 0);

-- name: list_titled
-- A page of the triggers of a product that have a text in their title.
SELECT {trigger_columns} FROM push_trigger WHERE product_id = :product_id AND (:title = '' OR instr(title, :title) > 0)
ORDER BY id LIMIT :size OFFSET :skipped;

-- name: triggers_of_stream
-- The triggers that look at the streams of a name, each with its subscription and the number of its memory.
SELECT {trigger_columns}, subscription_id, memory_id FROM push_trigger WHERE product_id = ? AND stream_id = ? ORDER BY id;

-- name: stream_uuid
-- The uuid of a device's stream.
SELECT uuid FROM datastream WHERE device_id = ? AND stream_id = ?;

-- name: find_memory
-- What is remembered of a device.
SELECT is_inside, value, at, heard_at, due_at FROM trigger_memory WHERE memory_id = ? AND device_id = ?;

-- name: put_memory
-- Remember this of a device.
INSERT OR REPLACE INTO trigger_memory (memory_id, device_id, is_inside, value, at, heard_at, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: delete_memory
-- Forget what is remembered of a device.
DELETE FROM trigger_memory WHERE memory_id = ? AND device_id = ?;

-- name: silent
-- Silences that are long enough, longest first, with the trigger that waits for each; NULL where that is gone. So many
-- are looked at, whosever they are: a trigger that is gone may have left more than a slice.
SELECT due.memory_id, due.device_id, due.is_inside, due.value, due.at, due.heard_at, due.due_at,
    push_trigger.subscription_id, push_trigger.product_id, push_trigger.stream_id, push_trigger.kind,
    push_trigger.threshold
FROM (
    SELECT * FROM trigger_memory WHERE due_at <= :now ORDER BY due_at, memory_id, device_id LIMIT :limit
) AS due LEFT JOIN push_trigger ON push_trigger.memory_id = due.memory_id;
