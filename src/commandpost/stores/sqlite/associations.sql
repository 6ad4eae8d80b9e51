-- DTLS associations that outlive a restart.

-- name: keep_association
-- Put an association in place of what was there of it, unless its device is gone; its mark is never lowered.
INSERT INTO dtls_association (remote, device_id, sealed_state, saved_at, read_next)
SELECT :remote, :device_id, :sealed_state, :saved_at, :read_next
WHERE EXISTS (SELECT 1 FROM device WHERE id = :device_id)
ON CONFLICT (remote) DO UPDATE SET
    device_id = excluded.device_id, sealed_state = excluded.sealed_state, saved_at = excluded.saved_at,
    read_next = max(read_next, excluded.read_next);

-- name: raise_read_mark
-- Note how far the records of an association were read.
UPDATE dtls_association SET read_next = max(read_next, :read_next), saved_at = max(saved_at, :at)
WHERE remote = :remote;

-- name: drop_association
-- Forget an association.
DELETE FROM dtls_association WHERE remote = ?;

-- name: drop_associations_of
-- Forget every association of a device.
DELETE FROM dtls_association WHERE device_id = ?;

-- name: list_associations
-- A page of all associations.
SELECT remote, device_id, sealed_state, saved_at, read_next FROM dtls_association WHERE remote > ?
ORDER BY remote LIMIT ?;
