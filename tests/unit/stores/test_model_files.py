"""Object definitions: what travels with the package, a user's own files, and clear words about a bad one."""

import json
from pathlib import Path

import pytest

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ValueType
from commandpost.stores.model_files import (
    MODEL_FILE_BYTES_MAX,
    ModelFileError,
    load_models,
    load_packaged_models,
    parse_model_json,
    parse_oma_xml,
)

REQUIRED = [
    *range(8),
    *range(3200, 3204),
    *range(3300, 3307),
    3308,
    *range(3310, 3319),
    *range(3320, 3331),
    3333,
    *range(3336, 3344),
    3345,
    3347,
    3348,
]
OBJECT = {"id": 40000, "name": "Tank", "resources": [{"id": 1, "name": "Level", "operations": "R", "type": "float"}]}
XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <Object ObjectType="MODefinition">
    <Name>Water
      Tank</Name>
    <ObjectID>40001</ObjectID>
    <ObjectVersion>1.1</ObjectVersion>
    <MultipleInstances>Multiple</MultipleInstances>
    <Resources>
      <Item ID="1"><Name>Level</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
        <Mandatory>Mandatory</Mandatory><Type>Unsigned Integer</Type><Units>l</Units></Item>
      <Item ID="2"><Name>Empty</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
        <Mandatory>Optional</Mandatory><Type></Type></Item>
      <Item ID="3"><Name>Valves</Name><Operations>RW</Operations><MultipleInstances>Multiple</MultipleInstances>
        <Mandatory>Optional</Mandatory><Type>Boolean</Type></Item>
    </Resources>
  </Object>
</LWM2M>
"""


@pytest.fixture(scope="module")
def packaged() -> ObjectModel:
    return load_packaged_models()


def changed(**fields: object) -> dict[str, object]:
    return {"objects": [{**OBJECT, **fields}]}


def with_resource(**fields: object) -> dict[str, object]:
    return changed(resources=[{**OBJECT["resources"][0], **fields}])  # type: ignore[index]  # one literal row


@pytest.mark.parametrize("object_id", REQUIRED)
def test_required_object_is_packaged(packaged: ObjectModel, object_id: int) -> None:
    definition = packaged.find_object(object_id)

    assert definition is not None
    assert definition.name
    assert definition.version
    assert definition.resources


@pytest.mark.parametrize(
    ("object_id", "resource_id", "expected"),
    [
        (0, 0, ValueType.STRING),
        (0, 3, ValueType.OPAQUE),
        (1, 1, ValueType.UNSIGNED),
        (1, 8, None),
        (2, 2, ValueType.INTEGER),
        (3, 0, ValueType.STRING),
        (3, 4, None),
        (3, 11, ValueType.INTEGER),
        (3, 13, ValueType.TIME),
        (3, 22, ValueType.OBJLNK),
        (4, 4, ValueType.STRING),
        (5, 0, ValueType.OPAQUE),
        (5, 2, None),
        (5, 13, ValueType.UNSIGNED),
        (6, 0, ValueType.FLOAT),
        (6, 4, ValueType.OPAQUE),
        (7, 6, None),
        (9, 12, ValueType.BOOLEAN),
        (10, 7, ValueType.OPAQUE),
        (16, 2, ValueType.OPAQUE),
        (19, 0, ValueType.OPAQUE),
        (3200, 5500, ValueType.BOOLEAN),
        (3200, 5505, None),
        (3202, 5600, ValueType.FLOAT),
        (3203, 5650, ValueType.FLOAT),
        (3303, 5700, ValueType.FLOAT),
        (3303, 5701, ValueType.STRING),
        (3303, 5605, None),
        (3303, 5518, ValueType.TIME),
        (3305, 5806, ValueType.FLOAT),
        (3306, 5850, ValueType.BOOLEAN),
        (3306, 5851, ValueType.INTEGER),
        (3306, 5853, ValueType.STRING),
        (3310, 5824, ValueType.TIME),
        (3311, 5850, ValueType.BOOLEAN),
        (3316, 5821, ValueType.FLOAT),
        (3331, 5822, None),
        (3333, 5506, ValueType.TIME),
        (3334, 5513, ValueType.FLOAT),
        (3336, 5514, ValueType.STRING),
        (3336, 5517, ValueType.OPAQUE),
        (3339, 5522, ValueType.OPAQUE),
        (3340, 5526, ValueType.INTEGER),
        (3341, 5527, ValueType.STRING),
        (3343, 5548, ValueType.FLOAT),
        (3348, 5547, ValueType.INTEGER),
        (3349, 5912, ValueType.STRING),
    ],
)
def test_resource_has_the_type_of_the_registry(
    packaged: ObjectModel, object_id: int, resource_id: int, expected: ValueType | None
) -> None:
    definition = packaged.find_resource(object_id, resource_id)

    assert definition is not None
    assert definition.type is expected


def test_exactly_the_executables_have_no_type(packaged: ObjectModel) -> None:
    untyped = {(o.id, r.id) for o in packaged for r in o.resources.values() if r.type is None}
    executable = {(o.id, r.id) for o in packaged for r in o.resources.values() if r.operations == "E"}

    assert untyped == executable


def test_same_reusable_resource_is_the_same_everywhere(packaged: ObjectModel) -> None:
    """IPSO resources 5500 and above have one meaning; 5513 to 5518 are also the registry's own exceptions."""
    seen: dict[int, tuple[str, str, ValueType | None]] = {}
    for definition in packaged:
        for resource in definition.resources.values():
            if resource.id >= 5519:
                facts = (resource.name, resource.operations, resource.type)
                assert seen.setdefault(resource.id, facts) == facts


@pytest.mark.parametrize(("object_id", "is_multiple"), [(1, True), (3, False), (5, False), (3303, True)], ids=str)
def test_object_knows_whether_it_has_instances(packaged: ObjectModel, object_id: int, is_multiple: bool) -> None:
    definition = packaged.find_object(object_id)

    assert definition is not None
    assert definition.is_multiple is is_multiple


def test_flags_and_units_are_read(packaged: ObjectModel) -> None:
    error_code = packaged.find_resource(3, 11)
    signal = packaged.find_resource(4, 2)

    assert error_code is not None
    assert signal is not None
    assert (error_code.is_multiple, error_code.is_mandatory) == (True, True)
    assert (signal.is_multiple, signal.units) == (False, "dBm")


def test_without_a_folder_only_packaged_objects_are_known(packaged: ObjectModel) -> None:
    assert [definition.id for definition in load_models(None)] == [definition.id for definition in packaged]


def test_own_files_are_added_and_replace_packaged_objects(tmp_path: Path, packaged: ObjectModel) -> None:
    mine = {"id": 3303, "name": "Mine", "resources": [{"id": 1, "name": "X", "operations": "RW", "type": "time"}]}
    (tmp_path / "tank.json").write_text(json.dumps({"objects": [OBJECT, mine]}))
    (tmp_path / "tank.xml").write_bytes(XML)
    (tmp_path / "readme.txt").write_text("not a definition")

    model = load_models(tmp_path)

    assert model.type_of(40000, 1) is ValueType.FLOAT
    assert model.type_of(40001, 1) is ValueType.UNSIGNED
    assert model.type_of(3303, 1) is ValueType.TIME
    assert model.type_of(3303, 5700) is None
    assert len(model) == len(packaged) + 2


def test_registry_file_is_read() -> None:
    (definition,) = parse_oma_xml(XML, file="40001.xml")

    assert (definition.id, definition.name, definition.version) == (40001, "Water Tank", "1.1")
    assert definition.is_multiple
    assert [(r.id, r.operations, r.type) for r in definition.resources.values()] == [
        (1, "R", ValueType.UNSIGNED),
        (2, "E", None),
        (3, "RW", ValueType.BOOLEAN),
    ]
    assert definition.resources[1].is_mandatory
    assert definition.resources[1].units == "l"
    assert definition.resources[3].is_multiple


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<LWM2M>", "no XML"),
        (b"", "no XML"),
        (b"\xff\xfe", "no XML"),
        (b"<DDFNODE/>", "DDFNODE"),
        (b'<!DOCTYPE LWM2M [<!ENTITY a "b">]><LWM2M/>', "not allowed"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE LWM2M><LWM2M/>'.encode("utf-16"), "not allowed"),
        (XML.replace(b"40001", b"70000"), "0 to 65535"),
        (XML.replace(b"<ObjectID>40001</ObjectID>", b""), "ObjectID"),
        (XML.replace(b'ID="2"', b'ID="x"'), "0 to 65535"),
        (XML.replace(b'ID="2"', b'ID="1"'), "twice"),
        (XML.replace(b"Boolean", b"Bool"), "boolean"),
        (XML.replace(b">RW<", b">X<"), "operations"),
        (b"<?xml version='1.0' encoding='nonsense'?><LWM2M/>", "no XML"),
    ],
    ids=range(13),
)
def test_bad_registry_file_is_refused_by_name(content: bytes, word: str) -> None:
    with pytest.raises(ModelFileError, match=word) as caught:
        parse_oma_xml(content, file="mine.xml")

    assert caught.value.file == "mine.xml"
    assert str(caught.value).startswith("mine.xml: ")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], ""),
        ({}, "objects"),
        ({"objects": {}}, "objects"),
        ({"objects": [], "version": 1}, "version"),
        ({"objects": [1]}, "objects[0]"),
        (changed(id=65536), "objects[0].id"),
        (changed(id=True), "objects[0].id"),
        (changed(name=""), "objects[0].name"),
        (changed(name=7), "objects[0].name"),
        (changed(name="x" * 201), "objects[0].name"),
        (changed(version=1.1), "objects[0].version"),
        (changed(multiple="yes"), "objects[0].multiple"),
        (changed(colour="red"), "objects[0].colour"),
        (changed(resources={}), "objects[0].resources"),
        (changed(resources=[7]), "objects[0].resources[0]"),
        (changed(resources=[OBJECT["resources"][0]] * 2), "objects[0]"),  # type: ignore[index]  # one literal row
        (with_resource(id=-1), "objects[0].resources[0].id"),
        (with_resource(operations="X"), "objects[0].resources[0].operations"),
        (with_resource(type="number"), "objects[0].resources[0].type"),
        (with_resource(type=None), "objects[0].resources[0].type"),
        (with_resource(type=["float"]), "objects[0].resources[0].type"),
        (with_resource(units=None), "objects[0].resources[0].units"),
        (with_resource(mandatory=1), "objects[0].resources[0].mandatory"),
    ],
    ids=range(23),
)
def test_bad_file_of_our_form_is_refused_by_place(document: object, place: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        parse_model_json(json.dumps(document).encode(), file="mine.json")

    assert (caught.value.file, caught.value.place) == ("mine.json", place)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000], ids=["empty", "open", "no text", "deep"]
)
def test_file_that_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ModelFileError, match="no JSON"):
        parse_model_json(content, file="mine.json")


def test_refusal_names_file_place_found_and_allowed() -> None:
    with pytest.raises(ModelFileError) as caught:
        parse_model_json(json.dumps(with_resource(operations="X")).encode(), file="mine.json")

    assert str(caught.value) == (
        "mine.json: objects[0].resources[0].operations: 'X' was found, R, W, RW, E or nothing is allowed"
    )


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_models(tmp_path / "missing")


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()

    with pytest.raises(ModelFileError, match="cannot be read"):
        load_models(tmp_path)


def test_file_size_is_bound(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * (MODEL_FILE_BYTES_MAX + 1))

    with pytest.raises(ModelFileError, match=str(MODEL_FILE_BYTES_MAX)):
        load_models(tmp_path)
