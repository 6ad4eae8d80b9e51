"""Other stacks against the DTLS listener: `openssl s_client`, GnuTLS, mbedTLS, libcoap with OpenSSL and with GnuTLS.

Source: southbound reference 4; RFC 4279.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.dtls_house import IMSI, KEY, PSK, door, dtls_server, is_online, make_device
from tests.acceptance.server import ServerProcess
from tests.interop.dtls_story import tell_the_story
from tests.interop.gnutls_tunnel import SUITES as GNUTLS_SUITES
from tests.interop.gnutls_tunnel import GnutlsFault, GnutlsTunnel
from tests.interop.libcoap_tools import coap_client
from tests.interop.mbedtls_tunnel import HAS_WHEEL, MbedtlsTunnel
from tests.interop.openssl_device import OpensslDevice
from tests.simulators.dtls_device import Tunnel

LIBCOAP = {"openssl": "coap-client-openssl", "gnutls": "coap-client-gnutls"}
OPENSSL_SUITES = ["PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256"]
MBEDTLS_SUITES = [
    "TLS-PSK-WITH-AES-128-CCM-8",
    "TLS-PSK-WITH-AES-128-GCM-SHA256",
    "TLS-PSK-WITH-AES-128-CBC-SHA256",
]
DECRYPT_ERROR = 51  # RFC 4279 section 2: a wrong key ends in this alert


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has a device of its own."""
    directory: Path = tmp_path_factory.mktemp("dtls")
    with dtls_server(directory / "data") as running:
        yield running


@pytest.mark.parametrize("suite", OPENSSL_SUITES)
def test_the_story_through_openssl_s_client(server: ServerProcess, suite: str) -> None:
    """The program on the command line, one suite at a time."""
    imei = f"8699990000009{OPENSSL_SUITES.index(suite):02d}"
    server.create_device(imei, IMSI, psk=PSK, obsv=True)

    with OpensslDevice(door(server), imei, KEY, suite=suite, imsi=IMSI) as device:
        tell_the_story(server, device)


@pytest.mark.parametrize("suite", list(GNUTLS_SUITES))
def test_the_story_through_gnutls(server: ServerProcess, suite: str) -> None:
    """The library itself, one suite at a time: libcoap's client with it cannot serve what it is asked."""
    imei = f"8699990000012{list(GNUTLS_SUITES).index(suite):02d}"

    def tunnel(identity: bytes, key: bytes) -> Tunnel:
        return GnutlsTunnel(identity, key, suite=suite)

    with make_device(server, imei, tunnel, obsv=True) as device:
        device.shake_hands()

        tell_the_story(server, device)


@pytest.mark.parametrize("suite", list(GNUTLS_SUITES))
def test_gnutls_with_a_wrong_key_is_refused(server: ServerProcess, suite: str) -> None:
    """By the alert of the standard, and the right key opens the door afterwards."""
    imei = f"8699990000013{list(GNUTLS_SUITES).index(suite):02d}"
    wrong_key = bytes(reversed(KEY))

    with make_device(server, imei, lambda identity, _: GnutlsTunnel(identity, wrong_key, suite=suite)) as device:
        with pytest.raises(GnutlsFault) as refused:
            device.shake_hands()
        device.move()
        device.shake_hands(GnutlsTunnel(imei.encode(), KEY, suite=suite))

    assert refused.value.alert == DECRYPT_ERROR


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
