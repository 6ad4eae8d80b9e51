"""Connections and payloads for tests of stores; every field has a default, tests show only what matters."""

from dataclasses import replace

from commandpost.domain.command import Command, DeliveryPolicy, Transport, Trigger
from commandpost.domain.connection import Connection
from commandpost.domain.device import Device
from commandpost.domain.facts import AcceptCommand
from commandpost.domain.ids import AttemptId, StartId
from commandpost.domain.operation import Deliver
from commandpost.domain.payload_facts import ConfirmDelivery, ReplyToPayload
from commandpost.domain.session import Remote
from tests.conformance import store_builders as build


def connection(of: Device, *, connected: int = 0, start_id: StartId = build.START) -> Connection:
    """A fresh connection of a device over MQTT."""
    return Connection(
        device_id=of.id,
        product_id=of.product_id,
        transport=Transport.MQTT,
        start_id=start_id,
        remote=Remote(b"\x0a\x00\x00\x01\x07\x5b"),
        keepalive_s=120,
        connected_at=build.at(connected),
    )


def payload(of: Device, number: int, *, qos: int = 1, created: int = 0, expires: int = 60_000) -> Command:
    """The n-th payload, for a device: qos 1 goes out as often as the device connects, qos 0 once."""
    retry = None if qos else 0
    return replace(
        build.command(of, number, created=created, valid=created, expires=expires),
        imei="",
        operation=Deliver(payload=b"\x00on", qos=qos, kind=0),
        transport=Transport.MQTT,
        retry=retry,
        remaining=retry,
        answer_timeout_ms=10_000,
        triggers=Trigger.CONNECT | Trigger.AT_ONCE,
        delivery=DeliveryPolicy.AT_LEAST_ONCE if qos else DeliveryPolicy.AT_MOST_ONCE,
    )


def accept(of: Device, number: int, *, qos: int = 1, created: int = 0, expires: int = 60_000) -> AcceptCommand:
    """The n-th payload, to be taken in."""
    command = payload(of, number, qos=qos, created=created, expires=expires)
    return AcceptCommand(command=command, waiting_max=build.WAITING_MAX)


def confirm(of: Command, attempt: int, *, when: int = 1_500) -> ConfirmDelivery:
    """The transport's word on an attempt."""
    return ConfirmDelivery(command_id=of.id, attempt_id=AttemptId(attempt), at=build.at(when))


def reply(of: Command, *, when: int = 2_000, text: bytes = b"done") -> ReplyToPayload:
    """The device's word on a payload."""
    return ReplyToPayload(device_id=of.device_id, command_id=of.id, payload=text, at=build.at(when))
