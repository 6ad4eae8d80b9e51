-- Device-level keys, and which of them name a device.

-- fragment: device_key_columns
-- The columns of a key in the order of key_rows.device_key_from_row.
device_key.product_id, device_key.title, device_key.sealed, device_key.key_index, device_key.permissions,
    device_key.registered_device, device_key.created_at

-- name: has_room
-- Whether a product exists, and how many keys were added to it by hand.
SELECT EXISTS (SELECT 1 FROM product WHERE id = :product_id),
    (SELECT count(*) FROM device_key WHERE product_id = :product_id AND registered_device IS NULL);

-- name: insert_device_key
-- Take a key in.
INSERT INTO device_key (product_id, title, sealed, key_index, permissions, registered_device, created_at)
VALUES (:product_id, :title, :sealed, :key_index, :permissions, :registered_device, :created_at);

-- name: change_device_key
-- Give a key another title and other permissions; gives its id.
UPDATE device_key SET title = ?, permissions = ? WHERE key_index = ? AND product_id = ?
RETURNING id;

-- name: delete_device_key
-- Forget a key of a product; gives its id.
DELETE FROM device_key WHERE key_index = ? AND product_id = ?
RETURNING id;

-- name: delete_registered_key
-- Forget the key a device was given; gives its id.
DELETE FROM device_key WHERE registered_device = ?
RETURNING id;

-- name: insert_mention
-- Note that a key names a device.
INSERT INTO device_key_mention (device_id, key_id) VALUES (?, ?);

-- name: delete_mentions
-- Forget what a key names.
DELETE FROM device_key_mention WHERE key_id = ?;

-- name: find_device_key
-- The key with an index.
SELECT {device_key_columns} FROM device_key WHERE key_index = ?;

-- name: find_registered_key
-- The key a device was given when it registered itself.
SELECT {device_key_columns} FROM device_key WHERE registered_device = ?;

-- name: count_device_keys
-- How many keys a product has.
SELECT count(*) FROM device_key WHERE product_id = :product_id;

-- name: list_device_keys
-- A page of a product's keys, oldest first.
SELECT {device_key_columns} FROM device_key WHERE product_id = :product_id
ORDER BY id LIMIT :size OFFSET :skipped;

-- name: count_keys_of_device
-- How many keys of a product name a device.
SELECT count(*) FROM device_key_mention AS mention JOIN device_key ON device_key.id = mention.key_id
WHERE mention.device_id = :device_id AND device_key.product_id = :product_id;

-- name: list_keys_of_device
-- A page of the keys of a product that name a device, oldest first.
SELECT {device_key_columns} FROM device_key_mention AS mention JOIN device_key ON device_key.id = mention.key_id
WHERE mention.device_id = :device_id AND device_key.product_id = :product_id
ORDER BY mention.key_id LIMIT :size OFFSET :skipped;
