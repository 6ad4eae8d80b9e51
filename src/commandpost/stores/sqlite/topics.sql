-- Topic sessions with what hangs on them, queued messages, retained messages.

-- name: is_device
-- Whether a product has a device.
SELECT EXISTS (SELECT 1 FROM device WHERE id = ? AND product_id = ?);

-- name: insert_session
-- A session begins.
INSERT INTO topic_session (device_id, product_id, expiry_s, left_at, expires_at)
VALUES (:device_id, :product_id, :expiry_s, :left_at, :expires_at);

-- name: update_session
-- A session goes on.
UPDATE topic_session SET expiry_s = :expiry_s, left_at = :left_at, expires_at = :expires_at
WHERE device_id = :device_id AND product_id = :product_id;

-- name: is_session
-- Whether a device has a session.
SELECT EXISTS (SELECT 1 FROM topic_session WHERE device_id = ?);

-- name: delete_session
-- Forget a session.
DELETE FROM topic_session WHERE device_id = ?;

-- name: put_subscription
-- Put a subscription in place of one with the same filter.
INSERT INTO topic_subscription (device_id, topic_filter, options, identifier) VALUES (?, ?, ?, ?)
ON CONFLICT (device_id, topic_filter) DO UPDATE SET options = excluded.options, identifier = excluded.identifier;

-- name: delete_subscription
-- Forget one subscription.
DELETE FROM topic_subscription WHERE device_id = ? AND topic_filter = ?;

-- name: delete_subscriptions
-- Forget a device's subscriptions.
DELETE FROM topic_subscription WHERE device_id = ?;

-- name: take_room
-- Count a further message into a session's queue, if there is a session and the queue is not full.
UPDATE topic_session SET queued_messages = queued_messages + 1, queued_bytes = queued_bytes + :size_bytes
WHERE device_id = :device_id AND queued_messages < :messages_max AND queued_bytes + :size_bytes <= :bytes_max;

-- name: give_room
-- Count a message out of a session's queue.
UPDATE topic_session
SET queued_messages = queued_messages - 1,
    queued_bytes = queued_bytes - (SELECT size_bytes FROM topic_message WHERE topic_message.id = :message_id)
WHERE device_id = :device_id;

-- name: insert_message
-- Put a message on disk, for all its receivers.
INSERT INTO topic_message (topic, size_bytes, properties, expires_at, payload) VALUES (?, ?, ?, ?, ?);

-- name: insert_copy
-- Queue a message for a device.
INSERT INTO queued_message (device_id, message_id, qos, is_retained, identifiers) VALUES (?, ?, ?, ?, ?);

-- name: delete_copy
-- Take a message out of a device's queue; gives which.
DELETE FROM queued_message WHERE number = ? AND device_id = ?
RETURNING message_id;

-- name: delete_copies
-- Empty a device's queue; gives which messages were in it.
DELETE FROM queued_message WHERE device_id = ?
RETURNING message_id;

-- name: delete_unqueued
-- Forget a message that is in no queue any more.
DELETE FROM topic_message
WHERE id = :message_id AND NOT EXISTS (SELECT 1 FROM queued_message WHERE message_id = :message_id);

-- name: update_retained
-- Put a message in place of a topic's retained one.
UPDATE retained_message SET qos = :qos, properties = :properties, expires_at = :expires_at, payload = :payload
WHERE product_id = :product_id AND topic = :topic;

-- name: take_retained_room
-- Count a further retained message of a product, if there is room for one.
INSERT INTO retained_count (product_id, messages) VALUES (:product_id, 1)
ON CONFLICT (product_id) DO UPDATE SET messages = messages + 1 WHERE messages < :retained_max;

-- name: give_retained_room
-- Count a retained message of a product out.
UPDATE retained_count SET messages = messages - 1 WHERE product_id = ?;

-- name: insert_retained
-- Retain the first message of a topic.
INSERT INTO retained_message (product_id, topic, qos, properties, expires_at, payload)
VALUES (:product_id, :topic, :qos, :properties, :expires_at, :payload);

-- name: delete_retained
-- Forget a topic's retained message.
DELETE FROM retained_message WHERE product_id = ? AND topic = ?;

-- name: expired_sessions
-- Sessions whose device has not come back in time, longest ago first.
SELECT device_id FROM topic_session
WHERE expires_at IS NOT NULL AND expires_at <= :now
ORDER BY expires_at, device_id LIMIT :limit;

-- name: expired_copies
-- Queued messages that have expired, longest ago first: number and device.
SELECT queued_message.number, queued_message.device_id
FROM topic_message CROSS JOIN queued_message ON queued_message.message_id = topic_message.id
WHERE topic_message.expires_at IS NOT NULL AND topic_message.expires_at <= :now
ORDER BY topic_message.expires_at, topic_message.id, queued_message.number LIMIT :limit;

-- name: expired_retained
-- Retained messages that have expired, longest ago first.
SELECT product_id, topic FROM retained_message
WHERE expires_at IS NOT NULL AND expires_at <= :now
ORDER BY expires_at, product_id, topic LIMIT :limit;

-- name: list_sessions
-- A page of a product's sessions, by device.
SELECT device_id, product_id, expiry_s, left_at FROM topic_session
WHERE product_id = ? AND device_id > ?
ORDER BY device_id LIMIT ?;

-- name: list_subscriptions
-- A device's subscriptions, by filter.
SELECT topic_filter, options, identifier FROM topic_subscription WHERE device_id = ? ORDER BY topic_filter;

-- name: list_queued
-- A page of a device's queue.
SELECT queued_message.number, queued_message.identifiers, topic_message.topic, topic_message.payload,
    queued_message.qos, queued_message.is_retained, topic_message.properties, topic_message.expires_at
FROM queued_message CROSS JOIN topic_message ON topic_message.id = queued_message.message_id
WHERE queued_message.device_id = ? AND queued_message.number > ?
ORDER BY queued_message.number LIMIT ?;

-- name: list_retained
-- A page of a product's retained messages, by topic.
SELECT topic, payload, qos, 1, properties, expires_at FROM retained_message
WHERE product_id = ? AND topic > ?
ORDER BY topic LIMIT ?;
