"""How a run of simulated devices ends: a count on stdout, and whether everybody got in."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.cli.fleet_run import run_and_tell
from commandpost.domain.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A last count."""

    started: int
    never_let_in: int
    last_failure: str = ""


def run(count: Count) -> None:
    """Run a fleet that ends at once with this count."""

    async def fleet(
        *, clock: Clock, random: Random, stop: asyncio.Event, on_progress: Callable[[Count], object]
    ) -> Count:
        return count

    run_and_tell(fleet, describe=str, seed=1, as_json=True)


@pytest.mark.parametrize("started", [0, 3])
def test_a_fleet_that_got_in_ends_well(started: int, capsys: pytest.CaptureFixture[str]) -> None:
    """So does one that was stopped before it began."""
    run(Count(started=started, never_let_in=0, last_failure="update: 4.04"))

    assert json.loads(capsys.readouterr().out)["started"] == started


@pytest.mark.parametrize(("failure", "words"), [("register: 4.03", "; the last failure: register: 4.03"), ("", "")])
def test_one_device_that_never_got_in_makes_it_a_failure(
    failure: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The count is told all the same."""
    with pytest.raises(CliFailure) as failed:
        run(Count(started=3, never_let_in=1, last_failure=failure))

    assert failed.value.exit_code is ExitCode.FAILURE
    assert str(failed.value) == f"1 of 3 devices were never let in{words}"
    assert json.loads(capsys.readouterr().out)["never_let_in"] == 1
