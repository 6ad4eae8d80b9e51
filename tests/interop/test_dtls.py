"""Other stacks against the DTLS listener: `openssl s_client`, libcoap with OpenSSL and with GnuTLS, mbedTLS.

Source: southbound reference 4; RFC 4279.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.dtls_house import (
    ACTUATION,
    IMSI,
    KEY,
    OBJECTS,
    PSK,
    call_and_serve,
    door,
    dtls_server,
    is_online,
    make_device,
    notify,
)
from tests.acceptance.server import ServerProcess
from tests.interop.libcoap_tools import coap_client
from tests.interop.mbedtls_tunnel import HAS_WHEEL, MbedtlsTunnel
from tests.interop.openssl_device import OpensslDevice
from tests.simulators.dtls_device import Tunnel
from tests.simulators.scripted_device import ScriptedDevice

LIBCOAP = {"openssl": "coap-client-openssl", "gnutls": "coap-client-gnutls"}
OPENSSL_SUITES = ["PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256"]
MBEDTLS_SUITES = [
    "TLS-PSK-WITH-AES-128-CCM-8",
    "TLS-PSK-WITH-AES-128-GCM-SHA256",
    "TLS-PSK-WITH-AES-128-CBC-SHA256",
]
WRITE = {"data": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has a device of its own."""
    directory: Path = tmp_path_factory.mktemp("dtls")
    with dtls_server(directory / "data") as running:
        yield running


def tell_the_story(server: ServerProcess, device: ScriptedDevice) -> None:
    """Register, be written, notify, and have it for a datapoint."""
    device.register(objects=OBJECTS)
    query = {"imei": device.imei, "obj_id": 3306, "obj_inst_id": 0, "mode": 2}

    envelope, seen = call_and_serve(server, device, "POST", "/nbiot", query, WRITE)
    acknowledgement = notify(device, seen.observe_token)

    assert envelope["errno"] == 0
    assert seen.written == [ACTUATION]
    assert acknowledgement is not None
    device_id = server.data("GET", "/devices/getbyimei", {"imei": device.imei})["id"]
    streams = server.data("GET", f"/devices/{device_id}/datastreams")
    assert {each["id"]: each["current_value"] for each in streams}["3306_0_5851"] == 22


@pytest.mark.parametrize("suite", OPENSSL_SUITES)
def test_the_story_through_openssl_s_client(server: ServerProcess, suite: str) -> None:
    """The program on the command line, one suite at a time."""
    imei = f"8699990000009{OPENSSL_SUITES.index(suite):02d}"
    server.create_device(imei, IMSI, psk=PSK, obsv=True)

    with OpensslDevice(door(server), imei, KEY, suite=suite, imsi=IMSI) as device:
        tell_the_story(server, device)


@pytest.mark.skipif(not HAS_WHEEL, reason="python-mbedtls has no wheel for this Python")
@pytest.mark.parametrize("suite", MBEDTLS_SUITES)
def test_the_story_through_mbedtls(server: ServerProcess, suite: str) -> None:
    """The stack of many modules, one suite at a time."""
    imei = f"8699990000010{MBEDTLS_SUITES.index(suite):02d}"

    def tunnel(identity: bytes, key: bytes) -> Tunnel:
        return MbedtlsTunnel(identity, key, suites=(suite,))

    with make_device(server, imei, tunnel, obsv=True) as device:
        device.shake_hands()

        tell_the_story(server, device)


@pytest.mark.parametrize("build", list(LIBCOAP))
def test_libcoap_registers_updates_and_leaves(server: ServerProcess, build: str) -> None:
    """Each request comes in a session of its own, and the registration goes on over all of them."""
    imei = f"8699990000011{list(LIBCOAP).index(build):02d}"
    server.create_device(imei, IMSI, psk=PSK)
    host, port = door(server)
    credential = ("-u", imei, "-k", PSK)
    root = f"coaps://{host}:{port}/rd"
    programs = [LIBCOAP[build]]

    registered = coap_client(
        "post", f"{root}?ep={imei};{IMSI}&b=U&lt=300", *credential, "-t", "40", "-e", "</3200/0>", programs=programs
    )
    was_online = is_online(server, imei)
    updated = coap_client("post", f"{root}/{imei}", *credential, programs=programs)
    gone = coap_client("delete", f"{root}/{imei}", *credential, programs=programs)

    assert (registered.answer.type, registered.answer.code) == ("ACK", "2.01")
    assert was_online
    assert updated.answer.code == "2.04"
    assert gone.answer.code == "2.02"
    assert not is_online(server, imei)
