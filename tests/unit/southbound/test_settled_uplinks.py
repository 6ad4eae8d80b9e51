"""Which uplinks are told to whoever keeps marks of what was read: those that may change something on disk."""

import asyncio

import pytest

from commandpost.domain.session import Remote
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option, encode_uint
from tests.unit.southbound.bench import TOKEN
from tests.unit.southbound.test_lwm2m_notifications import INSTANCE, ON_AND_22, notification
from tests.unit.southbound.test_lwm2m_server import LOCATION, REGISTER_FRAME, ServerBench, request

SENML_JSON = ((int(Option.CONTENT_FORMAT), encode_uint(110)),)


def told_after(message: CoapMessage | bytes) -> tuple[list[Remote], Remote]:
    """Give who was told when a registered device sent this, and the device."""
    bench = ServerBench()

    async def scenario() -> Remote:
        device = bench.device()
        bench.registered(device, TOKEN, path=INSTANCE)
        device.send(message)
        await asyncio.sleep(1)
        return device.remote

    remote = bench.run(scenario())
    return bench.about_to_keep, remote


@pytest.mark.parametrize(
    "message",
    [
        REGISTER_FRAME,
        request(Code.DELETE, "rd", LOCATION),
        notification(ON_AND_22),
        request(Code.POST, "dp", payload=b'[{"n":"/3306/0/5851","v":22}]', options=SENML_JSON),
    ],
    ids=["register", "de-register", "notification", "send"],
)
def test_an_uplink_that_changes_something_is_told_once(message: CoapMessage | bytes) -> None:
    """Before anything of it is written, so that the same record is never taken twice."""
    told, remote = told_after(message)

    assert told == [remote]


@pytest.mark.parametrize(
    "message",
    [
        request(Code.POST, "rd", LOCATION),
        request(Code.POST, "rd", "nobody"),
        request(Code.GET, ".well-known", "core"),
        request(Code.POST, "rd"),
    ],
    ids=["update", "unknown location", "unknown path", "malformed"],
)
def test_what_is_answered_from_memory_is_not_told(message: CoapMessage) -> None:
    """Uplinks are not disk writes (design 4)."""
    assert told_after(message)[0] == []
