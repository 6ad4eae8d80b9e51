"""Devices over DTLS on real sockets: three stacks, whose session is whose, and addresses that change.

Source: southbound reference 4; RFC 9146; RFC 6347 section 4.2.8.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL

from commandpost.protocols.coap.message import MessageType
from tests.acceptance.dtls_house import (
    ACTUATION,
    KEY,
    OBJECTS,
    PSK,
    TUNNELS,
    call_and_serve,
    door,
    dtls_server,
    is_online,
    make_device,
    notify,
    read,
)
from tests.acceptance.server import ServerProcess, poll
from tests.simulators.dtls_device import CidTunnel, DtlsScriptedDevice, OpensslTunnel, OwnTunnel, Tunnel
from tests.simulators.scripted_device import CHANGED, POST, ScriptedDevice

CREATED, FORBIDDEN, NOT_FOUND = 0x41, 0x83, 0x84
SUCCEEDED = 0
BOOTSTRAP_PSK = "Bootstrap1234567"
SECURE_URI = "coaps://192.0.2.1:5684"
WRITE = {"data": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    directory: Path = tmp_path_factory.mktemp("dtls")
    with dtls_server(directory / "data", COMMANDPOST_LWM2M_BOOTSTRAP_SECURE_URI=SECURE_URI) as running:
        yield running


def register(device: ScriptedDevice, *, endpoint_name: str | None = "") -> int:
    """Register under a name, by default the device's own, None for none; gives the code."""
    name = f"{device.imei};{device.imsi}" if endpoint_name == "" else endpoint_name
    queries = ("lt=3600", "b=U", "lwm2m=1.1") if name is None else (f"ep={name}", "lt=3600", "b=U")
    return device.ask(POST, ("rd",), queries, OBJECTS).code


@pytest.mark.parametrize("stack", list(TUNNELS))
def test_a_device_registers_is_written_and_notifies(server: ServerProcess, stack: str) -> None:
    """The whole story through DTLS, for OpenSSL, for a client written from RFC 9146 alone, and for our own."""
    imei = f"8699990000001{list(TUNNELS).index(stack):02d}"
    with make_device(server, imei, TUNNELS[stack], obsv=True) as device:
        device.shake_hands()
        assert register(device) == CREATED

        query = {"imei": imei, "obj_id": 3306, "obj_inst_id": 0, "mode": 2}
        envelope, seen = call_and_serve(server, device, "POST", "/nbiot", query, WRITE)
        assert envelope["errno"] == SUCCEEDED
        assert seen.written == [ACTUATION]

        acknowledgement = notify(device, seen.observe_token)
        assert acknowledgement is not None
        assert (acknowledgement.type, acknowledgement.code) == (MessageType.ACK, 0)
        device_id = server.data("GET", "/devices/getbyimei", {"imei": imei})["id"]
        streams = server.data("GET", f"/devices/{device_id}/datastreams")
        assert {each["id"]: each["current_value"] for each in streams}["3306_0_5851"] == 22


@pytest.mark.parametrize("suite", ["PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256"])
def test_every_suite_carries_a_registration(server: ServerProcess, suite: str) -> None:
    """LwM2M's mandatory pair, and GCM."""
    imei = f"8699990000002{['PSK-AES128-CCM8', 'PSK-AES128-GCM-SHA256', 'PSK-AES128-CBC-SHA256'].index(suite):02d}"

    def tunnel(identity: bytes, key: bytes) -> Tunnel:
        return OpensslTunnel(identity, key, suites=suite)

    with make_device(server, imei, tunnel) as device:
        device.shake_hands()

        assert register(device) == CREATED


@pytest.mark.parametrize(
    ("stack", "refusal"),
    [(OpensslTunnel, SSL.Error), (CidTunnel, AssertionError)],
    ids=["without a connection id", "with one"],
)
def test_a_wrong_key_and_an_unknown_identity_look_alike(
    server: ServerProcess, stack: Callable[[bytes, bytes], Tunnel], refusal: type[Exception]
) -> None:
    """Alert 51 both times, in datagrams of the same sizes."""
    imei = "869999000000301" if stack is OpensslTunnel else "869999000000302"
    heard = []
    with make_device(server, imei) as known:
        for identity, key in ((imei.encode(), b"wrong-key-000000"), (b"869999000000399", KEY)):
            with DtlsScriptedDevice(door(server), imei, stack(identity, key)) as device:
                with pytest.raises(refusal):
                    device.shake_hands()
                heard.append((device.wire.received_bytes, device.wire.sent_bytes))
        known.shake_hands()  # what others fail at is no harm

    assert heard[0] == heard[1]


class TestWhoseSessionItIs:
    def test_the_name_may_be_left_to_the_identity(self, server: ServerProcess) -> None:
        """LwM2M 1.1 allows a Register without `ep`."""
        with make_device(server, "869999000000401") as device:
            device.shake_hands()

            assert register(device, endpoint_name=None) == CREATED

        assert is_online(server, "869999000000401")

    @pytest.mark.parametrize("identity", ["869999000000402;460000000000001", "meter/7"])
    def test_identities_of_other_forms(self, server: ServerProcess, identity: str) -> None:
        """IMEI;IMSI, and one the owner has chosen."""
        imei = "869999000000402" if ";" in identity else "869999000000403"
        fields = {} if ";" in identity else {"psk_identity": identity}
        with make_device(server, imei, OwnTunnel, **fields) as device:
            device.shake_hands(OwnTunnel(identity.encode(), KEY))

            assert register(device) == CREATED

    def test_the_name_of_another_device_is_refused(self, server: ServerProcess) -> None:
        """4.03, whether that device exists or not."""
        server.create_device("869999000000405")
        with make_device(server, "869999000000404") as device:
            device.shake_hands()

            assert register(device, endpoint_name="869999000000405;460000000000001") == FORBIDDEN
            assert register(device, endpoint_name="869999000000499;460000000000001") == FORBIDDEN

    def test_nobody_without_dtls_touches_a_session_of_it(self, server: ServerProcess) -> None:
        """Register, Update and De-register in the clear change nothing."""
        imei = "869999000000406"
        with make_device(server, imei) as device, ScriptedDevice(server.coap, imei) as thief:
            device.shake_hands()
            assert register(device) == CREATED

            refused = [
                register(thief),
                thief.ask(POST, ("rd", imei)).code,
                thief.deregister().code,
            ]

            assert refused == [FORBIDDEN] * 3
            assert is_online(server, imei)
            assert read(server, device)["errno"] == SUCCEEDED

    def test_another_device_s_session_is_not_there_for_it(self, server: ServerProcess) -> None:
        """An Update of another's location from a proven device."""
        with make_device(server, "869999000000407") as owner, make_device(server, "869999000000408") as other:
            owner.shake_hands()
            other.shake_hands()
            assert register(owner) == CREATED

            assert other.ask(POST, ("rd", "869999000000407")).code == NOT_FOUND
            assert read(server, owner)["errno"] == SUCCEEDED

    def test_the_bootstrap_key_opens_no_registration(self, server: ServerProcess) -> None:
        """What it opens is `/bs` alone; refused as a stranger is."""
        imei = "869999000000409"
        with make_device(server, imei) as device:
            server.data("PUT", "/nbiot/device/psk", {"imei": imei}, body={"key": BOOTSTRAP_PSK})
            device.shake_hands(OwnTunnel(imei.encode(), BOOTSTRAP_PSK.encode()))

            assert register(device) == FORBIDDEN

    def test_a_device_with_a_bootstrap_key_alone_is_bootstrapped_and_comes_in(self, server: ServerProcess) -> None:
        """It is given its first access key over the very session that asks for it, which goes on to the finish."""
        imei = "869999000000411"
        with make_device(server, imei, CidTunnel, psk=None) as device:
            server.data("PUT", "/nbiot/device/psk", {"imei": imei}, body={"key": BOOTSTRAP_PSK})
            device.shake_hands(CidTunnel(imei.encode(), BOOTSTRAP_PSK.encode()))
            assert device.ask(POST, ("bs",), (f"ep={imei};{device.imsi}",)).code == CHANGED
            written = b""
            while (request := device.receive_request(5.0)).code != POST:
                written += request.payload
                device.answer(request, CHANGED)
            device.answer(request, CHANGED)
            access_key = server.data("GET", "/nbiot/device/accpsk", {"imei": imei})["psk"].encode()
            assert access_key in written
            assert SECURE_URI.encode() in written

            device.shake_hands(CidTunnel(imei.encode(), access_key))
            assert register(device) == CREATED

    def test_a_changed_key_ends_the_session_it_opened(self, server: ServerProcess) -> None:
        """At once, with a goodbye; the new key opens the next."""
        imei = "869999000000410"
        with make_device(server, imei, CidTunnel) as device:
            device.shake_hands()
            assert register(device) == CREATED

            assert read(server, device)["errno"] == SUCCEEDED  # and nothing of its setup is left to do
            server.data("PUT", "/nbiot/device/accpsk", {"imei": imei}, body={"key": "Another123456789"})
            assert isinstance(device.tunnel, CidTunnel)
            assert device.tunnel.open(device.wire.expect()) is None
            assert device.tunnel.is_over

            device.shake_hands(CidTunnel(imei.encode(), b"Another123456789"))
            assert register(device) == CREATED


class TestAddresses:
    def test_with_a_connection_id_a_new_address_keeps_the_session(self, server: ServerProcess) -> None:
        """An Update from elsewhere is heard without a handshake, and commands follow it there."""
        imei = "869999000000501"
        with make_device(server, imei, CidTunnel) as device:
            device.shake_hands()
            assert register(device) == CREATED
            device.move()

            assert device.ask(POST, ("rd", imei)).code == CHANGED
            assert read(server, device)["errno"] == SUCCEEDED

    def test_any_record_moves_it_not_only_an_update(self, server: ServerProcess) -> None:
        """What the application asks for next goes to the new address; the engine below CoAP has moved it."""
        imei = "869999000000502"
        with make_device(server, imei, CidTunnel) as device:
            device.shake_hands()
            assert register(device) == CREATED
            device.move()
            assert device.ask(POST, ("nothing", "here")).code == NOT_FOUND

            assert read(server, device)["errno"] == SUCCEEDED

    def test_without_one_it_shakes_hands_again_and_goes_on(self, server: ServerProcess) -> None:
        """The registration is the device's, not the address's: an Update over a new association finds it."""
        imei = "869999000000503"
        with make_device(server, imei, OpensslTunnel) as device:
            device.shake_hands()
            assert register(device) == CREATED
            assert read(server, device)["errno"] == SUCCEEDED
            device.move()
            device.wire.send(device.tunnel.protect(b"\x40\x02\x00\x01"))
            assert device.wire.receive(0.3) is None  # nobody knows that record there

            device.shake_hands(OpensslTunnel(imei.encode(), KEY))
            assert device.ask(POST, ("rd", imei)).code == CHANGED
            assert read(server, device)["errno"] == SUCCEEDED

    def test_a_device_that_lost_its_keys_begins_anew_at_the_same_address(self, server: ServerProcess) -> None:
        """Its old association ends when the new one has proved itself."""
        imei = "869999000000504"
        with make_device(server, imei) as device:
            device.shake_hands()
            assert register(device) == CREATED

            device.shake_hands(OwnTunnel(imei.encode(), KEY))
            assert register(device) == CREATED
            assert read(server, device)["errno"] == SUCCEEDED


def test_the_log_names_addresses_and_no_secret(server: ServerProcess) -> None:
    """Who registered from where, and neither the key it was done with nor the one that opens bootstraps only."""
    imei = "869999000000601"
    with make_device(server, imei) as device:
        server.data("PUT", "/nbiot/device/psk", {"imei": imei}, body={"key": BOOTSTRAP_PSK})
        device.shake_hands(OwnTunnel(imei.encode(), BOOTSTRAP_PSK.encode()))
        assert register(device) == FORBIDDEN
        device.move()
        device.shake_hands(OwnTunnel(imei.encode(), KEY))
        assert register(device) == CREATED
        address = "coaps://{}:{}".format(*device.wire.address)
        for _ in poll(5.0):
            if address in server.log():
                break

    log = server.log()
    assert address in log
    for secret in (PSK, BOOTSTRAP_PSK):
        assert secret not in log
        assert secret.encode().hex() not in log
