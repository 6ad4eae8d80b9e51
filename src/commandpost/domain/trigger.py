"""Triggers: a condition on the values of a stream, and the alarms it gives.

Here: the records, which conditions there are, and when one gives an alarm, by what the trigger remembers and what has
come. Not here: who keeps that memory (stores, in the transaction that stores the point), and how an alarm
looks on the wire (northbound/push_format.py). Source: northbound reference 9.2.

The documents name the types and hardly say when one fires. What holds here:

- `>`, `<`, `>=`, `<=`, `==`: at every point whose value is so; numbers only, `==` compares texts as well.
- `in`: when the value comes into the range, both ends included; `out`: when it leaves it; `inout`: at both. The first
  value is taken to have come from outside, so that it may give an `in`, never an `out`.
- `change`: when the value differs from the one before; the first one does not.
- `frozen`: when nothing has come for so many seconds since the last point, once for each such silence.
- `live`: when a point comes after at least so many seconds without one.

`exp` is named by the documents without a word on what it means: it is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from commandpost.domain.datapoint import JsonValue, format_value
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import DAY_MS, SECOND_MS, Instant

TRIGGERS_MAX: Final = 1_000  # of one product: a row, and one look-up for each point of its stream
TRIGGERS_PER_STREAM_MAX: Final = 64  # what one point may set going: each is looked at in the point's own transaction
TITLE_CHARACTERS_MAX: Final = 64
DEVICES_MAX: Final = 1_000  # as many as one call may name elsewhere (northbound reference 3.6)
STREAMS_MAX: Final = 1_000
THRESHOLD_CHARACTERS_MAX: Final = 256
SILENCE_MAX_S: Final = 365 * DAY_MS // SECOND_MS


class TriggerKind(Enum):
    """The conditions; the values are the dialect's `type`."""

    ABOVE = ">"
    BELOW = "<"
    AT_LEAST = ">="
    AT_MOST = "<="
    EQUAL = "=="
    INOUT = "inout"
    IN = "in"
    OUT = "out"
    CHANGE = "change"
    FROZEN = "frozen"
    LIVE = "live"


_RANGES: Final = (TriggerKind.INOUT, TriggerKind.IN, TriggerKind.OUT)
_SILENCES: Final = (TriggerKind.FROZEN, TriggerKind.LIVE)
_REMEMBERING: Final = (*_RANGES, *_SILENCES, TriggerKind.CHANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A kind and its threshold, which is JSON text as its owner wrote it; None where the kind has none."""

    kind: TriggerKind
    threshold: str | None
    limit: Any = field(init=False, repr=False, compare=False)  # Any: JSON; of what shape, `parse_condition` has checked
    """The threshold, read once for all points it is held against."""

    def __post_init__(self) -> None:
        """Read the threshold."""
        object.__setattr__(self, "limit", json.loads(self.threshold or "null"))

    @property
    def has_memory(self) -> bool:
        """Whether it looks at what came before."""
        return self.kind in _REMEMBERING


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger of a product, on one stream of some of its devices or of all."""

    id: int = 0
    product_id: ProductId
    title: str
    stream_id: str
    device_ids: tuple[DeviceId, ...] | None = None
    """None: every device of the product."""
    stream_uuids: tuple[str, ...] | None = None
    """None: the stream of that id of every such device."""
    url: str
    condition: Condition
    created_at: Instant
    _devices: frozenset[DeviceId] = field(init=False, repr=False, compare=False)
    _streams: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put what it names where each is found at once: a thousand may be looked through for each point."""
        object.__setattr__(self, "_devices", frozenset(self.device_ids or ()))
        object.__setattr__(self, "_streams", frozenset(self.stream_uuids or ()))

    def concerns(self, device_id: DeviceId, stream_uuid: str) -> bool:
        """Tell whether a stream of that name is one it looks at.

        Args:
            stream_uuid: counts for nothing where it names no streams.
        """
        if self.device_ids is not None and device_id not in self._devices:
            return False
        return self.stream_uuids is None or stream_uuid in self._streams


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerChange:
    """What is to be different of a trigger; None stays. An empty tuple of devices or streams means all."""

    title: str | None = None
    stream_id: str | None = None
    device_ids: tuple[DeviceId, ...] | None = None
    stream_uuids: tuple[str, ...] | None = None
    url: str | None = None
    condition: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerMemory:
    """What a trigger remembers of one device's stream."""

    is_inside: bool | None = None
    """Ranges: whether the last number lay within."""
    value: str | None = None
    """CHANGE, FROZEN: the last value."""
    at: Instant | None = None
    """FROZEN: that point's time."""
    heard_at: Instant
    """When the last point came; of ranges and CHANGE, the last that changed what is remembered."""
    due_at: Instant | None = None
    """FROZEN: when silence becomes an alarm; None after it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one point means for a trigger."""

    is_alarm: bool
    memory: TriggerMemory | None
    """What to remember instead; None: conditions of this kind remember nothing."""


def judge(condition: Condition, before: TriggerMemory | None, *, value: str, at: Instant, now: Instant) -> Verdict:
    """Say what a point means.

    Args:
        before: what is remembered of the points before; None at the first.
        value: JSON text.
        at: the point's time.
        now: when it came.
    """
    kind = condition.kind
    if kind in _RANGES:
        return _judge_range(condition, before, value=value, now=now)
    if kind is TriggerKind.CHANGE:
        if before is not None and before.value == value:
            return Verdict(is_alarm=False, memory=before)
        return Verdict(is_alarm=before is not None, memory=TriggerMemory(value=value, heard_at=now))
    if kind is TriggerKind.FROZEN:
        due_at = Instant(now + _silence_ms(condition))
        return Verdict(is_alarm=False, memory=TriggerMemory(value=value, at=at, heard_at=now, due_at=due_at))
    if kind is TriggerKind.LIVE:
        is_alarm = before is not None and now - before.heard_at >= _silence_ms(condition)
        return Verdict(is_alarm=is_alarm, memory=TriggerMemory(heard_at=now))
    return Verdict(is_alarm=_compares(condition, value), memory=None)


def after_silence(memory: TriggerMemory) -> TriggerMemory:
    """Give what is remembered once a silence has been told."""
    return replace(memory, due_at=None)


def parse_condition(kind_text: str, threshold: JsonValue) -> Condition:
    """Give a condition as its owner wrote it.

    Args:
        threshold: None when it is absent.
    Raises:
        Invalid: names `type` or `threshold`, what was found and what is allowed.
    """
    kinds = {kind.value: kind for kind in TriggerKind}
    kind = kinds.get(kind_text)
    if kind is None:
        raise Invalid("type", kind_text, " ".join(kinds))
    return Condition(kind=kind, threshold=_check_threshold(kind, threshold))


def format_alarm(condition: Condition, stream_uuid: str) -> str:
    """Write what went off, for an event of kind ALARM: the condition may be another when the event is told."""
    return json.dumps([stream_uuid, condition.kind.value, condition.threshold], separators=(",", ":"))


def parse_alarm(text: str) -> tuple[str, Condition]:
    """Read what `format_alarm` wrote: the stream's uuid and the condition."""
    stream_uuid, kind, threshold = json.loads(text)
    return stream_uuid, Condition(kind=TriggerKind(kind), threshold=threshold)


def _check_threshold(kind: TriggerKind, threshold: JsonValue) -> str | None:
    if kind is TriggerKind.CHANGE:
        if threshold not in (None, ""):
            raise Invalid("threshold", _shown(threshold), "none for type change")
        return None
    if kind in _RANGES:
        return _check_range(threshold)
    if kind is TriggerKind.EQUAL:
        if isinstance(threshold, bool) or not isinstance(threshold, str | int | float):
            raise Invalid("threshold", _shown(threshold), "a number or a text")
        return _bounded(threshold)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise Invalid("threshold", _shown(threshold), "a number")
    if kind in _SILENCES and not 1 <= threshold <= SILENCE_MAX_S:
        raise Invalid("threshold", threshold, f"1 to {SILENCE_MAX_S} seconds")
    return _bounded(threshold)


def _check_range(threshold: JsonValue) -> str:
    allowed = 'an object {"lolmt": number, "uplmt": number}'
    if not isinstance(threshold, dict):
        raise Invalid("threshold", _shown(threshold), allowed)
    limits: dict[str, int | float] = {}
    for name in ("lolmt", "uplmt"):
        limit = threshold.get(name)
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise Invalid(f"threshold.{name}", _shown(limit), "a number")
        limits[name] = limit
    written = _bounded({**limits})
    if limits["lolmt"] > limits["uplmt"]:
        raise Invalid("threshold.lolmt", limits["lolmt"], "a number not above uplmt")
    return written


def _bounded(threshold: JsonValue) -> str:
    try:
        written = format_value(threshold)
    except Invalid as error:
        raise Invalid("threshold", error.found, error.allowed) from None
    if len(written) > THRESHOLD_CHARACTERS_MAX:
        raise Invalid("threshold", written[:40], f"at most {THRESHOLD_CHARACTERS_MAX} characters")
    return written


def _shown(value: JsonValue) -> str:
    match value:
        case None:
            return "absent"
        case Mapping():
            return "an object"
        case list():
            return "an array"
    return str(value)[:40]


def _judge_range(condition: Condition, before: TriggerMemory | None, *, value: str, now: Instant) -> Verdict:
    number = _number(value)
    was_inside = before is not None and bool(before.is_inside)
    limits = condition.limit
    # No number is neither within nor without: what was known of the last one stays.
    is_inside = was_inside if number is None else limits["lolmt"] <= number <= limits["uplmt"]
    if before is not None and is_inside == was_inside:
        return Verdict(is_alarm=False, memory=before)
    has_entered, has_left = is_inside and not was_inside, was_inside and not is_inside
    is_alarm = {
        TriggerKind.IN: has_entered,
        TriggerKind.OUT: has_left,
        TriggerKind.INOUT: has_entered or has_left,
    }[condition.kind]
    return Verdict(is_alarm=is_alarm, memory=TriggerMemory(is_inside=is_inside, heard_at=now))


def _compares(condition: Condition, value: str) -> bool:
    threshold = condition.limit
    number = _number(value)
    if condition.kind is TriggerKind.EQUAL and isinstance(threshold, str):
        return value[:1] == '"' and bool(json.loads(value) == threshold)
    if number is None:
        return False
    match condition.kind:
        case TriggerKind.ABOVE:
            return bool(number > threshold)
        case TriggerKind.BELOW:
            return bool(number < threshold)
        case TriggerKind.AT_LEAST:
            return bool(number >= threshold)
        case TriggerKind.AT_MOST:
            return bool(number <= threshold)
        case _:
            return bool(number == threshold)


def _silence_ms(condition: Condition) -> int:
    return int((condition.limit or 0) * SECOND_MS)


def _number(value: str) -> int | float | None:
    """Give the number a JSON text is, None when it is something else."""
    if value[:1] not in "-0123456789":
        return None
    # What a JSON number may be is what Python may read; and this is done for each trigger of a stream.
    return int(value) if value.lstrip("-").isdigit() else float(value)
