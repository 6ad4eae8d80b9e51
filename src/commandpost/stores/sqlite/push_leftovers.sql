-- What devices, subscriptions and triggers that are gone have left of pushing.

-- name: orphan_queues_of
-- Note each queue of a device that has events or failures.
INSERT OR IGNORE INTO orphan_queue (subscription_id, device_id)
SELECT subscription.id, :device_id FROM subscription
WHERE subscription.product_id = (SELECT product_id FROM device WHERE device.id = :device_id) AND (
    EXISTS (SELECT 1 FROM outbox WHERE outbox.subscription_id = subscription.id AND outbox.device_id = :device_id)
    OR EXISTS (
        SELECT 1 FROM push_failure
        WHERE push_failure.subscription_id = subscription.id AND push_failure.device_id = :device_id
    )
);

-- name: delete_queues_of
-- Forget how a device's queues stand.
DELETE FROM push_queue WHERE device_id = :device_id AND subscription_id IN (
    SELECT id FROM subscription WHERE product_id = (SELECT product_id FROM device WHERE device.id = :device_id)
);

-- name: delete_memory_of
-- Forget what triggers remember of a device.
DELETE FROM trigger_memory WHERE device_id = :device_id;

-- name: queues_left_of
-- The queues that a device of this id has left.
SELECT subscription_id, device_id FROM orphan_queue WHERE device_id = ?;

-- name: prune_failures
-- Remove failures that are older than the retention, oldest first.
DELETE FROM push_failure WHERE id IN (
    SELECT id FROM push_failure WHERE given_up_at < ? ORDER BY given_up_at, id LIMIT ?
);

-- name: next_queue
-- A queue whose device is gone.
SELECT subscription_id, device_id FROM orphan_queue LIMIT 1;

-- name: delete_events_of_queue
-- Remove some events of a queue.
DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE subscription_id = ? AND device_id = ? LIMIT ?);

-- name: delete_failures_of_queue
-- Remove some failures of a queue.
DELETE FROM push_failure WHERE id IN (
    SELECT id FROM push_failure WHERE subscription_id = ? AND device_id = ? LIMIT ?
);

-- name: queue_is_gone
-- A queue has left nothing behind any more.
DELETE FROM orphan_queue WHERE subscription_id = ? AND device_id = ?;

-- name: next_subscription
-- A subscription that is gone and may have rows.
SELECT subscription_id FROM orphan_subscription LIMIT 1;

-- name: delete_events_of_subscription
-- Remove some events of a subscription.
DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE subscription_id = ? LIMIT ?);

-- name: delete_failures_of_subscription
-- Remove some failures of a subscription.
DELETE FROM push_failure WHERE id IN (SELECT id FROM push_failure WHERE subscription_id = ? LIMIT ?);

-- name: delete_queues_of_subscription
-- Remove some queues of a subscription.
DELETE FROM push_queue WHERE (subscription_id, device_id) IN (
    SELECT subscription_id, device_id FROM push_queue WHERE subscription_id = ? LIMIT ?
);

-- name: subscription_is_gone
-- A subscription has left nothing behind any more.
DELETE FROM orphan_subscription WHERE subscription_id = ?;

-- name: next_memory
-- A memory that no trigger has any more.
SELECT memory_id FROM orphan_memory LIMIT 1;

-- name: delete_memory
-- Remove some of what a trigger remembered.
DELETE FROM trigger_memory WHERE (memory_id, device_id) IN (
    SELECT memory_id, device_id FROM trigger_memory WHERE memory_id = ? LIMIT ?
);

-- name: memory_is_gone
-- A memory has left nothing behind any more.
DELETE FROM orphan_memory WHERE memory_id = ?;
