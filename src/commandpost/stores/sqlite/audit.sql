-- Who did what.

-- fragment: audit_columns
-- The columns of an entry in the order of audit_rows.entry_from_row, after its number.
at, product_id, actor, key_title, action, target, remote, result, times

-- name: insert_entry
-- Keep an entry.
INSERT INTO audit_entry ({audit_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: prune_entries
-- Of the oldest entries, remove those from before an instant and those beyond a number.
DELETE FROM audit_entry WHERE number IN (
    SELECT number FROM (SELECT number, at FROM audit_entry ORDER BY number LIMIT :limit)
    WHERE at < :before OR number <= (SELECT max(number) FROM audit_entry) - :rows_max
);

-- name: list_entries
-- Entries, newest first.
SELECT number, {audit_columns} FROM audit_entry WHERE number < :before_number
ORDER BY number DESC LIMIT :limit;

-- name: list_entries_of_product
-- Entries of one product, newest first.
SELECT number, {audit_columns} FROM audit_entry WHERE product_id = :product_id AND number < :before_number
ORDER BY number DESC LIMIT :limit;
