-- How devices prove who they are: a policy per product, keys and DTLS identities per device. Conventions are those of 0001.

ALTER TABLE product ADD COLUMN device_security TEXT NOT NULL DEFAULT 'mixed'
    CHECK (device_security IN ('nosec', 'nosec+auth_code', 'dtls', 'mixed'));
ALTER TABLE product ADD COLUMN bootstrap_uri TEXT;
ALTER TABLE product ADD COLUMN bootstrap_secure_uri TEXT;

ALTER TABLE device ADD COLUMN sealed_bootstrap_psk BLOB;
ALTER TABLE device ADD COLUMN psk_identity TEXT;

-- Nearly all devices are known by their IMEI alone.
CREATE UNIQUE INDEX device_by_psk_identity ON device (psk_identity) WHERE psk_identity IS NOT NULL;

-- The key with which a device registered; NULL: without DTLS.
ALTER TABLE session_detail ADD COLUMN identity_label TEXT CHECK (identity_label IN ('access', 'bootstrap'));
