"""The first steps of a payload in tests of stores, in short."""

from commandpost.domain.command import Attempt, Command
from commandpost.domain.device import Device
from commandpost.domain.facts import Accepted
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness


def accept(store: StoreHarness, device: Device, number: int, *, qos: int = 1, created: int = 0) -> Command:
    """A payload that waits."""
    accepted = store.apply(payloads.accept(device, number, qos=qos, created=created))
    assert isinstance(accepted, Accepted)
    return accepted.command


def claim(store: StoreHarness, command: Command, attempt: int, *, sent: int = 1_000) -> Command:
    """The same, sent."""
    claimed = store.apply(build.claim(command, attempt, sent=sent, deadline=sent + 10_000))
    assert isinstance(claimed, Command)
    return claimed


def stored(store: StoreHarness, command: Command) -> tuple[Command, tuple[Attempt, ...]]:
    """The command and its attempts as a reader finds them."""
    record = store.ask(store.reader.find_command(command.id))
    assert record is not None
    return record.command, record.attempts
