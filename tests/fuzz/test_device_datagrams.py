"""Any bytes from anybody: the server stays up, and holds nothing for strangers."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.options import Option
from commandpost.protocols.lwm2m.bootstrap import BootstrapRequest, parse_bootstrap
from tests.unit.southbound.bench import TOKEN
from tests.unit.southbound.test_lwm2m_server import (
    LOCATION,
    REGISTER_FRAME,
    ServerBench,
    notification,
    request,
)

WELL_FORMED = (
    REGISTER_FRAME,
    encode(request(Code.POST, "rd", LOCATION, queries=("lt=60",))),
    encode(request(Code.DELETE, "rd", LOCATION)),
    encode(notification(TOKEN)),
)


@st.composite
def mutated_frames(draw: st.DrawFn) -> bytes:
    """A good frame with bytes changed, cut off, or put in."""
    frame = bytearray(draw(st.sampled_from(WELL_FORMED)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(frame)))
        frame[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(frame)


@given(
    queries=st.lists(st.sampled_from(["ep=", "pct=", "pct=110", "x", ""]) | st.text(max_size=20), max_size=4),
    codes=st.lists(st.binary(max_size=300), max_size=2),
    path=st.lists(st.sampled_from(["bs", "", "1"]) | st.text(max_size=4), max_size=3),
    method=st.integers(1, 7),
)
def test_any_bootstrap_request_is_read_or_refused(
    queries: list[str], codes: list[bytes], path: list[str], method: int
) -> None:
    """A request, a refusal with a code of an error, or somebody else's path; nothing is raised."""
    message = request(
        method, *path, queries=tuple(queries), options=tuple((int(Option.ONENET_AUTH_CODE), code) for code in codes)
    )

    found = parse_bootstrap(message)

    assert found is None or isinstance(found, BootstrapRequest) or found.code >= Code.BAD_REQUEST


@given(datagrams=st.lists(st.binary(max_size=64) | mutated_frames(), max_size=30))
def test_no_datagram_raises_or_opens_anything(datagrams: list[bytes]) -> None:
    """An exception would end the virtual loop; a stranger that is refused leaves no peer and no exchange."""
    bench = ServerBench()
    bench.uplinks.uplinks.clear()

    async def scenario() -> None:
        device = bench.device()
        bench.registered(device, TOKEN)
        for datagram in datagrams:
            device.send(datagram)
        await asyncio.sleep(1)
        device.send(bytes.fromhex("40 00 77 77"))
        while not any(message.message_id == 0x7777 for message in device.received):
            await device.receive()

    bench.run(scenario())
    assert bench.driver.known_peers <= 1
    assert bench.driver.exchanges_open == 0
