"""How the command line ends: one line on stderr, a number scripts can rely on."""

import pytest

from commandpost.cli.exit_codes import EXPLANATION, ExitCode
from commandpost.cli.failures import CliFailure, exit_code_of, fail
from commandpost.domain import errors


def test_the_numbers_never_change() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "REFUSED": 4,
        "UNAVAILABLE": 5,
    }


def test_the_help_explains_every_number() -> None:
    assert all(f"{code.value} " in EXPLANATION for code in ExitCode)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotFound("device", "7"), ExitCode.NOT_FOUND),
        (errors.Invalid("page", 0, "1"), ExitCode.USAGE),
        (errors.Taken("IMEI", "1"), ExitCode.REFUSED),
        (errors.QueueFull(10), ExitCode.REFUSED),
        (errors.StoreUnavailable("gone"), ExitCode.UNAVAILABLE),
        (errors.Overloaded("busy"), ExitCode.UNAVAILABLE),
    ],
)
def test_every_kind_of_error_has_its_number(error: errors.CommandpostError, code: ExitCode) -> None:
    assert exit_code_of(error.code) is code


def test_a_failure_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail(CliFailure("http.listen is 'x'", ExitCode.USAGE))

    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "commandpost: http.listen is 'x'\n")
