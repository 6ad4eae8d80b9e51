"""What can be encoded is decoded as it was, in every format and for every type."""

from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.operation import WriteItem
from commandpost.domain.resource import (
    INTEGER_MAX,
    INTEGER_MIN,
    UNSIGNED_MAX,
    ObjectInstance,
    ObjectLink,
    ObjectLinkEntry,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.lwm2m.cbor import Item, decode_cbor, encode_cbor
from commandpost.protocols.lwm2m.formats import decode_values, encode_values
from commandpost.protocols.lwm2m.registration import RegisterRequest, format_register, parse_registration
from commandpost.protocols.lwm2m.tlv import decode_value, encode_value
from commandpost.protocols.lwm2m.values import values_from_items

IDS = st.integers(0, 65535)
# A closing NUL is what TLV and text strings lose; half a surrogate pair has no UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(lambda text: not text.endswith("\0"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[ValueType, st.SearchStrategy[ResourceValue]] = {
    ValueType.STRING: TEXTS.map(lambda text: ResourceValue(ValueType.STRING, text)),
    ValueType.CORELNK: TEXTS.map(lambda text: ResourceValue(ValueType.CORELNK, text)),
    ValueType.INTEGER: st.integers(INTEGER_MIN, INTEGER_MAX).map(lambda n: ResourceValue(ValueType.INTEGER, n)),
    ValueType.UNSIGNED: st.integers(0, UNSIGNED_MAX).map(lambda n: ResourceValue(ValueType.UNSIGNED, n)),
    ValueType.TIME: st.integers(INTEGER_MIN, INTEGER_MAX).map(lambda n: ResourceValue(ValueType.TIME, n)),
    ValueType.FLOAT: FLOATS.map(lambda number: ResourceValue(ValueType.FLOAT, number)),
    ValueType.BOOLEAN: st.booleans().map(lambda flag: ResourceValue(ValueType.BOOLEAN, flag)),
    ValueType.OPAQUE: st.binary(max_size=300).map(lambda raw: ResourceValue(ValueType.OPAQUE, raw)),
    ValueType.OBJLNK: st.builds(ObjectLink, IDS, IDS).map(lambda link: ResourceValue(ValueType.OBJLNK, link)),
}
OBJECT_ID = 3303


@st.composite
def trees(draw: st.DrawFn) -> tuple[ObjectValues, ObjectModel]:
    """An object with a few instances whose resources have one type each, and the model that knows them."""
    types = draw(st.dictionaries(IDS, st.sampled_from(list(ValueType)), min_size=1, max_size=5))
    instances = []
    for instance_id in draw(st.lists(IDS, min_size=1, max_size=3, unique=True)):
        resources = []
        for resource_id, value_type in types.items():
            if draw(st.booleans()):
                held = draw(st.dictionaries(IDS, VALUES[value_type], min_size=1, max_size=3))
                resources.append(Resource(resource_id, tuple(sorted(held.items(), key=lambda item: item[0]))))
            else:
                resources.append(Resource(resource_id, draw(VALUES[value_type])))
        instances.append(ObjectInstance(instance_id, tuple(resources)))
    definitions = {
        number: ResourceDefinition(id=number, name="", operations="RW", type=value_type)
        for number, value_type in types.items()
    }
    definition = ObjectDefinition(id=OBJECT_ID, name="", version="1.0", is_multiple=True, resources=definitions)
    return ObjectValues(OBJECT_ID, tuple(instances)), ObjectModel([definition])


@pytest.mark.parametrize("content_format", [11542, 110, 112, 11543])
@given(tree=trees())
def test_object_survives_every_format_with_names(content_format: int, tree: tuple[ObjectValues, ObjectModel]) -> None:
    values, model = tree
    path = ResourcePath(object_id=OBJECT_ID)

    encoded = encode_values(content_format, values, path=path, model=model)

    assert decode_values(content_format, encoded, path=path, model=model) == values


@pytest.mark.parametrize("content_format", [11542, 110, 112, 11543])
@given(tree=trees())
def test_instance_survives_every_format_with_names(content_format: int, tree: tuple[ObjectValues, ObjectModel]) -> None:
    values, model = tree
    first = ObjectValues(OBJECT_ID, values.instances[:1])
    path = ResourcePath(object_id=OBJECT_ID, instance_id=first.instances[0].id)

    encoded = encode_values(content_format, first, path=path, model=model)

    assert decode_values(content_format, encoded, path=path, model=model) == first


@pytest.mark.parametrize("value_type", list(ValueType), ids=lambda value_type: str(value_type.value))
@pytest.mark.parametrize("content_format", [0, 60])
@given(data=st.data())
def test_single_value_survives_every_bare_format(
    content_format: int, value_type: ValueType, data: st.DataObject
) -> None:
    value = data.draw(VALUES[value_type])
    if content_format == 0 and value_type is ValueType.CORELNK:
        # Blanks around links mean nothing in text.
        value = ResourceValue(value_type, str(value.value).strip().rstrip("\0").strip())
    path = ResourcePath(object_id=OBJECT_ID, instance_id=0, resource_id=1)
    definition = ResourceDefinition(id=1, name="", operations="RW", type=value_type)
    model = ObjectModel(
        [ObjectDefinition(id=OBJECT_ID, name="", version="1.0", is_multiple=True, resources={1: definition})]
    )
    values = ObjectValues(OBJECT_ID, (ObjectInstance(0, (Resource(1, value),)),))

    encoded = encode_values(content_format, values, path=path, model=model)

    assert decode_values(content_format, encoded, path=path, model=model) == values


@given(number=st.integers(INTEGER_MIN, INTEGER_MAX))
def test_integer_is_as_short_as_can_be(number: int) -> None:
    raw = encode_value(ResourceValue(ValueType.INTEGER, number))

    assert len(raw) in (1, 2, 4, 8)
    assert decode_value(ValueType.INTEGER, raw).value == number
    if len(raw) > 1:
        assert not -(2 ** (4 * len(raw) - 1)) <= number < 2 ** (4 * len(raw) - 1)


@given(number=FLOATS)
def test_float_keeps_its_value_in_either_width(number: float) -> None:
    raw = encode_value(ResourceValue(ValueType.FLOAT, number))

    assert len(raw) in (4, 8)
    assert decode_value(ValueType.FLOAT, raw).value == number


CBOR_SCALARS: st.SearchStrategy[Item] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**64), 2**64 - 1), FLOATS, TEXTS, st.binary(max_size=300)
)
CBOR_ITEMS: st.SearchStrategy[Item] = st.one_of(
    CBOR_SCALARS,
    st.lists(st.one_of(CBOR_SCALARS, st.lists(CBOR_SCALARS, max_size=3)), max_size=4),
    st.dictionaries(st.one_of(st.integers(-10, 10), TEXTS), CBOR_SCALARS, max_size=4),
)


@pytest.mark.parametrize(
    ("write", "read"), [(encode_cbor, cbor2.loads), (cbor2.dumps, decode_cbor)], ids=["ours first", "theirs first"]
)
@given(item=CBOR_ITEMS)
def test_cbor_agrees_with_an_independent_implementation(
    write: Callable[[Item], bytes], read: Callable[[bytes], Item], item: Item
) -> None:
    assert read(write(item)) == item


@given(
    plains=st.dictionaries(
        IDS, st.one_of(st.booleans(), st.integers(INTEGER_MIN, INTEGER_MAX), FLOATS, TEXTS), min_size=1, max_size=5
    )
)
def test_written_items_arrive_as_they_were(plains: dict[int, bool | int | float | str]) -> None:
    """Of an object nobody knows, each value reaches the device with the kind it had in the request."""
    path = ResourcePath(object_id=40000, instance_id=0)
    values = values_from_items(
        path, [WriteItem(number, plain) for number, plain in plains.items()], model=ObjectModel()
    )

    found = {leaf.resource_id: value.value for leaf, value in values.leaves()}

    assert found == plains
    assert {number: type(plain) for number, plain in found.items()} == {n: type(plain) for n, plain in plains.items()}


@given(
    endpoint_name=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40),
    lifetime_s=st.integers(5, 2**32 - 1),
    links=st.lists(
        st.tuples(st.integers(1, 20), st.one_of(st.none(), IDS), st.sampled_from([None, "1.0", "1.1"])),
        max_size=20,
        unique_by=lambda link: link[:2],
    ),
    alternate_path=st.sampled_from([(), ("lwm2m",), ("a", "b")]),
    accepted_formats=st.lists(st.integers(0, 65535), max_size=5),
    auth_code=st.one_of(st.none(), st.binary(min_size=1, max_size=270)),
)
def test_register_is_read_as_it_was_written(
    endpoint_name: str,
    lifetime_s: int,
    links: list[tuple[int, int | None, str | None]],
    alternate_path: tuple[str, ...],
    accepted_formats: list[int],
    auth_code: bytes | None,
) -> None:
    entries = tuple(ObjectLinkEntry(*link) for link in links)
    request = format_register(
        endpoint_name,
        links=entries,
        lifetime_s=lifetime_s,
        accepted_formats=accepted_formats,
        alternate_path=alternate_path,
        auth_code=auth_code,
    )
    message = CoapMessage(
        type=MessageType.CON, code=request.code, message_id=1, options=request.options, payload=request.payload
    )

    assert parse_registration(message) == RegisterRequest(
        endpoint_name=endpoint_name,
        lifetime_s=lifetime_s,
        binding="U",
        is_queue_mode=False,
        lwm2m_version=None,
        links=entries,
        alternate_path=alternate_path,
        accepted_formats=tuple(accepted_formats),
        auth_code=auth_code,
    )
