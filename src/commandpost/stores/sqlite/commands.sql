-- Commands and their attempts. State names are literals, so that the partial indexes are used; which state follows is
-- never decided here.

-- fragment: command_columns
-- The columns of a command in the order of rows.command_from_row.
command.seq, command.id, command.product_id, command.device_id, command.imei, command.operation, command.mode,
    command.transport, command.created_at, command.valid_from, command.expires_at, command.retry, command.remaining,
    command.answer_timeout_ms, command.triggers, command.delivery, command.state, command.attempts,
    command.current_attempt, command.sent_at, command.answered_at, command.finished_at, command.outcome,
    command.arguments, command.content

-- fragment: attempt_columns
-- The columns of an attempt in the order of rows.attempt_from_row.
attempt.id, attempt.command_seq, attempt.number, attempt.coap_token, attempt.start_id, attempt.sent_at,
    attempt.deadline, attempt.ended_at, attempt.outcome, attempt.answer_code, attempt.answer_format,
    attempt.answer_payload, attempt.answer_result, attempt.late_answers

-- fragment: insert_command_columns
-- The columns of a new command in the order of rows.command_to_row.
id, product_id, device_id, imei, operation, mode, transport, created_at, valid_from, expires_at, retry, remaining,
    answer_timeout_ms, triggers, delivery, state, attempts, current_attempt, sent_at, answered_at, finished_at, outcome,
    arguments, content

-- name: accept_command
-- Take a command in if its device exists and fewer than a number wait there whose window is open at its created_at.
-- After the row: device, product, device, created_at, number.
INSERT INTO command ({insert_command_columns})
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
WHERE EXISTS (SELECT 1 FROM device WHERE device.id = ? AND device.product_id = ?)
    AND (
        SELECT count(*) FROM command AS other
        WHERE other.device_id = ? AND other.state = 'waiting' AND other.expires_at > ?
    ) < ?;

-- name: accept_payload
-- The same for a payload of `/cmds`, which counts until it has ended: those in flight are counted, too.
-- After the row: device, product, device, created_at, device, number.
INSERT INTO command ({insert_command_columns})
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
WHERE EXISTS (SELECT 1 FROM device WHERE device.id = ? AND device.product_id = ?)
    AND (
        SELECT count(*) FROM command AS other
        WHERE other.device_id = ? AND other.state = 'waiting' AND other.expires_at > ?
    ) + (
        SELECT count(*) FROM command AS other
        WHERE other.device_id = ? AND other.state IN ('sent', 'delivered') AND other.transport <> 'lwm2m'
    ) < ?;

-- name: insert_ended_command
-- Take in an instant command that has ended, if its device exists. After the row: device, product.
INSERT INTO command ({insert_command_columns})
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
WHERE EXISTS (SELECT 1 FROM device WHERE device.id = ? AND device.product_id = ?);

-- name: device_exists
-- Tell a full queue from a device that is gone.
SELECT EXISTS (SELECT 1 FROM device WHERE id = ? AND product_id = ?);

-- name: waiting_for
-- What waits for a device with a trigger and an open window, in order of acceptance.
SELECT {command_columns} FROM command
WHERE device_id = :device_id AND state = 'waiting' AND (triggers & :trigger) != 0
    AND valid_from <= :now AND expires_at > :now
ORDER BY seq LIMIT :limit;

-- name: waiting_of_device
-- Every waiting command of a device whose window is open, in order of acceptance.
SELECT {command_columns} FROM command
WHERE device_id = :device_id AND state = 'waiting' AND expires_at > :at
ORDER BY seq;

-- name: find_command
-- One command.
SELECT {command_columns} FROM command WHERE id = ?;

-- name: find_claimable
-- A command with what guards its claim: the epoch of its device's session if that is online, and whether the lane is taken.
SELECT {command_columns},
    (SELECT epoch FROM session WHERE session.device_id = command.device_id AND session.is_online = 1),
    EXISTS (
        SELECT 1 FROM command AS other
        WHERE other.device_id = command.device_id AND other.state = 'sent' AND other.transport = 'lwm2m'
    )
FROM command WHERE id = ?;

-- name: claim_command
-- Put a waiting command into the state its claim gave it, with the attempt's deadline.
UPDATE command
SET state = :state, remaining = :remaining, attempts = :attempts, current_attempt = :current_attempt,
    deadline = :deadline, sent_at = :sent_at, answered_at = :answered_at, finished_at = :finished_at, outcome = :outcome
WHERE seq = :seq AND state = 'waiting';

-- name: follow_session
-- Write where a command is about to be sent, if the row of the session does not say so yet.
UPDATE session SET remote = :remote
WHERE device_id = :device_id AND epoch = :epoch AND is_online = 1 AND transport = 'lwm2m' AND remote IS NOT :remote;

-- name: finish_command
-- Put a command in flight into the state the end of its attempt gave it.
UPDATE command
SET state = :state, remaining = :remaining, attempts = :attempts, current_attempt = :current_attempt, deadline = NULL,
    sent_at = :sent_at, answered_at = :answered_at, finished_at = :finished_at, outcome = :outcome
WHERE seq = :seq AND state IN ('sent', 'delivered') AND current_attempt = :ended_attempt;

-- name: end_waiting_command
-- Put a waiting command into the final state it was given: refused, expired, cancelled.
UPDATE command
SET state = :state, finished_at = :finished_at, outcome = :outcome
WHERE seq = :seq AND state = 'waiting';

-- name: insert_attempt
-- Put an attempt on disk.
INSERT INTO attempt (
    id, command_seq, number, coap_token, start_id, sent_at, deadline, ended_at, outcome, answer_code, answer_format,
    answer_payload, answer_result, late_answers
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: end_attempt
-- Write the one end of an attempt.
UPDATE attempt
SET ended_at = ?, outcome = ?, answer_code = ?, answer_format = ?, answer_payload = ?, answer_result = ?
WHERE id = ? AND ended_at IS NULL;

-- name: count_late_answer
-- Count answers that came after the end of an attempt, which must be one of a command if that is given.
UPDATE attempt SET late_answers = late_answers + :answers
WHERE id = :attempt_id
    AND (:command_id IS NULL OR command_seq = (SELECT seq FROM command WHERE command.id = :command_id));

-- name: expiring
-- Waiting commands whose window has closed, longest ago first.
SELECT {command_columns} FROM command
WHERE state = 'waiting' AND expires_at <= :now
ORDER BY expires_at, seq LIMIT :limit;

-- name: prunable
-- The seqs of finished commands that were created before an instant, oldest first.
SELECT seq FROM command
WHERE finished_at IS NOT NULL AND created_at < :created_before
ORDER BY created_at, seq LIMIT :limit;

-- name: delete_attempts_of
-- Forget the attempts of a command.
DELETE FROM attempt WHERE command_seq = ?;

-- name: delete_feedback_of
-- Forget how the result of a command was pushed.
DELETE FROM push_feedback WHERE command_id = (SELECT id FROM command WHERE seq = ?);

-- name: delete_command
-- Forget a command.
DELETE FROM command WHERE seq = ?;

-- name: tell_command_ended
-- Put the end of a command into the outbox, once for each subscription that wants it.
INSERT INTO outbox (subscription_id, product_id, device_id, kind, at, command_id, told_at)
SELECT id, :product_id, :device_id, 7, :at, :command_id, :at
FROM subscription WHERE product_id = :product_id AND kinds & 128 ORDER BY id;

-- name: attempts_of
-- The attempts of a command, oldest first.
SELECT {attempt_columns} FROM attempt WHERE command_seq = ? ORDER BY number, id;

-- name: count_history
-- How many cached commands a history holds.
SELECT count(*) FROM command
WHERE device_id = :device_id AND mode = 'cached' AND created_at BETWEEN :start AND :end;

-- name: history_ascending
-- A page of a history, oldest first.
SELECT {command_columns} FROM command
WHERE device_id = :device_id AND mode = 'cached' AND created_at BETWEEN :start AND :end
ORDER BY created_at, seq LIMIT :size OFFSET :skipped;

-- name: history_descending
-- A page of a history, newest first.
SELECT {command_columns} FROM command
WHERE device_id = :device_id AND mode = 'cached' AND created_at BETWEEN :start AND :end
ORDER BY created_at DESC, seq DESC LIMIT :size OFFSET :skipped;

-- name: history_of_one
-- One command, if the history holds it.
SELECT {command_columns} FROM command
WHERE id = :command_id AND device_id = :device_id AND mode = 'cached' AND created_at BETWEEN :start AND :end;

-- name: list_commands
-- A product's commands, newest first, below a seq.
SELECT {command_columns} FROM command
WHERE product_id = :product_id AND seq < :before_seq
ORDER BY seq DESC LIMIT :limit;

-- name: open_attempts
-- What is in flight, by attempt id.
SELECT {command_columns}, {attempt_columns}
FROM command JOIN attempt ON attempt.id = command.current_attempt
WHERE command.state IN ('sent', 'delivered') AND command.current_attempt > :after
ORDER BY command.current_attempt LIMIT :limit;

-- name: overdue_attempts
-- What is in flight beyond its deadline, earliest first.
SELECT {command_columns}, {attempt_columns}
FROM command JOIN attempt ON attempt.id = command.current_attempt
WHERE command.state IN ('sent', 'delivered') AND command.deadline <= :now
ORDER BY command.deadline, command.current_attempt LIMIT :limit;

-- name: waiting_devices
-- Devices with waiting commands, by id.
SELECT DISTINCT device_id FROM command
WHERE state = 'waiting' AND device_id > :after
ORDER BY device_id LIMIT :limit;
