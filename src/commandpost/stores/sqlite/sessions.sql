-- LwM2M sessions: the narrow row, its detail, and observations. Every change is guarded by the epoch, and leaves the
-- rows of connections (connections.sql) alone.

-- fragment: session_columns
-- The columns of a session in the order of rows.session_from_row.
session.device_id, session.product_id, session.epoch, session.start_id, session.remote, session.lifetime_s,
    session.last_heard_at, session.deadline, session_detail.endpoint_name, session_detail.location,
    session_detail.registered_at, session_detail.binding, session_detail.is_queue_mode, session_detail.lwm2m_version,
    session_detail.links, session_detail.alternate_path, session_detail.accepted_formats, session_detail.pending_setup,
    session_detail.identity_label

-- name: find_registrant
-- A device of a product, and what it had before: epoch and whether it was online; NULL if it never registered.
SELECT session.epoch, session.is_online
FROM device LEFT JOIN session ON session.device_id = device.id
WHERE device.id = ? AND device.product_id = ?;

-- name: put_session
-- Put the narrow row of a new registration in place of the one before, or of a connection's.
INSERT INTO session (
    device_id, product_id, epoch, is_online, start_id, remote, lifetime_s, last_heard_at, deadline, transport
) VALUES (
    :device_id, :product_id, :epoch, 1, :start_id, :remote, :lifetime_s, :last_heard_at, :deadline, 'lwm2m'
)
ON CONFLICT (device_id) DO UPDATE
SET product_id = excluded.product_id, epoch = excluded.epoch, is_online = 1, start_id = excluded.start_id,
    remote = excluded.remote, lifetime_s = excluded.lifetime_s, last_heard_at = excluded.last_heard_at,
    deadline = excluded.deadline, transport = excluded.transport;

-- name: put_session_detail
-- Put what a registration says in place of what the one before said.
INSERT OR REPLACE INTO session_detail (
    device_id, endpoint_name, location, registered_at, binding, is_queue_mode, lwm2m_version, links, alternate_path,
    accepted_formats, pending_setup, identity_label
) VALUES (
    :device_id, :endpoint_name, :location, :registered_at, :binding, :is_queue_mode, :lwm2m_version, :links,
    :alternate_path, :accepted_formats, :pending_setup, :identity_label
);

-- name: activate_device
-- A device has registered: for the first time perhaps, and its setup begins anew.
UPDATE device SET activated_at = coalesce(activated_at, ?), is_setup_done = 0 WHERE id = ?;

-- name: change_session
-- Write the narrow row of a session that is as the caller thinks it is.
UPDATE session
SET start_id = :start_id, remote = :remote, lifetime_s = :lifetime_s, last_heard_at = :last_heard_at,
    deadline = :deadline
WHERE device_id = :device_id AND product_id = :product_id AND epoch = :epoch AND is_online = 1
    AND transport = 'lwm2m';

-- name: touch_session
-- Write when a device was last heard, if its address and its deadline stay; the indexes on them are left alone.
UPDATE session SET last_heard_at = :last_heard_at
WHERE device_id = :device_id AND epoch = :epoch AND is_online = 1 AND transport = 'lwm2m' AND remote IS :remote
    AND deadline = :deadline;

-- name: touch_session_deadline
-- Write when a device was last heard and its new deadline, if its address stays.
UPDATE session SET last_heard_at = :last_heard_at, deadline = :deadline
WHERE device_id = :device_id AND epoch = :epoch AND is_online = 1 AND transport = 'lwm2m' AND remote IS :remote;

-- name: touch_session_remote
-- Write where and when a device was last heard, and its deadline.
UPDATE session SET remote = :remote, last_heard_at = :last_heard_at, deadline = :deadline
WHERE device_id = :device_id AND epoch = :epoch AND is_online = 1 AND transport = 'lwm2m';

-- name: end_session
-- Take a session offline; gives its product.
UPDATE session SET is_online = 0
WHERE device_id = ? AND epoch = ? AND is_online = 1 AND transport = 'lwm2m'
RETURNING product_id;

-- name: is_current
-- Whether an LwM2M session is online and of an epoch.
SELECT EXISTS (
    SELECT 1 FROM session WHERE device_id = ? AND epoch = ? AND is_online = 1 AND transport = 'lwm2m'
);

-- name: delete_session_detail
-- Forget what a registration said.
DELETE FROM session_detail WHERE device_id = ?;

-- name: set_pending_setup
-- Write what is still to do of a setup.
UPDATE session_detail SET pending_setup = ? WHERE device_id = ?;

-- name: set_setup_done
-- Write whether a setup is through.
UPDATE device SET is_setup_done = ? WHERE id = ?;

-- name: observations_of
-- A device's observations, in the order in which they came.
SELECT path, coap_token, is_automatic FROM observation WHERE device_id = ? ORDER BY id;

-- name: insert_observation
-- Put an observation on disk; another of the same path goes.
INSERT OR REPLACE INTO observation (device_id, path, coap_token, is_automatic) VALUES (?, ?, ?, ?);

-- name: delete_observation
-- Forget the observation with a token.
DELETE FROM observation WHERE device_id = ? AND coap_token = ?;

-- name: delete_observations
-- Forget all observations of a device.
DELETE FROM observation WHERE device_id = ?;

-- name: tell_online_state
-- Put a change of a device's online state into the outbox, once for each subscription that wants it.
INSERT INTO outbox (subscription_id, product_id, device_id, kind, at, is_online, told_at)
SELECT id, :product_id, :device_id, 2, :at, :is_online, :at
FROM subscription WHERE product_id = :product_id AND kinds & 4 ORDER BY id;

-- name: find_session
-- A device's session, if it is online.
SELECT {session_columns} FROM session JOIN session_detail USING (device_id)
WHERE session.device_id = ? AND session.is_online = 1;

-- name: find_session_by_location
-- The online session with a location.
SELECT {session_columns} FROM session_detail JOIN session USING (device_id)
WHERE session_detail.location = ? AND session.is_online = 1
ORDER BY session_detail.device_id LIMIT 1;

-- name: find_session_by_remote
-- The online session of an address; of several, which a crash may leave, the one that was heard last.
SELECT {session_columns} FROM session JOIN session_detail USING (device_id)
WHERE session.remote = ? AND session.is_online = 1 AND session.transport = 'lwm2m'
ORDER BY session.last_heard_at DESC LIMIT 1;

-- name: overdue_sessions
-- Online sessions whose deadline has passed, longest ago first.
SELECT {session_columns} FROM session JOIN session_detail USING (device_id)
WHERE session.is_online = 1 AND session.transport = 'lwm2m' AND session.deadline <= :now
ORDER BY session.deadline, session.device_id LIMIT :limit;

-- name: sessions_in_setup
-- Sessions with pending setup, by device.
SELECT {session_columns} FROM session_detail JOIN session USING (device_id)
WHERE session_detail.pending_setup IS NOT NULL AND session_detail.device_id > :after AND session.is_online = 1
ORDER BY session_detail.device_id LIMIT :limit;
