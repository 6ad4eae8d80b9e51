"""What `simulate` refuses before it simulates anything: one clear failure each, with what is allowed."""

import pytest
from typer.testing import CliRunner

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.cli.main import app

NOBODY = "127.0.0.1:1"


def refused(*arguments: str) -> str:
    """Run it in this process, want it refused as bad usage, and give the words."""
    error = CliRunner().invoke(app, ["simulate", *arguments]).exception
    assert isinstance(error, CliFailure), error
    assert error.exit_code == ExitCode.USAGE
    return str(error)


@pytest.mark.parametrize("flag", ["--mqtt", "--mqtts", "--edp", "--coap"])
def test_an_address_that_is_none_is_named(flag: str) -> None:
    assert refused(flag, "nowhere") == f"{flag} is 'nowhere': HOST:PORT or [IPV6]:PORT is allowed"


@pytest.mark.parametrize(("flag", "other"), [("--mqtt", "--edp"), ("--coap", "--mqtt"), ("--mqtt", "--mqtts")])
def test_one_protocol_at_a_time_is_simulated(flag: str, other: str) -> None:
    assert refused(flag, NOBODY, other, NOBODY) == f"{flag} and {other}: one of them at a time is allowed"


@pytest.mark.parametrize(
    ("flag", "stranger", "value"),
    [
        ("--mqtt", "--loss", "0.5"),
        ("--mqtt", "--edp-login", "1"),
        ("--mqtt", "--lifetime", "300"),
        ("--mqtts", "--imei-start", "860000000000001"),
        ("--edp", "--qos", "1"),
        ("--edp", "--mqtt-version", "5"),
        ("--coap", "--keepalive", "120"),
        ("--coap", "--report-types", "3"),
        ("--coap", "--auth-info", "secret"),
    ],
)
def test_an_option_of_other_devices_is_refused_not_ignored(flag: str, stranger: str, value: str) -> None:
    assert refused(flag, NOBODY, stranger, value) == f"{stranger} means nothing to the devices of {flag}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mqtt", NOBODY], ["device ids", "created"]),
        (["--edp", NOBODY, "--edp-login", "1", "--device-id", "1"], ["form 1", "api-key"]),
        (["--edp", NOBODY, "--behaviour", "rst"], ["--behaviour is 'rst'", "answers-after-reconnect", "never-reads"]),
        (["--coap", NOBODY, "--behaviour", "never-reads"], ["--behaviour is 'never-reads'", "answers-4.05"]),
        (["--edp", NOBODY, "--behaviour", "no-puback"], ["no-puback", "no meaning for EDP"]),
        (["--edp", NOBODY, "--report-types", "3,8"], ["--report-types is '3,8'", "1 to 7"]),
        (["--edp", NOBODY, "--report-types", ""], ["--report-types is ''", "1 to 7"]),
        (["--mqtt", NOBODY, "--device-id", "1", "--mqtt-version", "4"], ["--mqtt-version is '4'", "3.1.1 and 5"]),
        (["--mqtt", NOBODY, "--register-api", "http://127.0.0.1:1"], ["api-key"]),
        (["--edp", NOBODY, "--count", "100001"], ["count 100001"]),
    ],
)
def test_what_cannot_be_simulated_says_what_can(arguments: list[str], words: list[str]) -> None:
    said = refused(*arguments)

    assert [word for word in words if word not in said] == []
