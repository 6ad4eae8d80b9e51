"""Row <-> record, in the column order that the named column lists of the .sql files use.

A row is a tuple of what SQLite holds: int, float, str, bytes, None. Nested records are text (stores/record_texts.py).
Reading is strict: an enum's name that no version has written is RowCorrupt.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeVar

from commandpost.domain.command import (
    Answer,
    Attempt,
    AttemptEnd,
    Command,
    CommandMode,
    CommandState,
    DeliveryPolicy,
    Outcome,
    Submission,
    Transport,
    Trigger,
)
from commandpost.domain.device import Device, DeviceSecurity, ImeiRule, KeyKind, KeyLabel, Product, SealedKey
from commandpost.domain.resource import DiscoveredObject, ResourcePath
from commandpost.domain.session import Observation, Session
from commandpost.stores.errors import RowCorrupt
from commandpost.stores.record_texts import (
    INSTANCES,
    LINKS,
    LOCATION,
    NUMBERS,
    OPERATION,
    RESULT,
    SETUP,
    TEXTS,
)

Row = tuple[Any, ...]  # Any: what a column holds is the schema's business, and STRICT tables hold to it

EnumT = TypeVar("EnumT", bound=Enum)


def by_value(members: type[EnumT]) -> Callable[[object], EnumT]:
    """Give a function from a member's value to the member; a table, because rows are read often."""
    table = {member.value: member for member in members}

    def find(value: object) -> EnumT:
        try:
            return table[value]
        except KeyError:
            raise RowCorrupt(f"{value!r} is no {members.__name__}") from None

    return find


_mode: Final = by_value(CommandMode)
_transport: Final = by_value(Transport)
_delivery: Final = by_value(DeliveryPolicy)
_state: Final = by_value(CommandState)
_outcome: Final = by_value(Outcome)
_imei_rule: Final = by_value(ImeiRule)
_key_kind: Final = by_value(KeyKind)
_device_security: Final = by_value(DeviceSecurity)
_key_label: Final = by_value(KeyLabel)


# --- commands --------------------------------------------------------------------------------------------------------


def command_to_row(command: Command) -> Row:
    """Give the columns of a command, without seq (the store gives it) and deadline (its attempt's)."""
    return (
        command.id,
        command.product_id,
        command.device_id,
        command.imei,
        OPERATION.encode(command.operation),
        command.mode.value,
        command.transport.value,
        command.created_at,
        command.valid_from,
        command.expires_at,
        command.retry,
        command.remaining,
        command.answer_timeout_ms,
        int(command.triggers),
        command.delivery.value,
        command.state.value,
        command.attempts,
        command.current_attempt,
        command.sent_at,
        command.answered_at,
        command.finished_at,
        None if command.outcome is None else int(command.outcome),
        command.submission.arguments,
        command.submission.content,
    )


def command_progress(command: Command) -> dict[str, object]:
    """Give the columns that change in a command's life, by name; `deadline` is the attempt's and not among them."""
    return {
        "seq": command.seq,
        "state": command.state.value,
        "remaining": command.remaining,
        "attempts": command.attempts,
        "current_attempt": command.current_attempt,
        "sent_at": command.sent_at,
        "answered_at": command.answered_at,
        "finished_at": command.finished_at,
        "outcome": None if command.outcome is None else int(command.outcome),
    }


COMMAND_COLUMNS: Final = 25


def command_from_row(row: Row) -> Command:
    """Read a command: seq, then the columns of `command_to_row`; what follows them is not looked at."""
    return Command(
        seq=row[0],
        id=row[1],
        product_id=row[2],
        device_id=row[3],
        imei=row[4],
        operation=OPERATION.decode(row[5]),
        mode=_mode(row[6]),
        transport=_transport(row[7]),
        created_at=row[8],
        valid_from=row[9],
        expires_at=row[10],
        retry=row[11],
        remaining=row[12],
        answer_timeout_ms=row[13],
        triggers=Trigger(row[14]),
        delivery=_delivery(row[15]),
        state=_state(row[16]),
        attempts=row[17],
        current_attempt=row[18],
        sent_at=row[19],
        answered_at=row[20],
        finished_at=row[21],
        outcome=None if row[22] is None else _outcome(row[22]),
        submission=Submission(arguments=row[23], content=row[24]),
    )


def attempt_to_row(attempt: Attempt, *, command_seq: int) -> Row:
    """Give the columns of an attempt."""
    return (
        attempt.id,
        command_seq,
        attempt.number,
        attempt.coap_token,
        attempt.start_id,
        attempt.sent_at,
        attempt.deadline,
        *attempt_end_to_row(attempt.end),
        attempt.late_answers,
    )


def attempt_end_to_row(end: AttemptEnd | None) -> Row:
    """Give the columns of an attempt's end: when, outcome, and the answer's code, format, payload and meaning."""
    if end is None:
        return (None,) * 6
    answer = end.answer
    if answer is None:
        return end.at, int(end.outcome), None, None, None, None
    return (
        end.at,
        int(end.outcome),
        answer.code,
        answer.content_format,
        answer.payload,
        None if answer.result is None else RESULT.encode(answer.result),
    )


def attempt_from_row(row: Row, *, command: Command) -> Attempt:
    """Read an attempt of a command: the columns of `attempt_to_row`."""
    end = None
    if row[7] is not None:
        answer = None
        if row[9] is not None:
            result = None if row[12] is None else RESULT.decode(row[12])
            answer = Answer(code=row[9], content_format=row[10], payload=row[11], result=result)
        end = AttemptEnd(attempt_id=row[0], outcome=_outcome(row[8]), at=row[7], answer=answer)
    return Attempt(
        id=row[0],
        command_id=command.id,
        device_id=command.device_id,
        number=row[2],
        coap_token=row[3],
        start_id=row[4],
        sent_at=row[5],
        deadline=row[6],
        end=end,
        late_answers=row[13],
    )


# --- products, keys, devices -----------------------------------------------------------------------------------------


def product_to_row(product: Product) -> Row:
    """Give the columns of a product after its id."""
    return (
        product.name,
        product.created_at,
        product.is_auto_discovered,
        product.imei_rule.value,
        product.allow_imei_only,
        product.execute_delivery.value,
        product.device_security.value,
        product.bootstrap_uri,
        product.bootstrap_secure_uri,
    )


def product_from_row(row: Row) -> Product:
    """Read a product: id, then the columns of `product_to_row`."""
    return Product(
        id=row[0],
        name=row[1],
        created_at=row[2],
        is_auto_discovered=bool(row[3]),
        imei_rule=_imei_rule(row[4]),
        allow_imei_only=bool(row[5]),
        execute_delivery=_delivery(row[6]),
        device_security=_device_security(row[7]),
        bootstrap_uri=row[8],
        bootstrap_secure_uri=row[9],
    )


def key_to_row(key: SealedKey) -> Row:
    """Give the columns of a product key."""
    return key.product_id, key.kind.value, key.sealed, key.index, key.created_at


def key_from_row(row: Row) -> SealedKey:
    """Read a product key: the columns of `key_to_row`, then until when it is good."""
    return SealedKey(
        product_id=row[0],
        kind=_key_kind(row[1]),
        sealed=row[2],
        index=row[3],
        created_at=row[4],
        expires_at=row[5],
    )


def device_to_row(device: Device) -> dict[str, object]:
    """Give the columns of a device, by name."""
    return {
        "id": device.id,
        "product_id": device.product_id,
        "protocol": device.protocol,
        "title": device.title,
        "description": device.description,
        "tags": TEXTS.encode(device.tags),
        "location": None if device.location is None else LOCATION.encode(device.location),
        "is_private": device.is_private,
        "is_auto_observed": device.is_auto_observed,
        "auth_info": device.auth_info,
        "imei": device.imei,
        "imsi": device.imsi,
        "imsi_old": TEXTS.encode(device.imsi_old),
        "imsi_changed_at": device.imsi_changed_at,
        "chip": device.chip,
        "other": device.other,
        "sealed_auth_code": device.sealed_auth_code,
        "sealed_psk": device.sealed_psk,
        "created_at": device.created_at,
        "activated_at": device.activated_at,
        "last_heard_at": device.last_heard_at,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "is_setup_done": device.is_setup_done,
        "sealed_bootstrap_psk": device.sealed_bootstrap_psk,
        "psk_identity": device.psk_identity,
    }


def device_from_row(row: Row) -> Device:
    """Read a device: the columns of `device_to_row`, then when its session was last heard."""
    heard = row[20]
    if row[26] is not None and (heard is None or row[26] > heard):
        heard = row[26]
    return Device(
        id=row[0],
        product_id=row[1],
        protocol=row[2],
        title=row[3],
        description=row[4],
        tags=TEXTS.decode(row[5]),
        location=None if row[6] is None else LOCATION.decode(row[6]),
        is_private=bool(row[7]),
        is_auto_observed=bool(row[8]),
        auth_info=row[9],
        imei=row[10],
        imsi=row[11],
        imsi_old=TEXTS.decode(row[12]),
        imsi_changed_at=row[13],
        chip=row[14],
        other=row[15],
        sealed_auth_code=row[16],
        sealed_psk=row[17],
        created_at=row[18],
        activated_at=row[19],
        last_heard_at=heard,
        manufacturer=row[21],
        model=row[22],
        is_setup_done=bool(row[23]),
        sealed_bootstrap_psk=row[24],
        psk_identity=row[25],
    )


def discovered_to_row(discovered: DiscoveredObject) -> Row:
    """Give the columns of what is known of an object, after its device."""
    return discovered.object_id, INSTANCES.encode(discovered.instances)


def discovered_from_row(row: Row) -> DiscoveredObject:
    """Read what is known of an object."""
    return DiscoveredObject(row[0], INSTANCES.decode(row[1]))


# --- sessions --------------------------------------------------------------------------------------------------------


def session_to_row(session: Session) -> dict[str, object]:
    """Give the columns of a session's two rows, by name; the deadline on disk becomes the true one."""
    return {
        "device_id": session.device_id,
        "product_id": session.product_id,
        "epoch": session.epoch,
        "start_id": session.start_id,
        "remote": session.remote,
        "lifetime_s": session.lifetime_s,
        "last_heard_at": session.last_heard_at,
        "deadline": session.deadline,
        "endpoint_name": session.endpoint_name,
        "location": session.location,
        "registered_at": session.registered_at,
        "binding": session.binding,
        "is_queue_mode": session.is_queue_mode,
        "lwm2m_version": session.lwm2m_version,
        "links": LINKS.encode(session.links),
        "alternate_path": TEXTS.encode(session.alternate_path),
        "accepted_formats": NUMBERS.encode(session.accepted_formats),
        "pending_setup": SETUP.encode(session.pending_setup) if session.pending_setup else None,
        "identity_label": None if session.identity_label is None else session.identity_label.value,
    }


def session_from_row(row: Row, observations: tuple[Observation, ...]) -> Session:
    """Read a session: the columns of `session_to_row`, and its observations."""
    return Session(
        device_id=row[0],
        product_id=row[1],
        epoch=row[2],
        start_id=row[3],
        remote=row[4],
        lifetime_s=row[5],
        last_heard_at=row[6],
        deadline=row[7],
        stored_deadline=row[7],
        endpoint_name=row[8],
        location=row[9],
        registered_at=row[10],
        binding=row[11],
        is_queue_mode=bool(row[12]),
        lwm2m_version=row[13],
        links=LINKS.decode(row[14]),
        alternate_path=TEXTS.decode(row[15]),
        accepted_formats=NUMBERS.decode(row[16]),
        observations=observations,
        pending_setup=() if row[17] is None else SETUP.decode(row[17]),
        identity_label=None if row[18] is None else _key_label(row[18]),
    )


def observation_to_row(observation: Observation) -> Row:
    """Give the columns of an observation, after its device."""
    return str(observation.path), observation.coap_token, observation.is_automatic


def observation_from_row(row: Row) -> Observation:
    """Read an observation."""
    return Observation(path=_path_from_column(row[0]), coap_token=row[1], is_automatic=bool(row[2]))


def _path_from_column(text: str) -> ResourcePath:
    try:
        first, *parts = (int(part) for part in text.removeprefix("/").split("/"))
        padded = (*parts, None, None, None)
        return ResourcePath(
            object_id=first, instance_id=padded[0], resource_id=padded[1], resource_instance_id=padded[2]
        )
    except ValueError as error:
        raise RowCorrupt(f"path {text!r} cannot be read: {error}") from error
