"""Requests generated from the OpenAPI document that a real server gives: no 5xx, every refusal names its field.

Schemathesis reads the document and makes up what is right and what is wrong by it: the documented examples, every
boundary, and some at random. Whatever it sends, what is not its business stays as it was.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from schemathesis.core.result import Ok

from tests.acceptance.generated_house import GeneratedHouse
from tests.acceptance.generated_requests import Caller, Line, Operation, coverage_cases, send_drawn
from tests.acceptance.push_receiver import PushReceiver
from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import resident_bytes
from tests.unit.northbound.push_house import PushHouse

EXAMPLES = 2
EXAMPLES_LONG = 50
GROWTH_MAX_BYTES = 64 * 1024 * 1024  # some thousands of requests, each of which leaves a record at most
ENVIRONMENT = {"COMMANDPOST_PUSH_ALLOW_PRIVATE": "1", "COMMANDPOST_LOG_LEVEL": "warning"}
# What is asked for is not there: the device has not answered, nobody subscribes. What removes is given nothing either.
NOTHING_THERE = frozenset({"GET /cmds/{uuid}/resp", "GET /msg_group/{group_id}/status"})


def labels(document: Any) -> list[str]:  # Any: JSON
    """Name every operation of a document; those that remove come last."""
    found = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]
    return sorted(found, key=lambda label: (label.startswith("DELETE"), label))


OPERATIONS = labels(msgspec.json.decode(PushHouse().ask("GET", "/openapi.json", key=None).body))


class Served:
    """A furnished server, its document as schemathesis understands it, and how things were at first."""

    def __init__(self, house: GeneratedHouse, line: Line) -> None:
        self.house = house
        self.line = line
        self.document = house.server.request("GET", "/openapi.json", key=None).json()
        self.schema = schemathesis.openapi.from_dict(self.document)
        found = [each.ok() for each in self.schema.get_all_operations() if isinstance(each, Ok)]
        self.operations: dict[str, Operation] = {each.label: each for each in found}
        self.state = house.kept_state()
        self.resident_bytes = resident_bytes(house.server)

    def caller(self, label: str) -> Caller:
        """Somebody who calls one operation."""
        return Caller(house=self.house, operation=self.operations[label], line=self.line)

    def assert_unharmed(self) -> None:
        """What is kept is as it was; the server lives, and has not grown without bound."""
        before, self.state = self.state, self.house.kept_state()  # the next operation is not to blame for this one
        assert self.state == before
        assert resident_bytes(self.house.server) - self.resident_bytes < GROWTH_MAX_BYTES
        assert "Traceback" not in self.house.server.log()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all operations."""
    directory: Path = tmp_path_factory.mktemp("generated")
    with ExitStack() as stack:
        receiver = stack.enter_context(PushReceiver())
        server = stack.enter_context(ServerProcess(data_dir=directory / "data", environment=ENVIRONMENT))
        house = GeneratedHouse(server=server, receiver=receiver)
        house.furnish()
        yield Served(house, stack.enter_context(closing(Line(server.http))))


def test_every_operation_of_the_served_document_is_called(served: Served) -> None:
    """None is left out."""
    assert labels(served.document) == OPERATIONS


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_boundary_is_answered_and_every_refusal_names_a_field(served: Served, label: str) -> None:
    """Each parameter and each field of the body: right, wrong, missing."""
    caller = served.caller(label)
    for case in coverage_cases(caller.operation):
        caller.send(case)
    send_drawn(caller, examples=EXAMPLES, is_same_each_time=True)

    served.assert_unharmed()
    if caller.has_envelope and not label.startswith("DELETE") and label not in NOTHING_THERE:
        assert caller.tally.accepted + caller.tally.refused_by_name > 0, caller.tally


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", OPERATIONS)
def test_whatever_is_drawn_is_answered_and_every_refusal_names_a_field(served: Served, label: str) -> None:
    """Anew each time."""
    send_drawn(served.caller(label), examples=EXAMPLES_LONG, is_same_each_time=False)

    served.assert_unharmed()
