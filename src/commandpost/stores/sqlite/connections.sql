-- Connections over MQTT and EDP. Each is a narrow row of `session` whose transport is not LwM2M; lifetime_s is its
-- keep-alive, and a deadline it has none. Every change is guarded by the epoch.

-- name: put_connection
-- Put the row of a new connection in place of the one before, or of an LwM2M session's.
INSERT INTO session (
    device_id, product_id, epoch, is_online, start_id, remote, lifetime_s, last_heard_at, deadline, transport
) VALUES (
    :device_id, :product_id, :epoch, 1, :start_id, :remote, :keepalive_s, :connected_at, 0, :transport
)
ON CONFLICT (device_id) DO UPDATE
SET product_id = excluded.product_id, epoch = excluded.epoch, is_online = 1, start_id = excluded.start_id,
    remote = excluded.remote, lifetime_s = excluded.lifetime_s, last_heard_at = excluded.last_heard_at,
    deadline = excluded.deadline, transport = excluded.transport;

-- name: activate_connected
-- A device has connected: for the first time perhaps.
UPDATE device SET activated_at = ? WHERE id = ? AND activated_at IS NULL;

-- name: end_connection
-- Take a connection offline; gives its product.
UPDATE session SET is_online = 0, last_heard_at = ?
WHERE device_id = ? AND epoch = ? AND is_online = 1 AND transport <> 'lwm2m'
RETURNING product_id;

-- name: stale_connections
-- Connections of other runs than one: device and product. In two parts, because `<>` goes by no index.
SELECT start_id, device_id, product_id FROM session
WHERE is_online = 1 AND transport <> 'lwm2m' AND start_id < :start_id
UNION ALL
SELECT start_id, device_id, product_id FROM session
WHERE is_online = 1 AND transport <> 'lwm2m' AND start_id > :start_id
ORDER BY start_id, device_id LIMIT :limit;

-- name: end_stale_connection
-- Take a connection offline that nobody will hear of again.
UPDATE session SET is_online = 0 WHERE device_id = ?;

-- name: note_heard
-- Write when a connected device was last heard.
UPDATE session SET last_heard_at = ?
WHERE device_id = ? AND epoch = ? AND is_online = 1 AND transport <> 'lwm2m';
