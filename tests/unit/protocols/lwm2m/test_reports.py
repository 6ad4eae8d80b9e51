"""Notifications and Sends: every value with its time, in every format that can say one."""

import json
from collections.abc import Sequence

import cbor2
import pytest

from commandpost.domain.resource import ObjectValues, ResourceValue, ValueType
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.registration import Rejected
from commandpost.protocols.lwm2m.reports import TimedValues, decode_notification, decode_send, find_send
from tests.unit.protocols.lwm2m.trees import Vector, load_vectors, model_of, path_of, tree_of, values_of

MODEL = model_of(
    {
        "/3303/0/5700": ValueType.FLOAT,
        "/3303/0/5701": ValueType.STRING,
        "/3316/0/5700": ValueType.FLOAT,
        "/3317/0/5700": ValueType.FLOAT,
        "/72/1/2": ValueType.FLOAT,
    }
)


def notified(pack: object, path: str = "/3303/0", *, content_format: int = 110) -> tuple[TimedValues, ...]:
    payload = json.dumps(pack).encode()
    return decode_notification(content_format, payload, path=path_of(path), model=MODEL)


def sent(pack: object) -> tuple[TimedValues, ...]:
    """Decode a Send in both of its encodings, which have to agree; labels of this pack have numbers in CBOR."""
    labels = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2, "t": 6}
    assert isinstance(pack, list)
    numbered = [{labels[name]: value for name, value in record.items()} for record in pack]
    in_json = decode_send(110, json.dumps(pack).encode(), model=MODEL)
    assert decode_send(112, cbor2.dumps(numbered), model=MODEL) == in_json
    return in_json


def reading(degrees: float, path: str = "/3303/0/5700") -> ObjectValues:
    return values_of(path_of(path).object_id, [(path, ResourceValue(ValueType.FLOAT, degrees))])


def shown(timed: Sequence[TimedValues]) -> list[tuple[str, object, float | None, float]]:
    """Give each value with its path and its time."""
    return [(str(path), value.value, each.at_s, each.age_s) for each in timed for path, value in each.values.leaves()]


@pytest.mark.parametrize(
    ("content_format", "vector"),
    [
        *((11542, vector) for vector in load_vectors("tlv")),
        *((1542, vector) for vector in load_vectors("tlv")),
    ],
    ids=lambda each: str(each["name"]) if isinstance(each, dict) else str(each),
)
def test_tlv_has_no_times(content_format: int, vector: Vector) -> None:
    """What it brings is of now."""
    path, values, model = tree_of(vector)
    payload = bytes.fromhex(vector["bytes"])

    found = decode_notification(content_format, payload, path=path, model=model)

    assert found == (TimedValues(values=values),)


@pytest.mark.parametrize("vector", load_vectors("senml"), ids=lambda vector: str(vector["name"]))
def test_senml_without_times_is_one_group_of_now(vector: Vector) -> None:
    """The same tree that a Read gives; an empty one is no group at all."""
    path, values, model = tree_of(vector)
    expected = (TimedValues(values=values),) if list(values.leaves()) else ()

    assert decode_notification(110, vector["json"].encode(), path=path, model=model) == expected
    assert decode_notification(112, bytes.fromhex(vector["cbor"]), path=path, model=model) == expected


@pytest.mark.parametrize(
    ("content_format", "payload", "path", "value"),
    [
        (0, b"21.5", "/3303/0/5700", ResourceValue(ValueType.FLOAT, 21.5)),
        (None, b"21.5", "/3303/0/5700", ResourceValue(ValueType.FLOAT, 21.5)),
        (0, b"", "/3303/0/5701", ResourceValue(ValueType.STRING, "")),
        (42, b"\x01\xff", "/9000/0/1", ResourceValue(ValueType.OPAQUE, b"\x01\xff")),
        (60, cbor2.dumps(21.5), "/3303/0/5700", ResourceValue(ValueType.FLOAT, 21.5)),
    ],
)
def test_a_bare_value_is_of_now(content_format: int | None, payload: bytes, path: str, value: ResourceValue) -> None:
    """Text, opaque and CBOR carry one resource and no time."""
    found = decode_notification(content_format, payload, path=path_of(path), model=MODEL)

    assert found == (TimedValues(values=values_of(path_of(path).object_id, [(path, value)])),)


def test_a_notification_without_anything_has_no_values() -> None:
    """CIS modules answer an Observe so."""
    assert decode_notification(None, b"", path=path_of("/3303/0"), model=MODEL) == ()


def test_history_of_rfc_8428_keeps_every_value_with_its_time() -> None:
    """RFC 8428 section 5.1.2 with names of LwM2M; the times are those it resolves to in section 5.1.4."""
    pack = [
        {"bn": "/3316/0/", "bt": 1.276020076001e09, "n": "5700", "v": 120.1},
        {"bn": "/3317/0/", "n": "5700", "t": -5, "v": 1.2},
        {"n": "5700", "t": -4, "v": 1.3},
        {"n": "5700", "t": -3, "v": 1.4},
        {"n": "5700", "t": -2, "v": 1.5},
        {"n": "5700", "t": -1, "v": 1.6},
        {"n": "5700", "v": 1.7},
    ]

    assert shown(sent(pack)) == [
        ("/3317/0/5700", 1.2, 1.276020071001e09, 0.0),
        ("/3317/0/5700", 1.3, 1.276020072001e09, 0.0),
        ("/3317/0/5700", 1.4, 1.276020073001e09, 0.0),
        ("/3317/0/5700", 1.5, 1.276020074001e09, 0.0),
        ("/3317/0/5700", 1.6, 1.276020075001e09, 0.0),
        ("/3316/0/5700", 120.1, 1.276020076001e09, 0.0),
        ("/3317/0/5700", 1.7, 1.276020076001e09, 0.0),
    ]


def test_times_below_two_to_the_28_count_from_now() -> None:
    """RFC 8428 section 4.5.3; what lies ahead is of now, because nothing was measured in the future."""
    pack = [{"bn": "/3303/0/5700", "v": 3.0}, {"v": 1.0, "t": -60}, {"v": 4.0, "t": 5}, {"v": 2.0, "t": -1}]

    assert shown(notified(pack)) == [
        ("/3303/0/5700", 1.0, None, 60.0),
        ("/3303/0/5700", 2.0, None, 1.0),
        ("/3303/0/5700", 3.0, None, 0.0),
        ("/3303/0/5700", 4.0, None, 0.0),
    ]


def test_history_of_lwm2m_json_keeps_every_value_with_its_time() -> None:
    """The historical values of OMA LwM2M 1.0 core section 6.4.4, with a base time of this century."""
    document = {
        "bn": "/72/",
        "bt": 1_525_462_634,
        "e": [{"n": "1/2", "v": 22.4, "t": -5}, {"n": "1/2", "v": 22.9, "t": -30}, {"n": "1/2", "v": 24.1, "t": -50}],
    }

    assert shown(notified(document, "/72", content_format=11543)) == [
        ("/72/1/2", 24.1, 1_525_462_584, 0.0),
        ("/72/1/2", 22.9, 1_525_462_604, 0.0),
        ("/72/1/2", 22.4, 1_525_462_629, 0.0),
    ]


def test_one_resource_twice_at_one_time_is_two_values() -> None:
    """No point is dropped; they stay in the order of the pack."""
    pack = [{"bn": "/3303/0/5700", "v": 1.0}, {"v": 2.0}]

    assert [each.values for each in notified(pack)] == [reading(1.0), reading(2.0)]


def test_a_send_may_hold_any_objects() -> None:
    """Of one time by object, each a tree of its own."""
    pack = [{"n": "/3317/0/5700", "v": 1.0}, {"n": "/3303/0/5700", "v": 2.0}, {"n": "/3303/1/5700", "v": 3.0}]

    assert [each.values.object_id for each in sent(pack)] == [3303, 3317]
    assert [path for path, *_ in shown(sent(pack))] == ["/3303/0/5700", "/3303/1/5700", "/3317/0/5700"]


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (None, b'[{"n":"/3303/0/5700","v":1}]'),
        (11542, bytes.fromhex("E4 16 44 41 A4 00 00")),
        (11543, b'{"e":[{"n":"/3303/0/5700","v":1}]}'),
        (0, b"21.5"),
        (110, b""),
        (110, b"{}"),
        (110, b'[{"v":1}]'),
        (110, b'[{"n":"/3303/0","v":1}]'),
        (110, b'[{"n":"/3303/0/a","v":1}]'),
        (110, b'[{"n":"/3303/0/5700","v":1,"t":"now"}]'),
        (112, b"\x81"),
        (110, b'[{"n":"/3303/0/5700","v":1}' + b" " * 70_000 + b"]"),
    ],
)
def test_what_is_no_send_is_refused(content_format: int | None, payload: bytes) -> None:
    """Only SenML, only resources, up to 64 KiB."""
    with pytest.raises(DecodeError):
        decode_send(content_format, payload, model=MODEL)


def test_a_notification_of_something_else_is_refused() -> None:
    """Data are accepted for observed paths only (southbound reference 1.6)."""
    with pytest.raises(DecodeError):
        notified([{"n": "/3317/0/5700", "v": 1.0}])


@pytest.mark.parametrize("time", ['"5"', "true", "1e400"])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    payload = f'{{"bn":"/3303/0/","bt":{time},"e":[{{"n":"5700","v":1}}]}}'.encode()

    with pytest.raises(DecodeError):
        decode_notification(11543, payload, path=path_of("/3303/0"), model=MODEL)


@pytest.mark.parametrize(
    ("code", "path", "outcome"),
    [
        (Code.POST, ("dp",), True),
        (Code.POST, ("dp", "1"), False),
        (Code.POST, ("rd",), False),
        (Code.POST, (), False),
        (Code.GET, ("dp",), Code.METHOD_NOT_ALLOWED),
        (Code.PUT, ("dp",), Code.METHOD_NOT_ALLOWED),
    ],
)
def test_a_send_is_a_post_to_dp(code: int, path: tuple[str, ...], outcome: bool | int) -> None:
    options = tuple((int(Option.URI_PATH), segment.encode()) for segment in path)
    message = CoapMessage(type=MessageType.CON, code=code, message_id=1, options=options)

    found = find_send(message)

    assert (found.code if isinstance(found, Rejected) else found) == outcome


def test_a_path_that_is_no_text_is_refused() -> None:
    message = CoapMessage(
        type=MessageType.CON, code=Code.POST, message_id=1, options=((int(Option.URI_PATH), b"\xff"),)
    )

    found = find_send(message)

    assert isinstance(found, Rejected)
    assert found.code == Code.BAD_REQUEST
