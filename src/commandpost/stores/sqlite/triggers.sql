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
    product_id, title, stream_id, device_ids, stream_uuids, url, kind, threshold, created_at, subscription_id
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_trigger
-- Put a trigger in place of what it was.
UPDATE push_trigger
SET title = :title, stream_id = :stream_id, device_ids = :device_ids, stream_uuids = :stream_uuids, url = :url,
    kind = :kind, threshold = :threshold
WHERE id = :id AND product_id = :product_id
RETURNING subscription_id;

-- name: delete_trigger
-- Forget a trigger; gives its subscription.
DELETE FROM push_trigger WHERE id = ? AND product_id = ? RETURNING subscription_id;

-- name: delete_memory
-- Forget what a trigger remembers.
DELETE FROM trigger_memory WHERE trigger_id = ?;

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

-- name: has_triggers
-- Whether a product has any.
SELECT EXISTS (SELECT 1 FROM push_trigger WHERE product_id = ?);

-- name: triggers_of_stream
-- The triggers that look at the streams of a name, each with its subscription.
SELECT {trigger_columns}, subscription_id FROM push_trigger WHERE product_id = ? AND stream_id = ? ORDER BY id;

-- name: stream_uuid
-- The uuid of a device's stream.
SELECT uuid FROM datastream WHERE device_id = ? AND stream_id = ?;

-- name: find_memory
-- What a trigger remembers of a device.
SELECT is_inside, value, at, heard_at, due_at FROM trigger_memory WHERE trigger_id = ? AND device_id = ?;

-- name: put_memory
-- Let a trigger remember this of a device.
INSERT OR REPLACE INTO trigger_memory (trigger_id, device_id, is_inside, value, at, heard_at, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: silent
-- Silences that are long enough, longest first, with the trigger that waits for each.
SELECT trigger_memory.trigger_id, trigger_memory.device_id, trigger_memory.is_inside, trigger_memory.value,
    trigger_memory.at, trigger_memory.heard_at, trigger_memory.due_at, push_trigger.subscription_id,
    push_trigger.product_id, push_trigger.stream_id, push_trigger.kind, push_trigger.threshold
FROM trigger_memory JOIN push_trigger ON push_trigger.id = trigger_memory.trigger_id
WHERE trigger_memory.due_at <= :now
ORDER BY trigger_memory.due_at, trigger_memory.trigger_id, trigger_memory.device_id LIMIT :limit;
