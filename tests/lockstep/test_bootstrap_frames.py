"""The bootstrap of a module, byte for byte, against a live server: southbound reference 1.3."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import ServerProcess
from tests.lockstep.test_reference_frames import POST, PUT, Wire

URI = b"coap://192.0.2.1:5683"
IMEI, IMSI = "865820031234567", "460040427001234"
# The identity, code and header of the Register of southbound reference 9, on /bs.
ASK = bytes.fromhex(
    "44 02 12 34 34 12 8F 1A B2 62 73"
    "4D 15 65 70 3D 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37 3B 34 36 30 30 34 30 34 32 37 30 30 31 32 33 34"
    "D6 23 61 62 63 31 32 33"
)
AGREED = bytes.fromhex("64 44 12 34 34 12 8F 1A")
FORBIDDEN = bytes.fromhex("64 83 12 34 34 12 8F 1A")
# Uri-Path 0, 0; Content-Format 11542; TLV: 0 the URI, 1 false, 2 mode 3, 10 the short server id 123.
ACCOUNT = bytes.fromhex("B1 30 01 30 12 2D 16 FF C8 00 15") + URI + bytes.fromhex("C1 01 00 C1 02 03 C1 0A 7B")
FINISH = bytes.fromhex("B2 62 73")
CHANGED, BAD_REQUEST, NOT_FOUND, NOT_IMPLEMENTED = 0x44, 0x80, 0x84, 0xA1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that knows where to send devices, and one device with a code."""
    data_dir: Path = tmp_path_factory.mktemp("bootstrap") / "data"
    environment = {"COMMANDPOST_LWM2M_BOOTSTRAP_URI": URI.decode()}
    with ServerProcess(data_dir=data_dir, environment=environment) as process:
        process.create_device(IMEI, IMSI, auth="abc123")
        yield process


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    """A module's socket."""
    with contextlib.closing(Wire(server)) as opened:
        yield opened


@pytest.mark.parametrize("code", [CHANGED, BAD_REQUEST, NOT_FOUND, NOT_IMPLEMENTED])
def test_a_module_is_asked_one_write_and_the_finish(wire: Wire, code: int) -> None:
    """Whatever it answers to the write; nothing comes after the finish."""
    wire.send(ASK)
    wire.expect(AGREED)
    wire.expect_request(PUT, ACCOUNT)
    wire.answer(code)
    wire.expect_request(POST, FINISH)
    wire.answer(CHANGED)

    wire.expect_silence(0.3)


def test_a_repeated_request_gets_the_same_answer_and_no_second_sequence(wire: Wire) -> None:
    """The 2.04 was lost."""
    wire.send(ASK)
    wire.expect(AGREED)
    wire.send(ASK)
    wire.expect(AGREED)
    wire.expect_request(PUT, ACCOUNT)
    wire.answer(CHANGED)
    wire.expect_request(POST, FINISH)
    wire.answer(CHANGED)

    wire.expect_silence(0.3)


@pytest.mark.parametrize(
    "asked",
    [
        ASK.replace(b"865820031234567", b"865820031234568"),
        ASK.replace(b"460040427001234", b"460040427001235"),
        ASK.replace(b"abc123", b"abc124"),
        ASK[: -len(["D6", "23", "61", "62", "63", "31", "32", "33"])],
    ],
    ids=["unknown device", "wrong IMSI", "wrong code", "no code"],
)
def test_enumeration_by_answer_learns_nothing(wire: Wire, asked: bytes) -> None:
    """Unknown and wrong are the same eight bytes, and nothing follows them."""
    wire.send(asked)
    wire.expect(FORBIDDEN)

    wire.expect_silence(0.5)
