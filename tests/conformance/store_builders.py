"""Records and facts for tests of stores; every field has a default, tests show only what matters."""

from dataclasses import replace
from typing import Any

from commandpost.domain.command import Answer, Attempt, AttemptEnd, Command, CommandMode, Outcome, Trigger
from commandpost.domain.device import Device, KeyKind, Product, SealedKey
from commandpost.domain.facts import AcceptCommand, Claim
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId, shape_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Read
from commandpost.domain.push import Subscription
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.domain.session import Observation, Remote, Session

T0 = Instant(1_700_000_000_000)
"""When tests begin."""
WAITING_MAX = 10
START = StartId(7)
TEMPERATURE = ResourcePath(object_id=3303, instance_id=0, resource_id=5700)


def subscription(product_id: ProductId, **changes: Any) -> Subscription:  # Any: fields by keyword
    """Somebody who wants every kind of a product's events."""
    plain = Subscription(product_id=product_id, url="http://192.0.2.7/in", sealed_token=b"sealed token", created_at=T0)
    return replace(plain, **changes)


def at(offset_ms: int) -> Instant:
    """An instant after T0."""
    return Instant(T0 + offset_ms)


def command_id(number: int) -> CommandId:
    """The n-th command id."""
    return shape_command_id(T0 + number, number.to_bytes(10, "big"))


def product(*, name: str = "meters", product_id: int = 0) -> Product:
    """A product whose id the store chooses."""
    return Product(id=ProductId(product_id), name=name, created_at=T0)


def key(kind: KeyKind = KeyKind.MASTER, *, index: bytes = b"\x01" * 32, product_id: int = 0) -> SealedKey:
    """A sealed key."""
    return SealedKey(product_id=ProductId(product_id), kind=kind, sealed=b"sealed " + index, index=index, created_at=T0)


def device(product_id: ProductId, imei: str | None = "860000000000001", *, device_id: int = 0) -> Device:
    """An LwM2M device, or with imei None one of another protocol."""
    return Device(
        id=DeviceId(device_id),
        product_id=product_id,
        protocol="LWM2M" if imei else "MQTT",
        title="a meter",
        auth_info=f'{{"{imei}":"460000000000001"}}' if imei else '"sn-1"',
        imei=imei,
        imsi="460000000000001" if imei else None,
        created_at=T0,
    )


def session(of: Device, *, epoch: int = 0, registered: int = 0, lifetime_s: int = 86_400) -> Session:
    """A fresh registration of a device."""
    deadline = at(registered + lifetime_s * 1000)
    return Session(
        device_id=of.id,
        product_id=of.product_id,
        epoch=epoch,
        endpoint_name=f"{of.imei};{of.imsi}",
        location=str(of.imei),
        remote=Remote(b"\x7f\x00\x00\x01\x16\x33"),
        start_id=START,
        lifetime_s=lifetime_s,
        registered_at=at(registered),
        last_heard_at=at(registered),
        deadline=deadline,
        stored_deadline=deadline,
    )


def observation(number: int, path: ResourcePath = TEMPERATURE) -> Observation:
    """The n-th observation."""
    return Observation(coap_token=number.to_bytes(8, "big"), path=path, is_automatic=True)


def command(of: Device, number: int, *, created: int = 0, valid: int = 0, expires: int = 60_000) -> Command:
    """The n-th command, cached, for a device; offsets from T0."""
    return Command(
        id=command_id(number),
        product_id=of.product_id,
        device_id=of.id,
        imei=of.imei or "",
        operation=Read(path=TEMPERATURE),
        mode=CommandMode.CACHED,
        created_at=at(created),
        valid_from=at(valid),
        expires_at=at(expires),
        retry=3,
        remaining=3,
        answer_timeout_ms=25_000,
        triggers=Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY,
    )


def accept(of: Device, number: int, *, created: int = 0, valid: int = 0, expires: int = 60_000) -> AcceptCommand:
    """The n-th command, to be taken in."""
    record = command(of, number, created=created, valid=valid, expires=expires)
    return AcceptCommand(command=record, waiting_max=WAITING_MAX)


def attempt(of: Command, number: int, *, sent: int = 1_000, deadline: int | None = None) -> Attempt:
    """The next attempt of a command, with an id."""
    return Attempt(
        id=AttemptId(number),
        command_id=of.id,
        device_id=of.device_id,
        number=of.attempts + 1,
        coap_token=number.to_bytes(8, "big"),
        start_id=START,
        sent_at=at(sent),
        deadline=at(sent + 25_000 if deadline is None else deadline),
    )


def claim(of: Command, number: int, *, epoch: int = 1, sent: int = 1_000, deadline: int | None = None) -> Claim:
    """The claim of a command's next attempt."""
    return Claim(attempt=attempt(of, number, sent=sent, deadline=deadline), epoch=epoch)


def success(number: int, *, when: int = 2_000) -> AttemptEnd:
    """The device answered attempt n well, with a value."""
    value = ResourceValue(ValueType.FLOAT, 21.5)
    result = ObjectValues(3303, (ObjectInstance(0, (Resource(5700, value),)),))
    answer = Answer(code=0x45, content_format=11542, payload=b"\xe4\x16\x44\x41\xac\x00\x00", result=result)
    return AttemptEnd(attempt_id=AttemptId(number), outcome=Outcome.SUCCESS, at=at(when), answer=answer)


def refusal(number: int, *, when: int = 2_000) -> AttemptEnd:
    """The device answered attempt n with 4.05."""
    return AttemptEnd(
        attempt_id=AttemptId(number), outcome=Outcome.METHOD_NOT_ALLOWED, at=at(when), answer=Answer(code=0x85)
    )


def silence(number: int, *, when: int = 26_000) -> AttemptEnd:
    """The device said nothing to attempt n."""
    return AttemptEnd(attempt_id=AttemptId(number), outcome=Outcome.TIME_OUT, at=at(when))


def renumbered(of: Command, seq: int) -> Command:
    """The command with its place."""
    return replace(of, seq=seq)
