-- Products, their keys, devices, and what is known of devices' objects.

-- fragment: product_columns
-- The columns of a product in the order of rows.product_from_row.
id, name, created_at, is_auto_discovered, imei_rule, allow_imei_only, execute_delivery, device_security, bootstrap_uri,
    bootstrap_secure_uri

-- fragment: device_columns
-- The columns of a device in the order of rows.device_from_row.
device.id, device.product_id, device.protocol, device.title, device.description, device.tags, device.location,
    device.is_private, device.is_auto_observed, device.auth_info, device.imei, device.imsi, device.imsi_old,
    device.imsi_changed_at, device.chip, device.other, device.sealed_auth_code, device.sealed_psk, device.created_at,
    device.activated_at, device.last_heard_at, device.manufacturer, device.model, device.is_setup_done,
    device.sealed_bootstrap_psk, device.psk_identity, session.last_heard_at

-- name: insert_product
-- Take a product in; id NULL lets the database choose.
INSERT INTO product ({product_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_product
-- Put a product in place of what it was.
UPDATE product
SET name = ?, created_at = ?, is_auto_discovered = ?, imei_rule = ?, allow_imei_only = ?, execute_delivery = ?,
    device_security = ?, bootstrap_uri = ?, bootstrap_secure_uri = ?
WHERE id = ?;

-- name: find_product
-- One product.
SELECT {product_columns} FROM product WHERE id = ?;

-- name: list_products
-- Every product, by id.
SELECT {product_columns} FROM product ORDER BY id;

-- name: insert_key
-- Put a key in place of the product's key of that kind.
INSERT INTO product_key (product_id, kind, sealed, key_index, created_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (product_id, kind) DO UPDATE
SET sealed = excluded.sealed, key_index = excluded.key_index, created_at = excluded.created_at;

-- name: find_key
-- The key with an index, the product's own or a replaced one.
SELECT product_id, kind, sealed, key_index, created_at, NULL FROM product_key WHERE key_index = :key_index
UNION ALL
SELECT product_id, kind, sealed, key_index, created_at, expires_at FROM retiring_key WHERE key_index = :key_index
LIMIT 1;

-- name: get_key
-- A product's key of a kind.
SELECT product_id, kind, sealed, key_index, created_at, NULL FROM product_key WHERE product_id = ? AND kind = ?;

-- name: old_keys
-- A product's replaced keys, the one that is good longest first.
SELECT product_id, kind, sealed, key_index, created_at, expires_at FROM retiring_key WHERE product_id = ?
ORDER BY expires_at DESC, key_index;

-- name: retire_key
-- Let the product's key of a kind be a replaced one until an instant.
INSERT OR REPLACE INTO retiring_key (product_id, kind, sealed, key_index, created_at, expires_at)
SELECT product_id, kind, sealed, key_index, created_at, :expires_at FROM product_key
WHERE product_id = :product_id AND kind = :kind AND key_index <> :key_index;

-- name: delete_old_key
-- A key that was replaced is the product's own again.
DELETE FROM retiring_key WHERE key_index = ?;

-- name: delete_old_keys
-- Forget a product's replaced keys of a kind.
DELETE FROM retiring_key WHERE product_id = ? AND kind = ?;

-- name: prune_old_keys
-- Forget replaced keys whose time is over.
DELETE FROM retiring_key WHERE key_index IN (
    SELECT key_index FROM retiring_key WHERE expires_at < ? ORDER BY expires_at LIMIT ?
);

-- name: next_device_id
-- The id the next device would get.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'device'), 0) + 1;

-- name: insert_device
-- Take a device in.
INSERT INTO device (
    id, product_id, protocol, title, description, tags, location, is_private, is_auto_observed, auth_info, imei, imsi,
    imsi_old, imsi_changed_at, chip, other, sealed_auth_code, sealed_psk, created_at, activated_at, last_heard_at,
    manufacturer, model, is_setup_done, sealed_bootstrap_psk, psk_identity
) VALUES (
    :id, :product_id, :protocol, :title, :description, :tags, :location, :is_private, :is_auto_observed, :auth_info,
    :imei, :imsi, :imsi_old, :imsi_changed_at, :chip, :other, :sealed_auth_code, :sealed_psk, :created_at,
    :activated_at, :last_heard_at, :manufacturer, :model, :is_setup_done, :sealed_bootstrap_psk, :psk_identity
);

-- name: update_device
-- Put a device in place of what it was, but for what never changes.
UPDATE device
SET title = :title, description = :description, tags = :tags, location = :location, is_private = :is_private,
    is_auto_observed = :is_auto_observed, auth_info = :auth_info, imsi = :imsi, imsi_old = :imsi_old,
    imsi_changed_at = :imsi_changed_at, chip = :chip, other = :other, sealed_auth_code = :sealed_auth_code,
    sealed_psk = :sealed_psk, activated_at = :activated_at, last_heard_at = :last_heard_at,
    manufacturer = :manufacturer, model = :model, is_setup_done = :is_setup_done,
    sealed_bootstrap_psk = :sealed_bootstrap_psk, psk_identity = :psk_identity
WHERE id = :id AND product_id = :product_id;

-- fragment: own_device_columns
-- A device as its own row has it, without what its session knows.
id, product_id, protocol, title, description, tags, location, is_private, is_auto_observed, auth_info, imei, imsi,
    imsi_old, imsi_changed_at, chip, other, sealed_auth_code, sealed_psk, created_at, activated_at, last_heard_at,
    manufacturer, model, is_setup_done, sealed_bootstrap_psk, psk_identity, NULL

-- name: find_device_row
-- One device.
SELECT {own_device_columns} FROM device WHERE id = ?;

-- name: find_device_by_auth_info
-- The device of a product that has no IMEI and this auth_info: there is one at most.
SELECT {own_device_columns} FROM device INDEXED BY device_by_auth_info
WHERE product_id = ? AND auth_info = ? AND imei IS NULL
LIMIT 1;

-- name: is_imei_taken
-- Whether any device has an IMEI.
SELECT EXISTS (SELECT 1 FROM device WHERE imei = ?);

-- name: is_psk_identity_of_other
-- Whether a device other than this one has a DTLS identity, or the IMEI that the identity would name.
SELECT EXISTS (SELECT 1 FROM device WHERE psk_identity = :psk_identity AND id <> :id)
    OR EXISTS (SELECT 1 FROM device WHERE imei = :claimed_imei AND id <> :id);

-- name: is_imei_claimed
-- Whether a device's DTLS identity is this IMEI, or begins with it and a semicolon; `<` follows `;`.
SELECT EXISTS (SELECT 1 FROM device WHERE psk_identity = :imei)
    OR EXISTS (SELECT 1 FROM device WHERE psk_identity >= :imei || ';' AND psk_identity < :imei || '<');

-- name: is_auth_info_taken
-- Whether a device of the product that has no IMEI has this auth_info. The planner would rather walk all without IMEI.
SELECT EXISTS (
    SELECT 1 FROM device INDEXED BY device_by_auth_info WHERE product_id = ? AND auth_info = ? AND imei IS NULL
);

-- name: set_identity
-- Keep manufacturer and model.
UPDATE device SET manufacturer = ?, model = ? WHERE id = ?;

-- name: delete_attempts
-- Forget the attempts of a device's commands.
DELETE FROM attempt WHERE command_seq IN (SELECT seq FROM command WHERE device_id = ?);

-- name: delete_commands
-- Forget a device's commands.
DELETE FROM command WHERE device_id = ?;

-- name: delete_feedback
-- Forget how the results of a device's commands were pushed.
DELETE FROM push_feedback WHERE command_id IN (SELECT id FROM command WHERE device_id = ?);

-- name: delete_observations
-- Forget a device's observations.
DELETE FROM observation WHERE device_id = ?;

-- name: delete_session_detail
-- Forget what a device's registration said.
DELETE FROM session_detail WHERE device_id = ?;

-- name: delete_session
-- Forget a device's session, its epoch too.
DELETE FROM session WHERE device_id = ?;

-- name: delete_resources
-- Forget what is known of a device's objects.
DELETE FROM device_resource WHERE device_id = ?;

-- name: is_device
-- Whether a product has a device.
SELECT EXISTS (SELECT 1 FROM device WHERE id = ? AND product_id = ?);

-- name: delete_device
-- Forget a device.
DELETE FROM device WHERE id = ?;

-- name: put_resource
-- Keep what is known of one object, if the device exists.
INSERT INTO device_resource (device_id, object_id, instances)
SELECT :device_id, :object_id, :instances WHERE EXISTS (SELECT 1 FROM device WHERE device.id = :device_id)
ON CONFLICT (device_id, object_id) DO UPDATE SET instances = excluded.instances;

-- name: list_resources
-- What is known of a device's objects, by object id.
SELECT object_id, instances FROM device_resource WHERE device_id = ? ORDER BY object_id;

-- name: find_device
-- One device.
SELECT {device_columns} FROM device LEFT JOIN session ON session.device_id = device.id WHERE device.id = ?;

-- name: find_device_by_imei
-- The device with an IMEI.
SELECT {device_columns} FROM device LEFT JOIN session ON session.device_id = device.id WHERE device.imei = ?;

-- name: find_device_by_psk_identity
-- The device with a DTLS identity of its own.
SELECT {device_columns} FROM device LEFT JOIN session ON session.device_id = device.id WHERE device.psk_identity = ?;

-- fragment: device_matches
-- A DeviceFilter's conditions but ids; NULL means no condition. The texts of tags begin with their version.
(:key_words IS NULL OR substr(device.title, 1, :key_words_length) = :key_words
        OR substr(CAST(device.id AS TEXT), 1, :key_words_length) = :key_words)
    AND (:auth_info IS NULL OR device.auth_info IN (:auth_info, :auth_info_as_json)
        OR device.imei = :auth_info)
    AND (:tags IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(:tags) AS wanted
        WHERE wanted.value NOT IN (SELECT value FROM json_each(device.tags, '$[1]'))
    ))
    AND (:is_online IS NULL OR ifnull(session.is_online, 0) = :is_online)
    AND (:is_private IS NULL OR device.is_private = :is_private)
    AND (:created_from IS NULL OR device.created_at >= :created_from)
    AND (:created_before IS NULL OR device.created_at < :created_before)

-- name: count_all_devices
-- How many devices a product has.
SELECT count(*) FROM device WHERE product_id = :product_id;

-- name: count_devices
-- How many devices of a product match.
SELECT count(*) FROM device LEFT JOIN session ON session.device_id = device.id
WHERE device.product_id = :product_id AND {device_matches};

-- name: list_devices
-- A page of the devices of a product that match, by id.
SELECT {device_columns} FROM device LEFT JOIN session ON session.device_id = device.id
WHERE device.product_id = :product_id AND {device_matches}
ORDER BY device.id LIMIT :size OFFSET :skipped;

-- name: count_devices_among
-- How many of some devices are of a product and match.
SELECT count(*) FROM device LEFT JOIN session ON session.device_id = device.id
WHERE device.id IN (SELECT value FROM json_each(:ids)) AND device.product_id = :product_id AND {device_matches};

-- name: list_devices_among
-- A page of those of some devices that are of a product and match, by id.
SELECT {device_columns} FROM device LEFT JOIN session ON session.device_id = device.id
WHERE device.id IN (SELECT value FROM json_each(:ids)) AND device.product_id = :product_id AND {device_matches}
ORDER BY device.id LIMIT :size OFFSET :skipped;

-- name: online_among
-- Which of some devices are online.
SELECT device_id FROM session WHERE device_id IN (SELECT value FROM json_each(?)) AND is_online = 1;
