"""Instant commands: every parameter, every body, every answer."""

from typing import Any

import pytest

from commandpost.domain.command import DeliveryPolicy, Outcome
from commandpost.domain.errors import DeviceOffline, QueueFull
from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Execute,
    Observe,
    ObserveAttributes,
    Read,
    Write,
    WriteItem,
    WriteKind,
    WriteMode,
)
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from tests.fakes.services import IMEI, UUID
from tests.unit.northbound.house import House, observed_house, with_imei

READ = with_imei("/nbiot?obj_id=3303&obj_inst_id=0&res_id=5700")
WRITE = with_imei("/nbiot?obj_id=3311&obj_inst_id=0&mode=2")
EXECUTE = with_imei("/nbiot/execute?obj_id=3311&obj_inst_id=0&res_id=5850")
OBSERVE = with_imei("/nbiot/observe?cancel=false&obj_id=3303&obj_inst_id=0&res_id=5700")
DISCOVER = with_imei("/nbiot/discover?obj_id=3303")
RESOURCES = with_imei("/nbiot/resources")
BODY: dict[str, Any] = {"data": [{"res_id": 5850, "val": True}]}
CALLS = [
    ("GET", READ, b""),
    ("POST", WRITE, BODY),
    ("POST", EXECUTE, b""),
    ("POST", OBSERVE, {}),
    ("GET", DISCOVER, b""),
]


def without(target: str, name: str) -> str:
    path, _, query = target.partition("?")
    return path + "?" + "&".join(piece for piece in query.split("&") if not piece.startswith(f"{name}="))


def with_value(target: str, name: str, value: str) -> str:
    return f"{without(target, name)}&{name}={value}"


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_read_asks_for_the_path_and_gives_the_reference_sample() -> None:
    """Northbound reference 4.1, to the byte."""
    house = House()
    house.commands.result = ObjectValues(
        3303,
        (
            ObjectInstance(
                0,
                (
                    Resource(5700, ResourceValue(ValueType.FLOAT, 21.5)),
                    Resource(5701, ResourceValue(ValueType.STRING, "Cel")),
                ),
            ),
            ObjectInstance(1, (Resource(5700, ResourceValue(ValueType.FLOAT, 19.0)),)),
        ),
    )

    response = house.ask("GET", with_imei("/nbiot?obj_id=3303"))

    assert response.body == (
        b'{"errno":0,"error":"succ","data":['
        b'{"obj_inst_id":0,"res":[{"res_id":5700,"val":21.5},{"res_id":5701,"val":"Cel"}]},'
        b'{"obj_inst_id":1,"res":[{"res_id":5700,"val":19.0}]}]}'
    )
    assert house.commands.ran[0].operation == Read(path=ResourcePath(object_id=3303))


def test_the_uuid_of_an_instant_command_is_in_a_header_only() -> None:
    """Northbound reference 4.7."""
    house = House()
    for method, target, body in CALLS:
        response = house.ask(method, target, body)

        assert dict(response.headers)[b"x-command-uuid"] == UUID.encode()
        assert UUID.encode() not in response.body


def test_a_failed_instant_command_has_its_uuid_too() -> None:
    """Its log is what one wants to read then."""
    house = House()
    house.commands.outcome = Outcome.TIME_OUT

    response = house.ask("GET", READ)

    assert dict(response.headers)[b"x-command-uuid"] == UUID.encode()


def test_write_reads_every_kind_of_value() -> None:
    """The body of northbound reference 4.2."""
    house = House()
    body = {
        "data": [
            {"res_id": 5850, "val": True},
            {"res_id": 5851, "val": 7},
            {"res_id": 5852, "val": 1.5},
            {"res_id": 5853, "val": "text"},
            {"res_id": 5527, "type": 1, "val": "0AfF"},
            {"res_id": 5528, "type": 1, "val": 121},
            {"res_id": 5529, "type": 1, "val": ""},
            {"res_id": 5506, "type": 2, "val": 1600000000},
        ]
    }

    answer = house.envelope("POST", WRITE, body)

    assert answer == {"errno": 0, "error": "succ"}
    assert house.commands.ran[0].operation == Write(
        path=ResourcePath(object_id=3311, instance_id=0),
        mode=WriteMode.PARTIAL,
        items=(
            WriteItem(5850, True),
            WriteItem(5851, 7),
            WriteItem(5852, 1.5),
            WriteItem(5853, "text"),
            WriteItem(5527, b"\x0a\xff", WriteKind.OPAQUE),
            WriteItem(5528, b"\x01\x21", WriteKind.OPAQUE),
            WriteItem(5529, b"", WriteKind.OPAQUE),
            WriteItem(5506, 1600000000, WriteKind.TIME),
        ),
    )


def test_body_keys_have_any_case() -> None:
    """The translated pages print `Res_id` and `Val`."""
    house = House()

    answer = house.envelope("POST", WRITE, {"Data": [{"Res_id": 5850, "Type": 1, "Val": "00"}]})

    assert answer["errno"] == 0
    assert house.commands.ran[0].submission.content == '{"Data":[{"Res_id":5850,"Type":1,"Val":"00"}]}'


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        (b"", ""),
        (b"  ", ""),
        ({}, ""),
        ({"args": "ping"}, "ping"),
        ({"Args": "ping"}, "ping"),
        ({"args": ""}, ""),
        ({"args": None}, ""),
        ({"args": 1}, "1"),
        ({"args": 2.5}, "2.5"),
    ],
)
def test_execute_takes_its_arguments_or_none(body: object, arguments: str) -> None:
    """Northbound reference 4.3: the body may be empty, `{}`, or hold a string or a number."""
    house = House()

    answer = house.envelope("POST", EXECUTE, body)

    assert answer == {"errno": 0, "error": "succ"}
    path = ResourcePath(object_id=3311, instance_id=0, resource_id=5850)
    assert house.commands.ran[0].operation == Execute(path=path, arguments=arguments)


def test_observe_carries_its_attributes() -> None:
    """Northbound reference 4.4, with capitals as one production client writes them."""
    house = House()

    answer = house.envelope("POST", OBSERVE + "&pMin=5&pMax=60&gt=30&lt=10&st=0.5", {})

    assert answer == {"errno": 0, "error": "succ"}
    assert house.commands.ran[0].operation == Observe(
        path=ResourcePath(object_id=3303, instance_id=0, resource_id=5700),
        attributes=ObserveAttributes(pmin_s=5, pmax_s=60, greater_than=30.0, less_than=10.0, step=0.5),
    )


@pytest.mark.parametrize(("cancel", "is_cancel"), [("true", True), ("True", True), ("false", False), ("yes", False)])
def test_only_true_cancels_an_observation(cancel: str, is_cancel: bool) -> None:
    """Any other text counts as false."""
    house = House()

    house.envelope("POST", with_value(OBSERVE, "cancel", cancel))

    assert isinstance(house.commands.ran[0].operation, CancelObserve) is is_cancel


def test_observe_takes_from_the_body_what_the_query_lacks() -> None:
    """One sample lists the parameters as JSON; the query wins where both have one."""
    house = House()
    body = {"imei": "other", "Obj_id": 3303, "cancel": True, "pmin": None}

    answer = house.envelope("POST", f"/nbiot/observe?imei={IMEI}", body)

    assert answer == {"errno": 0, "error": "succ"}
    assert house.commands.ran[0].operation == CancelObserve(path=ResourcePath(object_id=3303))


def test_discover_gives_an_array_of_resource_ids() -> None:
    """Northbound reference 4.5, to the byte."""
    house = House()
    house.commands.result = DiscoveredObject(3303, (DiscoveredInstance(0, (5700, 5701)),))

    response = house.ask("GET", DISCOVER)

    assert response.body == b'{"errno":0,"error":"succ","data":[{"obj_inst_id":0,"res_id":[5700,5701]}]}'
    assert house.commands.ran[0].operation == Discover(path=ResourcePath(object_id=3303))


def test_resources_are_listed_without_asking_the_device() -> None:
    """Northbound reference 4.6, to the byte; the filter is optional."""
    house = House()
    house.devices.known_resources = (DiscoveredObject(3303, (DiscoveredInstance(0, (5700, 5701)),)),)

    response = house.ask("GET", RESOURCES)
    filtered = house.envelope("GET", RESOURCES + "&obj_id=3&obj_inst_id=0")

    assert response.body == (
        b'{"errno":0,"error":"succ","data":{"total_count":1,"item":['
        b'{"obj_id":3303,"instances":[{"inst_id":0,"resources":[5700,5701]}]}]}}'
    )
    assert filtered["data"] == {"total_count": 0, "item": []}
    assert house.commands.ran == []


@pytest.mark.parametrize(
    ("given", "delivery"),
    [
        ("", None),
        ("&delivery=at_most_once", DeliveryPolicy.AT_MOST_ONCE),
        ("&delivery=AT_LEAST_ONCE", DeliveryPolicy.AT_LEAST_ONCE),
    ],
)
def test_delivery_is_handed_on(given: str, delivery: DeliveryPolicy | None) -> None:
    """None lets the product decide."""
    house = House()
    for method, target, body in CALLS:
        answer = house.envelope(method, target + given, body)

        assert answer["errno"] == 0
        assert house.commands.ran[-1].delivery is delivery


@pytest.mark.parametrize(("given", "timeout_ms"), [("", 25_000), ("&timeout=5", 5000), ("&timeout=40", 40_000)])
def test_timeout_is_25_seconds_unless_given(given: str, timeout_ms: int) -> None:
    """Both ends of 5 to 40 are included."""
    house = House()
    for method, target, body in CALLS:
        house.envelope(method, target + given, body)

        assert house.commands.ran[-1].timeout_ms == timeout_ms


# --- what is refused -------------------------------------------------------------------------------------------------

REQUIRED = [
    ("GET", READ, b"", ("imei", "obj_id")),
    ("POST", WRITE, BODY, ("imei", "obj_id", "obj_inst_id", "mode")),
    ("POST", EXECUTE, b"", ("imei", "obj_id", "obj_inst_id", "res_id")),
    ("POST", OBSERVE, b"", ("imei", "cancel", "obj_id")),
    ("GET", DISCOVER, b"", ("imei", "obj_id")),
    ("GET", RESOURCES, b"", ("imei",)),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "name"),
    [(method, target, body, name) for method, target, body, names in REQUIRED for name in names],
)
def test_a_required_parameter_is_missing(method: str, target: str, body: object, name: str) -> None:
    """errno 3, or 7 in the observed profile; an empty value is none."""
    expected = {"error": f"parameter required: {name}"}
    for absent in (without(target, name), with_value(target, name, "")):
        assert House().envelope(method, absent, body) == {"errno": 3, **expected}
        assert observed_house().envelope(method, absent, body) == {"errno": 7, **expected}


IDS = ["-1", "65536", "x", "1.5", "9" * 30, "0x10", "１", "1_0"]
BAD_VALUES = [
    ("GET", READ, b"", {"obj_id": IDS, "obj_inst_id": IDS, "res_id": IDS, "bin2hex": ["yes", "2"]}),
    ("POST", WRITE, BODY, {"obj_id": IDS, "obj_inst_id": IDS, "mode": ["0", "3", "x", "1.0"]}),
    ("POST", EXECUTE, b"", {"obj_id": IDS, "obj_inst_id": IDS, "res_id": IDS}),
    (
        "POST",
        OBSERVE,
        b"",
        {
            "obj_id": IDS,
            "obj_inst_id": IDS,
            "res_id": IDS,
            "pmin": ["-1", "x", "1.5"],
            "pmax": ["-1", "x", "99999999999"],
            "gt": ["x", "nan", "inf", "1_0", "1e999"],
            "lt": ["x", "nan", "-inf"],
            "st": ["x", "-1", "infinity"],
        },
    ),
    ("GET", DISCOVER, b"", {"obj_id": IDS, "obj_inst_id": IDS}),
    ("GET", RESOURCES, b"", {"obj_id": IDS}),
]
COMMON_BAD = {"timeout": ["4", "41", "0", "-5", "x", "25.0"], "delivery": ["twice", "at-most-once", "1"]}


@pytest.mark.parametrize(
    ("method", "target", "body", "name", "value"),
    [
        (method, target, body, name, value)
        for method, target, body, own in BAD_VALUES
        for name, values in {**own, **({} if target == RESOURCES else COMMON_BAD)}.items()
        for value in values
    ],
)
def test_a_value_is_out_of_range_or_of_the_wrong_kind(
    method: str, target: str, body: object, name: str, value: str
) -> None:
    """errno 5108 (6 in the observed profile), naming the parameter; nothing runs."""
    house = House()

    answer = house.envelope(method, with_value(target, name, value), body)
    observed = observed_house().envelope(method, with_value(target, name, value), body)

    assert answer["errno"] == 5108
    assert answer["error"].startswith(f"invalid parameter: {name} is ")
    assert observed == {"errno": 6, "error": answer["error"]}
    assert house.commands.ran == []


@pytest.mark.parametrize(("method", "target"), [("GET", READ), ("POST", OBSERVE)])
def test_a_resource_without_its_instance_is_refused(method: str, target: str) -> None:
    """When the instance is absent the resource must be absent."""
    answer = House().envelope(method, without(target, "obj_inst_id"))

    assert answer["errno"] == 5108
    assert "res_id" in answer["error"]


@pytest.mark.parametrize(
    "rule",
    [
        "pmin=0&pmax=60",
        "pmin=10&pmax=0",
        "pmin=60&pmax=10",
        "lt=10&gt=10",
        "lt=20&gt=10",
        "lt=0&gt=10&st=5",
    ],
)
def test_an_observe_rule_is_broken(rule: str) -> None:
    """Northbound reference 4.4."""
    assert (House().envelope("POST", f"{OBSERVE}&{rule}"))["errno"] == 5108


@pytest.mark.parametrize(
    "rule",
    [
        "pmin=0",
        "pmax=0",
        "pmin=10&pmax=10",
        "lt=0&gt=10&st=4.9",
        "gt=1",
        "lt=1&st=100",
        "gt=1&st=100",
        "st=0",
        "gt=-1.5e3",
    ],
)
def test_an_observe_rule_holds_for_the_values_that_are_present(rule: str) -> None:
    """A rule about two values says nothing about one."""
    assert (House().envelope("POST", f"{OBSERVE}&{rule}"))["errno"] == 0


@pytest.mark.parametrize("threshold", ["gt=1", "lt=1", "st=1"])
def test_a_threshold_needs_a_resource(threshold: str) -> None:
    """Northbound reference 4.4."""
    target = with_imei(f"/nbiot/observe?cancel=false&obj_id=3303&obj_inst_id=0&{threshold}")

    assert (House().envelope("POST", target))["errno"] == 5108


BAD_BODIES: list[tuple[object, int, int]] = [
    (b"", 3, 9),
    (b" \r\n", 3, 9),
    (b"{", 3, 4),
    (b"\xff\xfe", 3, 4),
    (b"[" * 2000, 3, 4),
    (b"1e999", 3, 4),
    ([], 3, 4),
    ("text", 3, 4),
    (None, 3, 4),
    ({}, 3, 7),
    ({"data": None}, 3, 7),
    ({"data": []}, 3, 7),
    ({"data": {}}, 3, 4),
    ({"data": "x"}, 3, 4),
    ({"data": [1]}, 3, 4),
    ({"data": [None]}, 3, 4),
    ({"data": [{}]}, 3, 7),
    ({"data": [{"res_id": 1}]}, 3, 7),
    ({"data": [{"val": 1}]}, 3, 7),
    ({"data": [{"res_id": -1, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": 65536, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": "1", "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": 1.0, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": True, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": None, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": 1, "val": None}]}, 5108, 6),
    ({"data": [{"res_id": 1, "val": []}]}, 5108, 6),
    ({"data": [{"res_id": 1, "val": {}}]}, 5108, 6),
    (b'{"data":[{"res_id":1,"val":99999999999999999999}]}', 5108, 6),
    ({"data": [{"res_id": 1, "type": 0, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 3, "val": 1}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": "1", "val": "00"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": True, "val": "00"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1.0, "val": "00"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1, "val": "0"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1, "val": "0g"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1, "val": "00 0"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1, "val": -1}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1, "val": 1.5}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 1, "val": True}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 2, "val": "1600000000"}]}, 5108, 6),
    ({"data": [{"res_id": 1, "type": 2, "val": True}]}, 5108, 6),
    ({"data": [{"res_id": 1, "val": "x" * 2048}]}, 5108, 5),
]


@pytest.mark.parametrize(("body", "documented", "observed"), BAD_BODIES)
def test_a_body_of_a_write_is_refused(body: object, documented: int, observed: int) -> None:
    """Missing, no JSON, wrong shape, wrong values, too large: each with its number in both profiles."""
    house = House()

    answer = house.envelope("POST", WRITE, body)
    other = observed_house().envelope("POST", WRITE, body)

    assert (answer["errno"], other["errno"]) == (documented, observed)
    assert house.commands.ran == []


def test_2048_bytes_are_the_most_a_command_body_has() -> None:
    """The last byte that is allowed, and the first that is not."""
    frame = len(b'{"args":""}')
    house = House()

    largest = house.envelope("POST", EXECUTE, {"args": "x" * (2048 - frame)})
    larger = house.envelope("POST", EXECUTE, {"args": "x" * (2049 - frame)})

    assert largest["errno"] == 0
    assert larger == {"errno": 5108, "error": "invalid parameter: body has 2049 bytes: at most 2048 is allowed"}


@pytest.mark.parametrize("arguments", [True, [], {}, ["ping"]])
def test_execute_arguments_of_the_wrong_kind(arguments: object) -> None:
    """A string or a number."""
    assert (House().envelope("POST", EXECUTE, {"args": arguments}))["errno"] == 5108


@pytest.mark.parametrize("body", [b"x", b"[]", b'"x"'])
def test_execute_body_that_is_no_object(body: bytes) -> None:
    """errno 3: body not in the right format."""
    assert (House().envelope("POST", EXECUTE, body))["errno"] == 3


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.SUCCESS])
def test_a_failure_at_the_device_is_5106_with_its_name(outcome: Outcome) -> None:
    """Observed: 16, with the `null` that was captured."""
    house, observed = House(), observed_house()
    house.commands.outcome = observed.commands.outcome = outcome

    documented_answer = house.envelope("GET", READ)
    observed_answer = observed.envelope("GET", READ)

    assert documented_answer == {"errno": 5106, "error": f"unsuccess: {outcome.name}"}
    assert observed_answer == {"errno": 16, "error": f"unsuccess: {outcome.name} null"}


def test_an_offline_device_is_2001() -> None:
    """Observed: 14, with the captured text."""
    house, observed = House(), observed_house()
    house.commands.failure = observed.commands.failure = DeviceOffline("offline")

    documented_answer = house.ask("GET", READ)
    observed_answer = observed.ask("GET", READ)

    assert documented_answer.body == b'{"errno":2001,"error":"device not online: 860000000000001"}'
    assert observed_answer.body == b'{"errno":14,"error":"network latency: network latency or device offline"}'


def test_too_many_in_progress_is_5006() -> None:
    """Observed: 13."""
    house, observed = House(), observed_house()
    house.commands.failure = observed.commands.failure = QueueFull(10)

    assert (house.envelope("GET", READ))["errno"] == 5006
    assert (observed.envelope("GET", READ))["errno"] == 13
