"""Requests that an independent reader of the OpenAPI document makes up, and what every answer to them has to be.

Nothing here knows what the server checks: the names of the fields, and which of them is wrong, come from the document
and from schemathesis. Source of the numbers: northbound reference 2.1 to 2.4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any, Final

import requests
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from tests.acceptance.generated_house import EXPIRY, LONG_AGO, GeneratedHouse, Names
from tests.acceptance.server import HttpAnswer

TIMEOUT_S: Final = 20.0  # nothing waits for a device: an instant command would wait 25 s
MODES: Final = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
NB_REFUSALS: Final = frozenset({3, 5108})
GENERAL_REFUSALS: Final = frozenset({4, 5, 6, 7, 9, 12, 20, 22})
OPEN_REFUSALS: Final = frozenset({3})  # a credential that is a parameter
NB_OTHERS: Final = frozenset({0, 1, 8, 2001, 5006, 5106})
FORBIDDEN: Final = 1  # by NB calls: of a device that is not there, or of another's
GENERAL_OTHERS: Final = frozenset({0, 8, 10, 11, 13, 16})
SENSIBLE: Final[Mapping[str, str]] = {
    # By the document any text will do: what is wrong with these would hide what is wrong beside them.
    "expired_time": EXPIRY,
    "start": LONG_AGO,
    "topic": "t",
}
NOT_ROUTED: Final = frozenset({(404, 8), (405, 8), (431, 5)})  # no such path, no such method, too long a head
COUNTED: Final = frozenset({"subscriptions", "triggers"})  # refused because there are too many already
WHOLE_BODY: Final = frozenset({"body", "entity", "json"})
PROBLEM: Final = "application/problem+json"

Operation = Any  # schemathesis: its classes are generic over parts that it does not publish
Case = Any  # the same
Json = dict[str, Any]  # Any: JSON


@dataclass
class Tally:
    """How many requests were made, and how they were answered."""

    sent: int = 0
    accepted: int = 0
    refused_by_name: int = 0


class Line:
    """One connection that is kept: a new one for each request would take longer than the request."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = HTTPConnection(*address, timeout=TIMEOUT_S)

    def ask(self, request: requests.PreparedRequest) -> HttpAnswer:
        """Send a request; once more on a new connection when the server has closed the one before."""
        try:
            return self._ask(request)
        except (RemoteDisconnected, ConnectionError):
            self.close()
            return self._ask(request)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _ask(self, request: requests.PreparedRequest) -> HttpAnswer:
        body = request.body
        assert body is None or isinstance(body, str | bytes), body
        self._connection.request(request.method or "", request.path_url, body, dict(request.headers))
        answer = self._connection.getresponse()
        headers = {name.title(): value for name, value in answer.getheaders()}
        return HttpAnswer(status=answer.status, headers=headers, body=answer.read())


@dataclass
class Caller:
    """Sends the cases of one operation; every second one gets the names of things that are there."""

    house: GeneratedHouse
    operation: Operation
    line: Line
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        host, port = self.house.server.http
        self._base_url = f"http://{host}:{port}"
        self._key = self.house.server.master_key
        self._names = field_names(self.operation.definition.raw)
        self.has_envelope = self.operation.definition.raw["tags"] != ["Service"]

    def send(self, case: Case) -> None:
        """Send one case, and look at its answer."""
        names = self.house.names_for(case.method.upper(), self.operation.path)
        blamed = wrong_parameter(case)
        self.tally.sent += 1
        is_named = names is not None and self.tally.sent % 2 == 0
        if is_named and names is not None:
            name_what_is_there(case, names, blamed)
        keep_to_this_machine(case, self.house.receiver.url)
        request = case.as_transport_kwargs(base_url=self._base_url, headers={"api-key": self._key})
        prepared = requests.Request(**request).prepare()
        answer = self.line.ask(prepared)
        asked = f"{case.method} {prepared.path_url:.300} {prepared.body!r:.300}"
        shown = f"{asked} -> {answer.status} {answer.body!r:.400}"
        assert answer.status < 500, shown
        if self.has_envelope:
            self._look(answer, blamed if is_named else None, shown, is_named=is_named and blamed != "imei")

    def _look(self, answer: HttpAnswer, blamed: str | None, shown: str, *, is_named: bool) -> None:
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if answer.status in (200, 204) and kind in ("application/octet-stream", ""):
            self.tally.accepted += 1
            return
        document = answer.json()
        if self.operation.path.startswith("/v1/"):
            self._look_at_native(answer.status, kind, document, shown)
            return
        assert kind == "application/json", shown
        assert isinstance(document["errno"], int) and isinstance(document["error"], str), shown
        if answer.status != 200:
            assert (answer.status, document["errno"]) in NOT_ROUTED, shown
            return
        is_nb = self.operation.path.startswith(("/nbiot", "/devices/nbiot"))
        refusals, others = (NB_REFUSALS, NB_OTHERS) if is_nb else (GENERAL_REFUSALS, GENERAL_OTHERS)
        if not self.operation.definition.raw["security"]:
            refusals |= OPEN_REFUSALS
        assert document["errno"] in refusals | others, shown
        assert not is_named or not is_nb or document["errno"] != FORBIDDEN, shown
        if document["errno"] in refusals:
            self._look_for_name(document["error"], blamed, shown)
        elif document["errno"] == 0:
            assert document["error"] == "succ", shown
            self.tally.accepted += 1

    def _look_at_native(self, status: int, kind: str, document: Json, shown: str) -> None:
        if status < 300:
            self.tally.accepted += 1
            return
        assert kind == PROBLEM, shown
        assert document["status"] == status and document["title"] and document["detail"], shown
        if status in (400, 413, 422):
            fields = " ".join(each["field"] for each in document.get("errors", ()))
            self._look_for_name(f"{document['detail']} {fields}", None, shown)

    def _look_for_name(self, text: str, blamed: str | None, shown: str) -> None:
        self.tally.refused_by_name += 1
        told = text.lower()
        if blamed is not None:
            assert blamed.lower() in told, f"{blamed} is wrong, and not named: {shown}"
        assert any(name in told for name in self._names), f"no field is named: {shown}"


def field_names(operation: Mapping[str, Any]) -> frozenset[str]:
    """Give the names of everything a caller of an operation can get wrong, in lower case."""
    names = {each["name"] for each in operation.get("parameters", ())}
    if any(each["in"] == "query" for each in operation.get("parameters", ())):
        names.add("query")  # as a whole: it is too long
    body = operation.get("requestBody")
    if body is not None:
        names |= WHOLE_BODY | COUNTED
        for media in body["content"].values():
            names |= set(_properties(media.get("schema", {})))
    return frozenset(name.lower() for name in names)


def _properties(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _properties(each)
    elif isinstance(schema, dict):
        yield from schema.get("properties", ())
        for name, each in schema.items():
            yield from _properties(list(each.values()) if name == "properties" else each)


def wrong_parameter(case: Case) -> str | None:
    """Give the one query parameter that is not what the document asks for, when it is the only thing wrong."""
    meta = case.meta
    if meta is None or meta.phase.name.value != "coverage":
        return None
    data = meta.phase.data
    where = None if data.parameter_location is None else data.parameter_location.value
    is_wrong = meta.generation.mode is GenerationMode.NEGATIVE
    return data.parameter if is_wrong and where == "query" else None


def name_what_is_there(case: Case, names: Names, blamed: str | None) -> None:
    """Put the ids of things that are there in place of those made up, but for the one that is to be wrong."""
    path = case.operation.path
    for parameter in case.operation.definition.raw.get("parameters", ()):
        name, where = parameter["name"], parameter["in"]
        value = names.value(path, name)
        if value is None or name == blamed:
            continue
        if where == "path":
            case.path_parameters = {**(case.path_parameters or {}), name: value}
        elif name in ("imei", "device_id"):
            case.query = {**(case.query or {}), name: value}
    if blamed is not None:
        keep_what_is_needed(case, blamed)


def keep_what_is_needed(case: Case, blamed: str) -> None:
    """Leave the wrong parameter nothing to hide behind: none that is not needed, and none that only looks right."""
    needed = {each["name"] for each in case.operation.definition.raw["parameters"] if each.get("required")}
    needed |= {"imei", blamed}
    query = {name: value for name, value in (case.query or {}).items() if name in needed}
    case.query = {name: value if name == blamed else SENSIBLE.get(name, value) for name, value in query.items()}


def keep_to_this_machine(case: Case, url: str) -> None:
    """Let no url lead anywhere else: what is subscribed is asked at once."""
    if isinstance(case.body, dict) and str(case.body.get("url", "")).lower().startswith("http"):
        case.body = {**case.body, "url": url}


def coverage_cases(operation: Operation) -> Iterator[Case]:
    """Give every boundary of every parameter and of every field of the body, right and wrong."""
    schema = operation.schema
    generation = schema.config.generation_for(operation=operation, phase="coverage")
    yield from schema.iter_coverage_cases(operation, generation_modes=MODES, generation_config=generation)


def send_drawn(caller: Caller, *, examples: int, is_same_each_time: bool) -> None:
    """Send the documented examples, and some requests drawn at random, right and wrong."""
    strategies = [(each, 1) for each in caller.operation.get_strategies_from_examples()]
    # Any text is right in a path: where there is nothing else, nothing is wrong.
    can_be_wrong = any(caller.operation.query) or any(caller.operation.body)
    modes = MODES if can_be_wrong else [GenerationMode.POSITIVE]
    strategies += [(caller.operation.as_strategy(generation_mode=mode), examples) for mode in modes]
    for strategy, count in strategies:
        drawn = settings(
            max_examples=count,
            derandomize=is_same_each_time,
            database=None,
            deadline=None,
            phases=[
                Phase.generate
            ],  # a failure is shown as it was found: shrinking it would call the server for minutes
            suppress_health_check=list(HealthCheck),
        )

        @drawn
        @given(case=strategy)
        def send_one(case: Case) -> None:
            caller.send(case)

        send_one()
