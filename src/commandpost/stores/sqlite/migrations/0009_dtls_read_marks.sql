-- How far the records of an association were read, beside its sealed state: written often, and alone.
-- Conventions are those of 0001.

ALTER TABLE dtls_association ADD COLUMN read_next INTEGER NOT NULL DEFAULT 0 CHECK (read_next >= 0);
