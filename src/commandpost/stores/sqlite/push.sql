-- Subscriptions, the outbox, the list of failures, and what became of pushed command results.

-- fragment: subscription_columns
-- The columns of a subscription in the order of push_rows.subscription_from_row.
id, product_id, role, url, sealed_token, sealed_aes_key, kinds, batch_count, batch_interval_ms, created_at

-- fragment: told_columns
-- What an outbox row and a failure have in common.
subscription_id, product_id, device_id, kind, at, command_id, is_online, stream_id, value, alarm

-- name: is_product
-- Whether there is such a product.
SELECT EXISTS (SELECT 1 FROM product WHERE id = ?);

-- name: count_subscriptions
-- How many subscriptions of a product somebody added; triggers have some without kinds.
SELECT count(*) FROM subscription WHERE product_id = ? AND kinds > 0;

-- name: insert_subscription
-- Take a subscription in.
INSERT INTO subscription (
    product_id, role, url, sealed_token, sealed_aes_key, kinds, batch_count, batch_interval_ms, created_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: delete_subscription
-- Forget a subscription that somebody added.
DELETE FROM subscription WHERE id = ? AND product_id = ? AND role = 'push';

-- name: delete_alarm_subscription
-- Forget the subscription of a trigger.
DELETE FROM subscription WHERE id = ? AND role = 'alarm';

-- name: set_alarm_url
-- Let the alarms of a trigger go elsewhere.
UPDATE subscription SET url = ? WHERE id = ? AND role = 'alarm';

-- name: insert_orphan
-- Remember that a subscription that is gone may have rows.
INSERT OR IGNORE INTO orphan_subscription (subscription_id) VALUES (?);

-- name: find_subscription
-- A subscription of any product and role.
SELECT {subscription_columns} FROM subscription WHERE id = ?;

-- name: list_subscriptions
-- The subscriptions of a product that somebody added, by id.
SELECT {subscription_columns} FROM subscription WHERE product_id = ? AND kinds > 0 ORDER BY id;

-- name: list_all_subscriptions
-- Every subscription, by id.
SELECT {subscription_columns} FROM subscription ORDER BY id;

-- name: wants_data
-- The subscriptions of a product that want datapoints.
SELECT id FROM subscription WHERE product_id = ? AND kinds & 2 ORDER BY id;

-- name: tell_point
-- Put a datapoint into the outbox for one subscription.
INSERT INTO outbox (subscription_id, product_id, device_id, kind, at, stream_id, value, told_at)
VALUES (?, ?, ?, 1, ?, ?, ?, ?);

-- name: tell_alarm
-- Put an alarm into the outbox for its trigger's subscription.
INSERT INTO outbox (subscription_id, product_id, device_id, kind, at, stream_id, value, alarm, told_at)
VALUES (?, ?, ?, 32, ?, ?, ?, ?, ?);

-- name: last_told
-- The newest event there is or was.
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox';

-- name: told_after
-- What was told after an event, in order, and how each one's queue stands.
SELECT outbox.seq, outbox.subscription_id, outbox.device_id,
    coalesce(push_queue.failures, 0), coalesce(push_queue.due_at, 0)
FROM outbox LEFT JOIN push_queue
    ON push_queue.subscription_id = outbox.subscription_id AND push_queue.device_id = outbox.device_id
WHERE outbox.seq > ? ORDER BY outbox.seq LIMIT ?;

-- name: waiting_queues
-- Queues of a subscription that have events, by device; one look into the index for each.
WITH RECURSIVE queue (device_id) AS (
    SELECT min(device_id) FROM outbox WHERE subscription_id = :subscription_id AND device_id > :after
    UNION ALL
    SELECT (
        SELECT min(outbox.device_id) FROM outbox
        WHERE outbox.subscription_id = :subscription_id AND outbox.device_id > queue.device_id
    ) FROM queue WHERE queue.device_id IS NOT NULL
    LIMIT :limit
)
SELECT queue.device_id, coalesce(push_queue.failures, 0), coalesce(push_queue.due_at, 0)
FROM queue LEFT JOIN push_queue
    ON push_queue.subscription_id = :subscription_id AND push_queue.device_id = queue.device_id
WHERE queue.device_id IS NOT NULL;

-- name: waiting_events
-- The first events of a queue, in order, each with what is told of its device.
SELECT outbox.seq, outbox.subscription_id, outbox.product_id, outbox.device_id, outbox.kind, outbox.at,
    outbox.command_id, outbox.is_online, outbox.stream_id, outbox.value, outbox.alarm, outbox.told_at,
    device.imei, device.protocol
FROM outbox JOIN device ON device.id = outbox.device_id
WHERE outbox.subscription_id = ? AND outbox.device_id = ?
ORDER BY outbox.seq LIMIT ?;

-- name: find_event
-- What a failed request has to know of one of its events.
SELECT outbox.device_id, outbox.command_id, outbox.told_at
FROM outbox CROSS JOIN device ON device.id = outbox.device_id
WHERE outbox.seq = ? AND outbox.subscription_id = ?;

-- name: settle_event
-- Take an event out.
DELETE FROM outbox WHERE seq = ? AND subscription_id = ?;

-- name: delete_queue
-- A queue is well again.
DELETE FROM push_queue WHERE subscription_id = ? AND device_id = ?;

-- name: find_queue
-- How a queue that failed stands.
SELECT device_id, failures, head_seq, head_failures, failing_since, given_up, due_at FROM push_queue
WHERE subscription_id = ? AND device_id = ?;

-- name: put_queue
-- Write how a queue that failed stands.
INSERT OR REPLACE INTO push_queue (
    subscription_id, device_id, failures, head_seq, head_failures, failing_since, given_up, due_at
) VALUES (
    :subscription_id, :device_id, :failures, :head_seq, :head_failures, :failing_since, :given_up, :due_at
);

-- name: first_of_queue
-- The first events of a queue, and when they were told.
SELECT seq, told_at FROM outbox WHERE subscription_id = ? AND device_id = ? ORDER BY seq LIMIT ?;

-- name: give_up_event
-- Copy an event into the list of failures.
INSERT INTO push_failure ({told_columns}, failures, failing_since, given_up_at, reason)
SELECT {told_columns}, :failures, :failing_since, :given_up_at, :reason FROM outbox WHERE seq = :seq;

-- name: delete_event
-- Take an event out.
DELETE FROM outbox WHERE seq = ?;

-- name: list_failures
-- The list of failures of a subscription, newest first.
SELECT id, subscription_id, device_id, kind, at, command_id, is_online, stream_id, failures, failing_since,
    given_up_at, reason
FROM push_failure
WHERE subscription_id = ? AND id < ? AND EXISTS (SELECT 1 FROM device WHERE device.id = push_failure.device_id)
ORDER BY id DESC LIMIT ?;

-- name: replayable
-- Failures that are to be told again, oldest first.
SELECT id FROM push_failure
WHERE subscription_id = :subscription_id AND id <= :last_id AND (:only_id IS NULL OR id = :only_id)
    AND EXISTS (SELECT 1 FROM device WHERE device.id = push_failure.device_id)
ORDER BY id LIMIT :limit;

-- name: replay_failure
-- Copy a failure back into the outbox.
INSERT INTO outbox ({told_columns}, told_at) SELECT {told_columns}, :told_at FROM push_failure WHERE id = :id;

-- name: delete_failure
-- Take a failure off the list.
DELETE FROM push_failure WHERE id = ?;

-- name: is_subscription_of
-- Whether a product has a subscription, of either role.
SELECT EXISTS (SELECT 1 FROM subscription WHERE id = ? AND product_id = ?);

-- name: insert_feedback
-- Note an attempt to push the result of a command.
INSERT INTO push_feedback (command_id, at, status) VALUES (?, ?, ?);

-- name: trim_feedback
-- Keep the newest attempts of a command only.
DELETE FROM push_feedback WHERE command_id = :command_id AND id <= (
    SELECT id FROM push_feedback WHERE command_id = :command_id ORDER BY id DESC LIMIT 1 OFFSET :kept
);

-- name: list_feedback
-- The attempts of a command, oldest first.
SELECT at, status FROM push_feedback WHERE command_id = ? ORDER BY id;
