"""Doctor's findings about safety: what strangers can reach, certificates, keys and files."""

from pathlib import Path

import pytest

from commandpost.cli.doctor_checks import State
from commandpost.cli.doctor_security import (
    check_certificate,
    check_exposure,
    check_keys,
    check_secret_files,
    is_exposed,
)
from commandpost.config import (
    CoapSettings,
    EdpSettings,
    HttpSettings,
    ListenAddress,
    MqttSettings,
    Settings,
    TlsSettings,
)
from tests.acceptance.certificates import write_certificate

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def at(host: str) -> tuple[ListenAddress, ...]:
    return (ListenAddress(host=host, port=1),)


@pytest.mark.parametrize(
    ("host", "exposed"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", True),
        ("::", True),
        ("8.8.8.8", True),
        ("2600::1", True),
        ("iot.example.com", True),
    ],
)
def test_which_addresses_strangers_can_come_to(host: str, exposed: bool) -> None:
    """A wildcard may be a public address, and so may a name."""
    assert is_exposed(ListenAddress(host=host, port=1)) is exposed


def test_every_plain_door_that_is_open_to_strangers_is_named() -> None:
    """Those with TLS are not."""
    settings = Settings(
        http=HttpSettings(listen=at("0.0.0.0"), tls_listen=at("0.0.0.0")),
        coap=CoapSettings(listen=at("::")),
        mqtt=MqttSettings(listen=at("8.8.8.8"), tls_listen=at("8.8.8.8")),
        edp=EdpSettings(listen=at("0.0.0.0")),
    )

    checks = list(check_exposure(settings))

    assert [check.name for check in checks] == ["http exposure", "coap exposure", "mqtt exposure", "edp exposure"]
    assert {check.state for check in checks} == {State.WARN}
    assert all(check.advice for check in checks)


def test_doors_at_home_are_ok() -> None:
    """One line says so."""
    settings = Settings(coap=CoapSettings(listen=at("127.0.0.1")))

    (check,) = check_exposure(settings)
    assert check.state is State.OK


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (31, State.OK, "good until"),
        (29, State.WARN, "expires on"),
        (0.5, State.WARN, "in 0 days"),
        (-1, State.FAIL, "expired"),
    ],
)
def test_a_certificate_is_told_of_before_it_expires(tmp_path: Path, days: float, state: State, words: str) -> None:
    """A month before."""
    certificate, key = write_certificate(tmp_path, "test", days=days)
    settings = Settings(tls=TlsSettings(certificate=certificate, private_key=key))
    from commandpost.app import SystemClock

    (check,) = check_certificate(settings, SystemClock().wall_ms())

    assert check.state is state
    assert words in check.found


def test_a_certificate_that_cannot_be_used_fails(tmp_path: Path) -> None:
    """Missing, or without its key; without one in the settings nothing is said."""
    certificate, _ = write_certificate(tmp_path, "test")

    for path in (tmp_path / "none.pem", certificate):
        (check,) = check_certificate(Settings(tls=TlsSettings(certificate=path)), NOW_MS)
        assert check.state is State.FAIL
    assert list(check_certificate(Settings(), NOW_MS)) == []


@pytest.mark.parametrize(
    ("key", "is_told"),
    [("my-master-key-0001", True), ("short-key", True), ("a" * 32, True), ("Zm9vYmFyYmF6cXV4MTIzNA==", False)],
)
def test_a_master_key_that_can_be_guessed_is_told_of_and_not_shown(key: str, is_told: bool) -> None:
    """That of the README, short ones, and one letter over and over."""
    checks = list(check_keys(Settings(master_key=key), None))

    assert bool(checks) is is_told
    assert key not in repr(checks)


def test_weak_keys_of_a_running_server_are_told_by_product() -> None:
    """The server names products, never keys."""
    (check,) = check_keys(Settings(), {"weak_master_keys": ["1", "7"]})

    assert "product 1, 7" in check.found
    assert list(check_keys(Settings(), {"weak_master_keys": []})) == []


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_files_with_secrets_that_others_can_read(tmp_path: Path, mode: int, is_told: bool) -> None:
    """The private key, and a configuration with a key in it; a group may hold who has to read them."""
    certificate, key = write_certificate(tmp_path, "test")
    config = tmp_path / "config.toml"
    config.touch()
    for path in (key, config):
        path.chmod(mode)
    settings = Settings(tls=TlsSettings(certificate=certificate, private_key=key), master_key="a-master-key-of-a-test")

    checks = list(check_secret_files(settings, config))

    assert [str(path) in check.advice for check, path in zip(checks, (key, config), strict=False)] == [True] * len(
        checks
    )
    assert len(checks) == (2 if is_told else 0)
