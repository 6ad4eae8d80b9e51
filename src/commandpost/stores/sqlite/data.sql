-- Streams, points and binaries. A deleted stream's row is gone and its number is an orphan: whoever reads points or
-- binaries comes by the stream, so nobody finds what is still on the disk.

-- fragment: datastream_columns
-- The columns of a stream in the order of data_rows.datastream_from_row.
device_id, stream_id, uuid, created_at, unit, unit_symbol, tags, updated_at, current_value

-- name: is_device
-- Whether a product has a device.
SELECT EXISTS (SELECT 1 FROM device WHERE id = ? AND product_id = ?);

-- name: find_stream_place
-- A stream's number, and the time of its latest point.
SELECT number, updated_at FROM datastream WHERE device_id = ? AND stream_id = ?;

-- name: count_streams
-- How many streams a device has.
SELECT count(*) FROM datastream WHERE device_id = ?;

-- name: insert_stream
-- Take a stream in.
INSERT INTO datastream ({datastream_columns}) VALUES (
    :device_id, :stream_id, :uuid, :created_at, :unit, :unit_symbol, :tags, :updated_at, :current_value
);

-- name: find_stream
-- One stream.
SELECT {datastream_columns} FROM datastream WHERE device_id = ? AND stream_id = ?;

-- name: change_stream
-- Write what the owner says of a stream.
UPDATE datastream SET unit = :unit, unit_symbol = :unit_symbol, tags = :tags
WHERE device_id = :device_id AND stream_id = :stream_id;

-- name: set_current
-- Write a stream's latest point.
UPDATE datastream SET updated_at = ?, current_value = ? WHERE number = ?;

-- name: insert_point
-- Store a point.
INSERT INTO datapoint (stream, at, received_at, value) VALUES (?, ?, ?, ?);

-- name: insert_binary
-- Store a binary.
INSERT INTO stored_binary (binary_index, device_id, stream, at, received_at, description, payload)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: delete_stream
-- Forget a stream; gives its number.
DELETE FROM datastream WHERE device_id = ? AND stream_id = ?
RETURNING number;

-- name: delete_streams
-- Forget every stream of a device; gives their numbers.
DELETE FROM datastream WHERE device_id = ?
RETURNING number;

-- name: orphan_stream
-- Note that a deleted stream has points or binaries left, if it has.
INSERT INTO orphan_stream (stream) SELECT :stream
WHERE EXISTS (SELECT 1 FROM datapoint WHERE datapoint.stream = :stream)
    OR EXISTS (SELECT 1 FROM stored_binary WHERE stored_binary.stream = :stream);

-- name: list_orphans
-- Deleted streams with something left, in the order in which they were made.
SELECT stream FROM orphan_stream ORDER BY stream LIMIT ?;

-- name: delete_points_of
-- Remove some points of a stream.
DELETE FROM datapoint WHERE number IN (SELECT number FROM datapoint WHERE stream = ? ORDER BY at, number LIMIT ?);

-- name: delete_binaries_of
-- Remove some binaries of a stream.
DELETE FROM stored_binary WHERE number IN (
    SELECT number FROM stored_binary WHERE stream = ? ORDER BY number LIMIT ?
);

-- name: delete_orphan
-- Nothing is left of a deleted stream.
DELETE FROM orphan_stream WHERE stream = ?;

-- name: prune_points
-- Of the oldest points by arrival, remove those received before an instant.
DELETE FROM datapoint WHERE number IN (
    SELECT number FROM (SELECT number, received_at FROM datapoint ORDER BY number LIMIT :limit)
    WHERE received_at < :received_before
);

-- name: prune_binaries
-- Of the oldest binaries by arrival, remove those received before an instant.
DELETE FROM stored_binary WHERE number IN (
    SELECT number FROM (SELECT number, received_at FROM stored_binary ORDER BY number LIMIT :limit)
    WHERE received_at < :received_before
);

-- name: list_datastreams
-- A device's streams, by id.
SELECT {datastream_columns} FROM datastream WHERE device_id = ? ORDER BY stream_id;

-- name: list_datastreams_among
-- Some of a device's streams, by id.
SELECT {datastream_columns} FROM datastream
WHERE device_id = ? AND stream_id IN (SELECT value FROM json_each(?)) ORDER BY stream_id;

-- name: current_values
-- The streams of some devices, by device and id.
SELECT {datastream_columns} FROM datastream
WHERE device_id IN (SELECT value FROM json_each(?)) ORDER BY device_id, stream_id;

-- name: list_stream_places
-- Id and number of a device's streams, by id.
SELECT stream_id, number FROM datastream WHERE device_id = ? ORDER BY stream_id;

-- name: list_stream_places_among
-- Id and number of some of a device's streams, by id.
SELECT stream_id, number FROM datastream
WHERE device_id = ? AND stream_id IN (SELECT value FROM json_each(?)) ORDER BY stream_id;

-- fragment: points_between
-- Points of a stream between two positions, neither of which belongs to it, in three parts: those of the first instant,
-- those between, those of the last. Compared as (at, number) > (?, ?) all points of an instant would be walked, for
-- SQLite does not take a row's number into such a range; and a clock that stands still gives a million of one instant.
SELECT number, at, value FROM datapoint
WHERE stream = :stream AND at = :low_at AND number > :low_number AND :low_at <= :high_at
    AND number < iif(:low_at < :high_at, 9223372036854775807, :high_number)
UNION ALL
SELECT number, at, value FROM datapoint
WHERE stream = :stream AND at > :low_at AND at < :high_at
UNION ALL
SELECT number, at, value FROM datapoint
WHERE stream = :stream AND at = :high_at AND number < :high_number AND :low_at < :high_at

-- name: points_ascending
-- Points of a stream between two positions, oldest first.
{points_between}
ORDER BY at, number LIMIT :limit;

-- name: points_descending
-- Points of a stream between two positions, newest first.
{points_between}
ORDER BY at DESC, number DESC LIMIT :limit;

-- name: find_binary
-- A binary with its bytes.
SELECT stored_binary.binary_index, stored_binary.device_id, stored_binary.at, length(stored_binary.payload),
    stored_binary.description, stored_binary.payload
FROM stored_binary JOIN datastream ON datastream.number = stored_binary.stream
WHERE stored_binary.binary_index = ?;

-- name: list_binaries
-- A device's newest binaries, newest first.
SELECT stored_binary.binary_index, stored_binary.device_id, stored_binary.at, length(stored_binary.payload),
    stored_binary.description
FROM stored_binary CROSS JOIN datastream ON datastream.number = stored_binary.stream
WHERE stored_binary.device_id = ?
ORDER BY stored_binary.at DESC, stored_binary.number DESC LIMIT ?;
