"""The objects of a simulated device and the formats in which it answers."""

from random import Random

import pytest

from commandpost.domain.operation import CancelObserve, Discover, Execute, Observe, Read
from commandpost.domain.resource import ObjectInstance, ObjectValues, Resource, ResourcePath, ResourceValue, ValueType
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.content_formats import ContentFormat
from commandpost.protocols.coap.options import Option, decode_uint
from commandpost.protocols.lwm2m.dialect import OLD_TLV_NUMBER
from commandpost.protocols.lwm2m.formats import decode_values
from commandpost.protocols.lwm2m.served_requests import ParsedOperation, ServedOperation
from commandpost.simulation import object_server
from commandpost.simulation.object_server import DeviceAnswer, ObjectServer
from commandpost.simulation.objects import (
    DEVICE_MODEL,
    RESET_EXTREMES,
    SENSOR_HIGH,
    SENSOR_LOW,
    SENSOR_VALUE,
    ObjectTree,
)

MINIMUM = ResourcePath(object_id=3303, instance_id=0, resource_id=5601)
MAXIMUM = ResourcePath(object_id=3303, instance_id=0, resource_id=5602)
SENSOR = ResourcePath(object_id=3303, instance_id=0)
ERROR_CODE = ResourcePath(object_id=3, instance_id=0, resource_id=11)


def tree() -> ObjectTree:
    return ObjectTree(serial_number="860000000000001", wall_s=lambda: 1_700_000_000)


def server(
    *, tlv_number: int = ContentFormat.LWM2M_TLV, honours_accept: bool = False, with_value: bool = True
) -> ObjectServer:
    return ObjectServer(
        tree(), tlv_number=tlv_number, honours_accept=honours_accept, answers_observe_with_value=with_value
    )


def ask(
    serving: ObjectServer, operation: ServedOperation, *, accept: int | None = None, coap_token: bytes = b"token"
) -> DeviceAnswer:
    parsed = ParsedOperation(operation=operation, accept=accept, content_format=None)
    return serving.answer(parsed, coap_token=coap_token)


def option(answer: DeviceAnswer, number: int) -> int | None:
    return next((decode_uint(value) for found, value in answer.options if found == number), None)


def written(object_id: int, resource_id: int, value: ResourceValue) -> ObjectValues:
    return ObjectValues(object_id, (ObjectInstance(0, (Resource(resource_id, value),)),))


def test_measuring_drifts_within_bounds_and_keeps_the_extremes() -> None:
    sensing, seen = tree(), [20.5]
    for seed in range(3):
        random = Random(seed)
        for _ in range(500):
            sensing.measure(random)
            value = sensing.value(SENSOR_VALUE)
            assert isinstance(value, float)
            seen.append(value)

    assert SENSOR_LOW <= min(seen) < max(seen) <= SENSOR_HIGH
    assert (sensing.value(MINIMUM), sensing.value(MAXIMUM)) == (min(seen), max(seen))
    assert sensing.execute(RESET_EXTREMES) == Code.CHANGED
    assert sensing.value(MINIMUM) == sensing.value(MAXIMUM) == seen[-1]


def test_the_same_seed_measures_the_same() -> None:
    first, second = tree(), tree()
    for sensing in (first, second):
        random = Random(5)
        for _ in range(100):
            sensing.measure(random)

    assert first.read(SENSOR) == second.read(SENSOR)


def test_a_value_of_another_type_is_not_acceptable() -> None:
    text = ResourceValue(ValueType.STRING, "on")

    assert tree().write(written(3306, 5850, text)) == Code.NOT_ACCEPTABLE


def test_a_write_takes_all_or_nothing() -> None:
    acting = tree()
    values = ObjectValues(
        3306,
        (
            ObjectInstance(
                0,
                (
                    Resource(5851, ResourceValue(ValueType.INTEGER, 9)),
                    Resource(9999, ResourceValue(ValueType.INTEGER, 1)),
                ),
            ),
        ),
    )

    assert acting.write(values) == Code.NOT_FOUND
    assert acting.value(ResourcePath(object_id=3306, instance_id=0, resource_id=5851)) == 0


@pytest.mark.parametrize(
    "path", [ResourcePath(object_id=3303), ResourcePath(object_id=3, instance_id=0, resource_id=4), MINIMUM]
)
def test_only_a_resource_has_a_value(path: ResourcePath) -> None:
    if path == MINIMUM:
        path = ResourcePath(object_id=3303, instance_id=1, resource_id=5601)

    with pytest.raises(KeyError):
        tree().value(path)


@pytest.mark.parametrize("tlv_number", [ContentFormat.LWM2M_TLV, OLD_TLV_NUMBER])
def test_instances_are_tlv_and_resources_text_whatever_the_server_would_accept(tlv_number: int) -> None:
    serving = server(tlv_number=tlv_number)

    instance = ask(serving, Read(path=SENSOR), accept=ContentFormat.SENML_JSON)
    resource = ask(serving, Read(path=SENSOR_VALUE), accept=ContentFormat.LWM2M_TLV)

    assert option(instance, Option.CONTENT_FORMAT) == tlv_number
    assert (option(resource, Option.CONTENT_FORMAT), resource.payload) == (0, b"20.5")


@pytest.mark.parametrize(
    "accept",
    [
        ContentFormat.LWM2M_TLV,
        ContentFormat.LWM2M_JSON,
        ContentFormat.SENML_JSON,
        ContentFormat.SENML_CBOR,
        OLD_TLV_NUMBER,
    ],
)
def test_a_generic_client_answers_in_the_format_it_is_asked_for(accept: int) -> None:
    answer = ask(server(honours_accept=True), Read(path=SENSOR), accept=accept)

    values = decode_values(accept, answer.payload, path=SENSOR, model=DEVICE_MODEL)
    assert option(answer, Option.CONTENT_FORMAT) == accept
    assert {str(path): value.value for path, value in values.leaves()}["/3303/0/5700"] == 20.5


@pytest.mark.parametrize(
    ("path", "accept"), [(SENSOR, 0), (SENSOR, 60), (SENSOR_VALUE, 9999), (ERROR_CODE, ContentFormat.TEXT_PLAIN)]
)
def test_a_format_it_cannot_give_is_not_acceptable(path: ResourcePath, accept: int) -> None:
    assert ask(server(honours_accept=True), Read(path=path), accept=accept).code == Code.NOT_ACCEPTABLE


def test_a_resource_with_instances_is_tlv() -> None:
    answer = ask(server(), Read(path=ERROR_CODE))

    values = decode_values(ContentFormat.LWM2M_TLV, answer.payload, path=ERROR_CODE, model=DEVICE_MODEL)
    assert {str(path): value.value for path, value in values.leaves()} == {"/3/0/11/0": 0}


def test_an_observe_without_a_token_is_a_bad_request() -> None:
    assert ask(server(), Observe(path=SENSOR), coap_token=b"").code == Code.BAD_REQUEST


def test_an_observe_may_be_answered_without_a_value() -> None:
    answer = ask(server(with_value=False), Observe(path=SENSOR))

    assert (answer.code, answer.payload, option(answer, Option.OBSERVE)) == (Code.CONTENT, b"", 0)


def test_an_observation_repeated_takes_the_new_token() -> None:
    serving = server()
    ask(serving, Observe(path=SENSOR), coap_token=b"first")
    ask(serving, Observe(path=SENSOR), coap_token=b"second")

    assert [observation.coap_token for observation in serving.observations] == [b"second"]


def test_observations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_server, "OBSERVATIONS_MAX", 2)
    serving = server()

    codes = [ask(serving, Observe(path=ResourcePath(object_id=number))).code for number in (3303, 3306, 3311)]

    assert codes == [Code.CONTENT, Code.CONTENT, Code.INTERNAL_SERVER_ERROR]


def test_the_observe_number_wraps_at_24_bits() -> None:
    serving = server()
    ask(serving, Observe(path=SENSOR))
    serving.observations[0].sequence = object_server.OBSERVE_SEQUENCE_MODULUS - 1

    ((_, content),) = serving.notifications()

    assert option(content, Option.OBSERVE) == 0


def test_cancelling_answers_with_the_value_and_without_observe() -> None:
    serving = server()
    ask(serving, Observe(path=SENSOR))

    answer = ask(serving, CancelObserve(path=SENSOR))

    assert (answer.code, option(answer, Option.OBSERVE), serving.observations) == (Code.CONTENT, None, ())


def test_a_discover_of_one_resource_names_it_alone() -> None:
    assert ask(server(), Discover(path=RESET_EXTREMES)).payload == b"</3303/0/5605>"


@pytest.mark.parametrize("path", [SENSOR, ResourcePath(object_id=3303, instance_id=2, resource_id=5605)])
def test_what_is_no_executable_cannot_be_executed(path: ResourcePath) -> None:
    assert ask(server(), Execute(path=path)).code == Code.NOT_FOUND
