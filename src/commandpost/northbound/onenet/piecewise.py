"""The full-chain log of a command: derived from its record, never stored.

Texts are those of the reference's samples to the letter (northbound reference 4.7, 5.7). A line "feedback message"
stands where the result was handed to its user: for an instant command that is the answer to the call itself.
"""

from collections.abc import Iterator, Sequence

from commandpost.domain.command import Command, Outcome
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord
from commandpost.domain.push import Feedback
from commandpost.northbound.onenet.call import Platform
from commandpost.northbound.onenet.envelope import json_text
from commandpost.northbound.onenet.errno import Family, unsuccess
from commandpost.northbound.onenet.projection import attempt_status, command_result, command_type, send_status
from commandpost.northbound.onenet.values import Json

_INSTANT_SEND_STATUS = 1  # the only one the sample of 4.7 shows: an instant command has no place in the cache
_RESULT_TEXT = "success"  # here, and only here, the documents write it out

Line = tuple[Instant, str]


def cached_log(platform: Platform, record: CommandRecord, feedback: Sequence[Feedback] = ()) -> list[Json]:
    """Give the log of a cached command, oldest first.

    Args:
        feedback: the attempts to push its result; those that were accepted have a line.
    """
    lines = [*_cached_lines(platform, record), *_feedback_lines(record.command, feedback)]
    return _entries(platform, iter(lines))


def instant_log(platform: Platform, record: CommandRecord) -> list[Json]:
    """Give the log of an instant command, oldest first."""
    return _entries(platform, _instant_lines(record))


def _entries(platform: Platform, lines: Iterator[Line]) -> list[Json]:
    return [{"log": text, "time": platform.times.format_java(at)} for at, text in lines]


def _cached_lines(platform: Platform, record: CommandRecord) -> Iterator[Line]:
    command = record.command
    about = _about(command, command.submission.arguments, command.submission.content)
    yield command.created_at, f"received command {about}"
    for attempt in record.attempts:
        yield attempt.sent_at, f"send command {about}"
        if attempt.end is not None:
            status = attempt_status(record, attempt)
            result = _result(platform, record, attempt.end.outcome)
            yield attempt.end.at, _confirm(command, status, attempt.end.outcome) + f", result: [{result}]"
    if not record.attempts and command.outcome is not None and command.finished_at is not None:
        # It could not be written for its device, so that nothing was sent.
        result = _result(platform, record, command.outcome)
        line = _confirm(command, send_status(command), command.outcome)
        yield command.finished_at, f"{line}, result: [{result}]"


def _instant_lines(record: CommandRecord) -> Iterator[Line]:
    command = record.command
    about = _about(command, "{}", "{}")
    yield command.created_at, f"received command {about}"
    for attempt in record.attempts:
        yield attempt.sent_at, f"send command {about}"
        if attempt.end is not None:
            yield attempt.end.at, _confirm(command, _INSTANT_SEND_STATUS, attempt.end.outcome)
    if command.outcome is not None and command.finished_at is not None:
        yield command.finished_at, _feedback_text(command, command.outcome)


def _feedback_lines(command: Command, feedback: Sequence[Feedback]) -> Iterator[Line]:
    for each in feedback:
        if each.is_accepted and command.outcome is not None:
            yield each.at, _feedback_text(command, command.outcome)


def _feedback_text(command: Command, outcome: Outcome) -> str:
    number = command_type(command).value
    return f"feedback message, type: [{number}], confirm status: [{outcome.value}], result: []"


def _about(command: Command, arguments: str, content: str) -> str:
    number = command_type(command).value
    return f"type: [{number}], args: [{_unless_empty(arguments)}], content: [{_unless_empty(content)}]"


def _unless_empty(text: str) -> str:
    return "" if text == "{}" else text


def _confirm(command: Command, status: int, outcome: Outcome) -> str:
    number = command_type(command).value
    return (
        f"received confirm message, type: [{number}], command send status: [{status}], "
        f"confirm status: [{outcome.value}]"
    )


def _result(platform: Platform, record: CommandRecord, outcome: Outcome) -> str:
    if outcome is Outcome.SUCCESS:
        return json_text(command_result(platform, record, text=_RESULT_TEXT) or {})
    errno, error = platform.errnos.number(unsuccess(outcome), Family.NB)
    return json_text({"errno": errno, "error": error})
