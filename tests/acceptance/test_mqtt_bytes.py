"""MQTT byte for byte: logins and every CONNACK code, the reference's vectors, what old SDKs send, TLS.

Source: southbound reference 5.1, 5.2, 8; OASIS MQTT 3.1.1 chapter 3.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.certificates import write_certificate
from tests.acceptance.mqtt_clients import (
    ACCEPTED,
    V3,
    V5,
    connect_packet,
    eventually_ends,
    packet,
    paho,
    raw_device,
    text,
)
from tests.acceptance.server import MASTER_KEY, ServerProcess
from tests.acceptance.stream_house import (
    ANSWERED,
    SENT,
    RawStream,
    StreamDevice,
    answer_to,
    create_device,
    create_product,
    door,
    raw_stream,
    status_of,
    stream_server,
    submit,
    wait_for_payload,
    wait_until_online,
)

REFUSED_LEVEL, REFUSED_ID, REFUSED_LOGIN, REFUSED_TOKEN = 1, 2, 4, 5
USERNAME_ONLY, PASSWORD_MISSING, NO_FLAGS = 0x82, 0x82, 0x02


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    with stream_server(tmp_path_factory.mktemp("bytes") / "data", doors=("mqtt", "edp")) as running:
        yield running


@pytest.fixture
def device(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "MQTT", f"secret of {request.node.name}")


@pytest.fixture(scope="module")
def witness(server: ServerProcess) -> StreamDevice:
    """A device whose login shows that the logins that began before it are done with."""
    return create_device(server, "MQTT", "secret of the witness")


# --- logins ----------------------------------------------------------------------------------------------------------


def test_the_packets_of_these_tests_are_those_of_the_reference() -> None:
    """Southbound reference 5.1."""
    example = StreamDevice(id="8029377", product_id="433223", secret="authinfo1")

    assert connect_packet(example) == bytes.fromhex(
        "10 26 00 04 4D 51 54 54 04 C2 00 78 00 07 38 30 32 39 33 37 37 00 06 34 33 33 32 32 33 00 09"
        "61 75 74 68 69 6E 66 6F 31"
    )


def refusals(device: StreamDevice, other: StreamDevice) -> dict[str, tuple[bytes, int]]:
    """Logins that are wrong, and the code each is answered with."""

    def like(device_id: str = device.id, product_id: str = device.product_id) -> StreamDevice:
        return StreamDevice(id=device_id, product_id=product_id, secret=device.secret)

    token = "version=2018-10-31&res=products%2F1&et=1&method=md5&sign=bm90IHNpZ25lZA%3D%3D"
    return {
        "MQTT 3.1": (connect_packet(device, name="MQIsdp", level=3), REFUSED_LEVEL),
        "a level nobody knows": (connect_packet(device, level=6), REFUSED_LEVEL),
        "no client id": (connect_packet(like(device_id="")), REFUSED_ID),
        "a client id without end": (connect_packet(like(device_id="1" * 200)), REFUSED_ID),
        "a wrong password": (connect_packet(device, secret="wrong"), REFUSED_LOGIN),
        "an empty password": (connect_packet(device, secret=""), REFUSED_LOGIN),
        "the secret with its quotes": (connect_packet(device, secret=f'"{device.secret}"'), REFUSED_LOGIN),
        "a device nobody knows": (connect_packet(like(device_id="4000000")), REFUSED_LOGIN),
        "no number for a device": (connect_packet(like(device_id="one")), REFUSED_LOGIN),
        "digits of another script": (connect_packet(like(device_id="١")), REFUSED_LOGIN),
        "a product nobody knows": (connect_packet(like(product_id="77")), REFUSED_LOGIN),
        "another device's secret": (connect_packet(device, secret=other.secret), REFUSED_LOGIN),
        "a device that speaks EDP": (connect_packet(other), REFUSED_LOGIN),
        "a token that is not signed": (connect_packet(device, secret=token), REFUSED_TOKEN),
    }


def test_every_wrong_login_is_answered_with_its_code_and_a_closed_stream(
    server: ServerProcess, device: StreamDevice
) -> None:
    """And the right one is let in after all of them."""
    other = create_device(server, "EDP", "secret of an edp device")
    for name, (connect, code) in refusals(device, other).items():
        with raw_stream(door(server, "mqtt")) as stream:
            stream.send(connect)
            assert stream.rest().hex(" ") == f"20 02 00 {code:02x}", name

    with raw_device(door(server, "mqtt"), device):
        pass


@pytest.mark.parametrize("flags", [USERNAME_ONLY, NO_FLAGS])
def test_a_login_without_user_name_or_password_is_closed_without_a_word(
    server: ServerProcess, device: StreamDevice, flags: int
) -> None:
    """Southbound reference 5.1."""
    with raw_stream(door(server, "mqtt")) as stream:
        stream.send(connect_packet(device, flags=flags))

        assert stream.rest() == b""


def test_another_products_device_looks_like_none(server: ServerProcess, device: StreamDevice) -> None:
    """P12: with the product's own id, with the other one's, and with the other one's MasterKey."""
    product_id, master_key = create_product(server, "neighbours of the logins")
    strangers = [
        StreamDevice(id=device.id, product_id=product_id, secret=device.secret),
        StreamDevice(id=device.id, product_id=product_id, secret=master_key),
        StreamDevice(id=device.id, product_id=device.product_id, secret=master_key),
    ]
    for stranger in strangers:
        with raw_stream(door(server, "mqtt")) as stream:
            stream.send(connect_packet(stranger))
            assert stream.rest().hex(" ") == "20 02 00 04"


def test_a_key_that_covers_the_device_opens_it(server: ServerProcess, device: StreamDevice) -> None:
    """Southbound reference 5.1: auth_info or an api-key."""
    with raw_device(door(server, "mqtt"), device, secret=MASTER_KEY):
        pass


@pytest.mark.parametrize(
    "first",
    ["C0 00", "30 05 00 01 61 68 69", "00 00", "10 00", "10 FF FF FF FF 7F", "F0 00", b"GET / HTTP".ljust(80).hex()],
)
def test_what_is_no_connect_ends_the_stream_without_a_word(server: ServerProcess, first: str) -> None:
    """MQTT 3.1.1 section 3.1: the first packet is a CONNECT."""
    with raw_stream(door(server, "mqtt")) as stream:
        stream.send(first)

        assert stream.rest() == b""


def test_a_second_connect_ends_the_stream(server: ServerProcess, device: StreamDevice) -> None:
    """MQTT 3.1.1 section 3.1.0-2."""
    with raw_device(door(server, "mqtt"), device) as stream:
        stream.send(connect_packet(device))

        assert stream.rest() == b""


def test_a_second_login_ends_the_first_connection(server: ServerProcess, device: StreamDevice) -> None:
    """Newest wins; payloads go to the new one."""
    with raw_device(door(server, "mqtt"), device) as old, raw_device(door(server, "mqtt"), device) as new:
        old_end = old.rest()
        submit(server, device, b"to the new one")
        arrived = new.packet()

    assert old_end == b""
    assert arrived.endswith(b"to the new one")


def test_an_mqtt_5_device_is_told_that_it_was_taken_over(server: ServerProcess, device: StreamDevice) -> None:
    """DISCONNECT 0x8E, MQTT 5.0 section 3.14.2.1."""
    with raw_stream(door(server, "mqtt")) as old:
        old.send(connect_packet(device, level=5))
        assert old.packet()[3] == 0
        with raw_device(door(server, "mqtt"), device):
            assert old.packet()[:3].hex(" ") in ("e0 01 8e", "e0 02 8e")


def test_session_present_is_only_said_when_there_is_one(server: ServerProcess, device: StreamDevice) -> None:
    """MQTT 3.1.1 section 3.2.2.2."""
    answers = []
    for flags in (0xC0, 0xC0, 0xC2, 0xC0, 0xC0):
        with raw_stream(door(server, "mqtt")) as stream:
            stream.send(connect_packet(device, flags=flags))
            answers.append(stream.packet().hex(" "))
            stream.send("E0 00")
            stream.rest()

    assert answers == [ACCEPTED, "20 02 01 00", ACCEPTED, ACCEPTED, "20 02 01 00"]


def break_off(server: ServerProcess, device: StreamDevice, number: int) -> None:
    """Begin a login and go away, with a FIN or with a RST."""
    stream = RawStream(door(server, "mqtt"))
    stream.send(connect_packet(device))
    if number % 2:
        stream.close()
    else:
        stream.reset()


def test_a_login_that_breaks_off_at_once_leaves_the_device_offline(
    server: ServerProcess, device: StreamDevice, witness: StreamDevice
) -> None:
    """However early it breaks off, nobody is online afterwards, and the next login gets its payloads."""
    for number in range(60):
        break_off(server, device, number)
    with raw_device(door(server, "mqtt"), witness):  # so the ones before are done with
        wait_until_online(server, device, is_expected=False)
    with raw_device(door(server, "mqtt"), device) as stream:
        submit(server, device, b"after all")
        arrived = stream.packet()

    assert arrived.endswith(b"after all")


def test_a_login_that_breaks_off_does_not_harm_the_connection_before(
    server: ServerProcess, device: StreamDevice, witness: StreamDevice
) -> None:
    """Either it has won and the old one is closed, or the old one goes on being served: never a deaf one."""
    for number in range(20):
        with raw_device(door(server, "mqtt"), device) as old:
            break_off(server, device, number)
            with raw_device(door(server, "mqtt"), witness):
                answer = server.call("POST", "/cmds", {"device_id": device.id}, body=b"still there?")
            if answer["errno"] == 10:
                assert old.rest() == b""
            else:
                assert old.packet().endswith(b"still there?")


# --- packets ---------------------------------------------------------------------------------------------------------


def test_a_payload_and_its_answer_byte_for_byte(server: ServerProcess, device: StreamDevice) -> None:
    """Southbound reference 5.2: "ping" at QoS 0, and the answer at QoS 1 with its PUBACK."""
    with raw_device(door(server, "mqtt"), device) as stream:
        uuid = submit(server, device, b"ping")
        came = stream.packet()
        wait_for_payload(server, uuid, SENT)
        stream.send(packet(0x32, text(f"$crsp/{uuid}") + b"\x00\x07ok"))
        acknowledgement = stream.packet()
        status = status_of(server, uuid)

    assert came.hex(" ") == "30 30 00 2a 24 63 72 65 71 2f " + uuid.encode().hex(" ") + " 70 69 6e 67"
    assert acknowledgement.hex(" ") == "40 02 00 07"
    assert status == ANSWERED
    assert answer_to(server, uuid) == b"ok"


def test_an_answer_at_qos_2_byte_for_byte(server: ServerProcess, device: StreamDevice) -> None:
    """PUBREC when it is on disk, PUBCOMP for the PUBREL; a copy of it changes nothing."""
    with raw_device(door(server, "mqtt"), device) as stream:
        uuid = submit(server, device, b"ping")
        stream.packet()
        answer = packet(0x34, text(f"$crsp/{uuid}") + b"\x00\x09ok")
        stream.send(answer)
        received = stream.packet().hex(" ")
        stream.send(bytes((answer[0] | 8,)) + answer[1:])
        again = stream.packet().hex(" ")
        stream.send("62 02 00 09")
        complete = stream.packet().hex(" ")

    assert (received, again, complete) == ("50 02 00 09", "50 02 00 09", "70 02 00 09")
    assert answer_to(server, uuid) == b"ok"


@pytest.mark.parametrize("first", ["82", "80"])
def test_a_subscribe_without_its_fixed_flags_is_served(server: ServerProcess, device: StreamDevice, first: str) -> None:
    """An old embedded SDK sends 80 and A0."""
    with raw_device(door(server, "mqtt"), device) as stream:
        stream.send(packet(int(first, 16), b"\x00\x01" + text("a/b") + b"\x01"))
        granted = stream.packet().hex(" ")
        stream.send(packet(int(first, 16) + 0x20, b"\x00\x02" + text("a/b")))
        removed = stream.packet().hex(" ")

    assert (granted, removed) == ("90 03 00 01 01", "b0 02 00 02")


def test_a_packet_in_pieces_of_one_byte_is_served(server: ServerProcess, device: StreamDevice) -> None:
    """The stream has no borders."""
    with raw_stream(door(server, "mqtt")) as stream:
        for byte in connect_packet(device) + bytes.fromhex("C0 00"):
            stream.send(bytes((byte,)))

        assert stream.read(6).hex(" ") == ACCEPTED + " d0 00"


def test_what_follows_a_connect_in_the_same_segment_is_served(server: ServerProcess, device: StreamDevice) -> None:
    """A client may send on without waiting for its CONNACK."""
    with raw_stream(door(server, "mqtt")) as stream:
        stream.send(connect_packet(device) + bytes.fromhex("C0 00 E0 00"))

        assert stream.rest().hex(" ") == ACCEPTED + " d0 00"


@pytest.mark.long
def test_a_silent_device_is_closed_after_one_and_a_half_keepalives(server: ServerProcess, device: StreamDevice) -> None:
    """10 s are the least that is kept: gone after 15 s of silence, not while it pings."""
    with raw_device(door(server, "mqtt"), device, keepalive_s=1) as silent:
        silent.socket.settimeout(14)
        with pytest.raises(TimeoutError):
            silent.read(1)
        silent.socket.settimeout(5)

        assert eventually_ends(silent) == b""


# --- TLS -------------------------------------------------------------------------------------------------------------


def test_mqtt_over_tls(tmp_path: Path) -> None:
    """paho trusts the certificate and is served; without TLS nobody is, and without trust paho goes away."""
    certificate, key = write_certificate(tmp_path, "mqtt over tls")
    server = stream_server(tmp_path / "data", doors=("mqtts",))
    server.environment = {
        **server.environment,
        "COMMANDPOST_TLS_CERTIFICATE": str(certificate),
        "COMMANDPOST_TLS_PRIVATE_KEY": str(key),
    }
    with server:
        device = create_device(server, "MQTT", "secret over tls")
        trusting = ssl.create_default_context(cafile=str(certificate))
        for version in (V3, V5):
            with paho(door(server, "mqtts"), device, version=version, tls=trusting) as client:
                uuid = submit(server, device, b"x" * 65_535)
                arrival = client.next_message()
                client.publish(f"$crsp/{uuid}", b"sealed", 1)
                assert (len(arrival.payload), answer_to(server, uuid)) == (65_535, b"sealed")
        with raw_stream(door(server, "mqtts")) as stream, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(stream.socket, server_hostname="127.0.0.1")
        with raw_stream(door(server, "mqtts")) as stream:
            stream.send(connect_packet(device))
            plain = stream.rest()

    assert not plain.startswith(bytes.fromhex(ACCEPTED))
