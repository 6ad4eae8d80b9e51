"""EDP byte for byte against a real server. Source: southbound reference 6."""

from collections.abc import Iterator

import pytest

from tests.acceptance.edp_client import (
    ACCEPTED,
    EncryptedStream,
    answer,
    command_body,
    edp_device,
    login_by_key,
    login_by_secret,
)
from tests.acceptance.mqtt_clients import packet, text
from tests.acceptance.server import MASTER_KEY, ServerProcess
from tests.acceptance.stream_house import (
    ANSWERED,
    HOUR_S,
    SENT,
    StreamDevice,
    answer_to,
    create_device,
    create_product,
    door,
    points_of,
    raw_stream,
    stream_server,
    streams_of,
    submit,
    wait_for_payload,
    wait_until_online,
)

SAVE_261 = "80 10 40 01 05 03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"
NO_DEVICE = StreamDevice(id="8029377", product_id="101", secret='{"mac":"FF"}')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    with stream_server(tmp_path_factory.mktemp("edp") / "data") as running:
        yield running


@pytest.fixture
def device(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "EDP", f"secret of {request.node.name}")


# --- logins ----------------------------------------------------------------------------------------------------------


def test_the_logins_of_these_tests_are_those_of_the_reference() -> None:
    """Southbound reference 6.3."""
    assert login_by_key(NO_DEVICE, "l2aHkey") == bytes.fromhex(
        "10 1B 00 03 45 44 50 01 40 01 2C 00 07 38 30 32 39 33 37 37 00 07 6C 32 61 48 6B 65 79"
    )
    assert login_by_secret(NO_DEVICE) == bytes.fromhex(
        "10 1E 00 03 45 44 50 01 C0 01 00 00 00 00 03 31 30 31 00 0C 7B 22 6D 61 63 22 3A 22 46 46 22 7D"
    )


def test_both_logins_are_accepted(server: ServerProcess, device: StreamDevice) -> None:
    """Device id and key; product id and auth_info."""
    for login in (login_by_key(device, MASTER_KEY), login_by_secret(device)):
        with raw_stream(door(server, "edp")) as stream:
            stream.send(login)
            assert stream.packet().hex(" ") == ACCEPTED


def test_an_auth_info_that_is_json_may_have_other_spaces(server: ServerProcess) -> None:
    """Southbound reference 8: compared as text, and as a value."""
    body: dict[str, object] = {"title": "json", "protocol": "EDP", "auth_info": {"mac": "FF", "n": 1}}
    server.data("POST", "/devices", body=body)
    answers = []
    for secret in ('{"mac":"FF","n":1}', '{"mac": "FF", "n": 1}', '{"mac":"FE","n":1}'):
        with raw_stream(door(server, "edp")) as stream:
            stream.send(login_by_secret(StreamDevice(id="", product_id="1", secret=secret)))
            answers.append(stream.packet().hex(" "))

    assert answers == [ACCEPTED, ACCEPTED, "20 02 00 04"]


def test_wrong_credentials_are_told_their_code_and_closed(server: ServerProcess, device: StreamDevice) -> None:
    """CONN_RESP 2 for form 1, 4 for form 2, whatever was wrong."""
    product_id, master_key = create_product(server, "neighbours of edp")
    mqtt_device = create_device(server, "MQTT", "an mqtt device's secret")
    unknown = StreamDevice(id="4000000", product_id="1", secret=device.secret)
    neighbour = StreamDevice(id=device.id, product_id=product_id, secret=device.secret)
    wrong = {
        "a wrong key": (login_by_key(device, "wrong"), 2),
        "no key": (login_by_key(device, MASTER_KEY[:-1]), 2),
        "another product's key": (login_by_key(device, master_key), 2),
        "a device nobody knows": (login_by_key(unknown, MASTER_KEY), 2),
        "a device of MQTT": (login_by_key(mqtt_device, MASTER_KEY), 2),
        "a wrong secret": (login_by_secret(device, secret=device.secret + "x"), 4),
        "another product": (login_by_secret(neighbour), 4),
        "the secret of a device of MQTT": (login_by_secret(mqtt_device), 4),
    }
    for name, (login, code) in wrong.items():
        with raw_stream(door(server, "edp")) as stream:
            stream.send(login)
            assert stream.rest().hex(" ") == f"20 02 00 0{code}", name


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("C0 00", 110),
        ("B0 02 00 00", 100),
        ("10 10 00 03 45 44 51 01 40 01 2C 00 01 31 00 03 6B 65 79", 20),
        ("10 10 00 03 45 44 50 02 40 01 2C 00 01 31 00 03 6B 65 79", 21),
        ("10 FF FF FF 7F", 5),
        ("10 FF FF FF FF", 5),
        ("00 00", 4),
        ("11 00", 3),
    ],
)
def test_a_first_message_that_is_wrong_is_told_why(server: ServerProcess, first: str, code: int) -> None:
    """CONN_CLOSE with the code of southbound reference 6.4, then the end."""
    with raw_stream(door(server, "edp")) as stream:
        stream.send(first)

        assert stream.rest().hex(" ") == f"40 01 {code:02x}"


def test_a_repeated_login_on_one_connection_is_told_so(server: ServerProcess, device: StreamDevice) -> None:
    """CONN_RESP 9, and the connection stays."""
    with edp_device(door(server, "edp"), device) as stream:
        stream.send(login_by_secret(device) + bytes.fromhex("C0 00"))

        assert stream.read(6).hex(" ") == "20 02 00 09 d0 00"


def test_the_newest_login_wins(server: ServerProcess, device: StreamDevice) -> None:
    """The old connection gets CONN_CLOSE 28; payloads go to the new one."""
    with edp_device(door(server, "edp"), device) as old, edp_device(door(server, "edp"), device) as new:
        old_end = old.rest()
        submit(server, device, b"to the new one")

        assert old_end.hex(" ") == "40 01 1c"
        assert new.packet().endswith(b"to the new one")


def test_a_silent_device_is_closed_after_one_and_a_half_keepalives(server: ServerProcess, device: StreamDevice) -> None:
    """CONN_CLOSE 6 after 1.5 s for a keepalive of one second, and the device is offline."""
    with edp_device(door(server, "edp"), device, keepalive_s=1) as stream:
        assert stream.rest().hex(" ") == "40 01 06"

    wait_until_online(server, device, is_expected=False)


# --- payloads --------------------------------------------------------------------------------------------------------


def test_a_command_and_its_answer_byte_for_byte(server: ServerProcess, device: StreamDevice) -> None:
    """Southbound reference 6.5: "ping" and "ok"."""
    with edp_device(door(server, "edp"), device) as stream:
        uuid = submit(server, device, b"ping")
        came = stream.packet()
        wait_for_payload(server, uuid, SENT)
        stream.send(bytes.fromhex("B0 2C 00 24") + uuid.encode() + bytes.fromhex("00 00 00 02 6F 6B"))
        wait_for_payload(server, uuid, ANSWERED)

    assert came == bytes.fromhex("A0 2E 00 24") + uuid.encode() + bytes.fromhex("00 00 00 04 70 69 6E 67")
    assert answer_to(server, uuid) == b"ok"


@pytest.mark.parametrize("tail", ["", "00 00 00 00"])
def test_an_empty_answer_counts_with_and_without_its_length(
    server: ServerProcess, device: StreamDevice, tail: str
) -> None:
    """edp_c leaves the four bytes out."""
    with edp_device(door(server, "edp"), device) as stream:
        uuid = submit(server, device, b"ping")
        stream.packet()
        stream.send(packet(0xB0, text(uuid) + bytes.fromhex(tail)))
        wait_for_payload(server, uuid, ANSWERED)

    assert answer_to(server, uuid) == b""


def test_a_payload_of_type_1_comes_as_pushed_data(server: ServerProcess, device: StreamDevice) -> None:
    """PUSH_DATA without a source; its status ends at sent."""
    with edp_device(door(server, "edp"), device) as stream:
        query = {"device_id": device.id, "type": 1, "qos": 1, "timeout": HOUR_S}
        uuid = server.data("POST", "/cmds", query, body=b"pushed")["cmd_uuid"]
        came = stream.packet()
        wait_for_payload(server, uuid, SENT)

    assert came == packet(0x30, text("") + b"pushed")


def test_the_largest_payload_arrives_whole(server: ServerProcess, device: StreamDevice) -> None:
    """65,535 bytes, and an answer of as many."""
    payload = bytes(range(255)) * 257
    with edp_device(door(server, "edp"), device) as stream:
        uuid = submit(server, device, payload)
        came = stream.packet()
        body = command_body(uuid, payload)
        length = len(body)
        stream.send(bytes((0xB0, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14)) + body)
        wait_for_payload(server, uuid, ANSWERED)

    assert came[4:] == body
    assert answer_to(server, uuid) == payload


def test_commands_do_not_wait_for_answers_and_answers_come_in_any_order(
    server: ServerProcess, device: StreamDevice
) -> None:
    """More than sixteen: each counts as delivered when it is written."""
    names = [b"%02d" % number for number in range(40)]
    with edp_device(door(server, "edp"), device) as stream:
        uuids = [submit(server, device, name) for name in names]
        came = [stream.packet() for _ in names]
        for uuid in reversed(uuids):
            stream.send(answer(uuid, b"ok " + uuid.encode()))
        for uuid in uuids:
            wait_for_payload(server, uuid, ANSWERED)

    assert [each[-2:] for each in came] == names
    assert [answer_to(server, uuid) for uuid in uuids[:3]] == [b"ok " + uuid.encode() for uuid in uuids[:3]]


# --- data ------------------------------------------------------------------------------------------------------------


def test_a_report_is_acknowledged_and_read_back(server: ServerProcess, device: StreamDevice) -> None:
    """Southbound reference 6.6: message id 261 → 90 04 40 01 05 00."""
    with edp_device(door(server, "edp"), device) as stream:
        stream.send(SAVE_261)
        acknowledgement = stream.packet()
        streams = streams_of(server, device)

    assert acknowledgement.hex(" ") == "90 04 40 01 05 00"
    assert streams == {"t": 22.5}


def test_floats_with_a_time_are_read_back(server: ServerProcess, device: StreamDevice) -> None:
    """Southbound reference 6.6: 22.5 on stream 1 at 2016-04-08 14:30:28; without a message id nothing is answered."""
    with edp_device(door(server, "edp"), device) as stream:
        stream.send("80 10 00 07 10 04 08 0E 1E 1C 00 01 00 01 00 00 B4 41 " + SAVE_261)
        acknowledgement = stream.packet()
        points = points_of(server, device, "1")

    assert acknowledgement.hex(" ") == "90 04 40 01 05 00"
    assert [(at.replace("T", " "), value) for at, value in points] == [("2016-04-08 14:30:28", 22.5)]


def test_a_report_that_cannot_be_stored_is_answered_as_failed(server: ServerProcess, device: StreamDevice) -> None:
    """90 04 40, id, 01: and the device stays connected."""
    with edp_device(door(server, "edp"), device) as stream:
        stream.send("80 08 40 01 05 03 00 02 7B 5D " + "C0 00")
        answers = {stream.packet().hex(" "), stream.packet().hex(" ")}

    assert answers == {"90 04 40 01 05 01", "d0 00"}


def test_data_goes_from_device_to_device_within_a_product(server: ServerProcess, device: StreamDevice) -> None:
    """PUSH_DATA and a forwarded SAVE_DATA name their source; nothing reaches another product's device."""
    target = create_device(server, "EDP", f"target of {device.id}")
    product_id, key = create_product(server, "strangers to pushes")
    stranger = create_device(server, "EDP", "a stranger", product_id=product_id, key=key)
    with (
        edp_device(door(server, "edp"), device) as mouth,
        edp_device(door(server, "edp"), target) as ears,
        edp_device(door(server, "edp"), stranger) as outside,
    ):
        for each in (target, stranger):
            mouth.send(packet(0x30, text(each.id) + b"psst"))
            mouth.send(packet(0x80, b"\x80" + text(each.id) + bytes.fromhex("03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D")))
        pushed, saved = ears.packet(), ears.packet()
        mouth.send("C0 00")
        mouth.packet()
        outside.send("C0 00")
        first_outside = outside.packet()

    assert pushed == packet(0x30, text(device.id) + b"psst")
    assert saved == packet(0x80, b"\x80" + text(device.id) + bytes.fromhex("03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"))
    assert first_outside.hex(" ") == "d0 00"


def test_pings_and_updates_are_answered(server: ServerProcess, device: StreamDevice) -> None:
    """Southbound reference 6.7."""
    with edp_device(door(server, "edp"), device) as stream:
        stream.send(bytes.fromhex("C0 00") + packet(0x50, text("app") + text("1.0")) + bytes.fromhex("C0 00"))

        assert stream.read(6).hex(" ") == "d0 00 60 00 d0 00"


@pytest.mark.parametrize(
    ("message", "code"), [("00 00", 4), ("A0 00", 4), ("40 01 00", 4), ("C0 FF FF FF FF", 5), ("C0 01 00", 5)]
)
def test_a_message_that_is_wrong_is_told_why(
    server: ServerProcess, device: StreamDevice, message: str, code: int
) -> None:
    """Unknown types are 4, lengths are 5."""
    with edp_device(door(server, "edp"), device) as stream:
        stream.send(message)

        assert stream.rest().hex(" ") == f"40 01 {code:02x}"


def test_bytes_that_come_one_by_one_are_served(server: ServerProcess, device: StreamDevice) -> None:
    """The stream has no borders."""
    with raw_stream(door(server, "edp")) as stream:
        for byte in login_by_secret(device) + bytes.fromhex(SAVE_261):
            stream.send(bytes((byte,)))

        assert stream.read(10).hex(" ") == ACCEPTED + " 90 04 40 01 05 00"


def test_an_encrypted_connection_carries_everything(server: ServerProcess, device: StreamDevice) -> None:
    """RSA for the key, AES for every body after it; the client's ends of both are somebody else's."""
    with raw_stream(door(server, "edp")) as plain:
        stream = EncryptedStream(plain)
        stream.send(login_by_secret(device))
        logged_in = stream.packet()
        stream.send(bytes.fromhex(SAVE_261))
        saved = stream.packet()
        plain.send("C0 00")
        pong = plain.packet()
        uuid = submit(server, device, b"secret command")
        command = stream.packet()
        stream.send(answer(uuid, b"secret answer"))
        wait_for_payload(server, uuid, ANSWERED)

    assert logged_in == (0x20, b"\x00\x00")
    assert saved == (0x90, bytes.fromhex("40 01 05 00"))
    assert pong.hex(" ") == "d0 00"
    assert command == (0xA0, command_body(uuid, b"secret command"))
    assert answer_to(server, uuid) == b"secret answer"
