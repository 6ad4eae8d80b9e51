-- Payloads of `/cmds`: commands whose transport is not LwM2M. What they share with others is in commands.sql.

-- fragment: command_columns
-- The columns of a command in the order of rows.command_from_row.
command.seq, command.id, command.product_id, command.device_id, command.imei, command.operation, command.mode,
    command.transport, command.created_at, command.valid_from, command.expires_at, command.retry, command.remaining,
    command.answer_timeout_ms, command.triggers, command.delivery, command.state, command.attempts,
    command.current_attempt, command.sent_at, command.answered_at, command.finished_at, command.outcome,
    command.arguments, command.content

-- name: payloads_in_flight
-- A device's payloads in flight, in order of acceptance.
SELECT {command_columns} FROM command
WHERE device_id = :device_id AND state IN ('sent', 'delivered') AND transport <> 'lwm2m'
ORDER BY seq LIMIT :limit;

-- name: confirm_payload
-- Put a sent payload into the state its confirmation gave it; its attempt goes on.
UPDATE command SET state = :state WHERE seq = :seq AND state = 'sent' AND current_attempt = :current_attempt;

-- name: newest_attempt
-- The id of a command's newest attempt.
SELECT id FROM attempt WHERE command_seq = ? ORDER BY number DESC, id DESC LIMIT 1;

-- name: answer_late
-- Put a payload without an attempt in flight into the state a late reply gave it.
UPDATE command
SET state = :state, answered_at = :answered_at, finished_at = :finished_at, outcome = :outcome
WHERE seq = :seq AND state IN ('waiting', 'failed') AND transport <> 'lwm2m';

-- name: end_attempt_late
-- Write the end of an attempt in place of the one it had.
UPDATE attempt
SET ended_at = ?, outcome = ?, answer_code = ?, answer_format = ?, answer_payload = ?, answer_result = ?
WHERE id = ?;

-- fragment: payload_matches
-- A PayloadFilter's conditions. What is past its expires_at has ended (domain.delivery.as_seen_at): by silence, if it
-- was out; without a bound of retries that is expired, else failed, both with outcome 5 (TIME_OUT).
device_id = :device_id AND transport <> 'lwm2m' AND created_at BETWEEN :start AND :end
    AND (
        :stands IS NULL
        OR CASE
            WHEN expires_at > :now OR state NOT IN ('waiting', 'sent', 'delivered') THEN state || ':' || ifnull(outcome, '')
            WHEN state = 'waiting' THEN 'expired:' || ifnull(outcome, '')
            WHEN retry IS NULL THEN 'expired:5'
            ELSE 'failed:5'
        END IN (SELECT value FROM json_each(:stands))
    )

-- name: count_payloads
-- How many payloads of a device match.
SELECT count(*) FROM command INDEXED BY payload_history WHERE {payload_matches};

-- name: payloads_ascending
-- A page of the payloads that match, oldest first.
SELECT {command_columns} FROM command INDEXED BY payload_history WHERE {payload_matches}
ORDER BY created_at, seq LIMIT :size OFFSET :skipped;

-- name: payloads_descending
-- A page of the payloads that match, newest first.
SELECT {command_columns} FROM command INDEXED BY payload_history WHERE {payload_matches}
ORDER BY created_at DESC, seq DESC LIMIT :size OFFSET :skipped;
