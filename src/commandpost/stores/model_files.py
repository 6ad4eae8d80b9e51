"""Object definitions from files: our own, which travel with the package, and a user's.

Here: reading JSON in our form and XML in the form of the OMA registry into `domain.object_model` records. Not here:
what a definition is used for. Where two files define the same object, the one read last stands: packaged files first,
then the user's in the order of their names.

Our form is `{"objects": [{"id", "name", "version", "multiple", "resources": [{"id", "name", "operations", "type",
"multiple", "mandatory", "units"}]}]}`; `type` is one of the names of `ValueType`, or null for what is executed.
Source: OMA LwM2M 1.1 core appendix D; the schema LWM2M.xsd of the OMA registry.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final, NoReturn
from xml.etree import ElementTree

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.resource import ID_MAX, ValueType

MODEL_FILE_BYTES_MAX: Final = 4 << 20  # the largest file of the OMA registry has about 100 KB
MODEL_FILES_MAX: Final = 2048  # the whole OMA registry has fewer than 1,000 objects
NAME_CHARACTERS_MAX: Final = 200
VERSION_DEFAULT: Final = "1.0"  # OMA LwM2M core 7.2.2: what an object without a version has

_PACKAGED: Final = "models"
_OPERATIONS: Final = ("", "R", "W", "RW", "E")
_OBJECT_KEYS: Final = ("id", "name", "version", "multiple", "resources")
_RESOURCE_KEYS: Final = ("id", "name", "operations", "type", "multiple", "mandatory", "units")
_XML_TYPES: Final[Mapping[str, ValueType | None]] = {
    "": None,
    "none": None,
    "string": ValueType.STRING,
    "integer": ValueType.INTEGER,
    "unsigned integer": ValueType.UNSIGNED,
    "float": ValueType.FLOAT,
    "boolean": ValueType.BOOLEAN,
    "opaque": ValueType.OPAQUE,
    "time": ValueType.TIME,
    "objlnk": ValueType.OBJLNK,
    "corelnk": ValueType.CORELNK,
}

# What the standard library's JSON reader gives; every value is looked at before it is used.
_Json = bool | int | float | str | None | list["_Json"] | dict[str, "_Json"]


class ModelFileError(Exception):
    """A definition file cannot be used.

    Attributes:
        file: its name.
        place: where in it, such as `objects[0].resources[3].type` or a line.
    """

    def __init__(self, *, file: str, place: str, problem: str) -> None:
        """Say what was found and what is allowed."""
        super().__init__(f"{file}: {place}: {problem}" if place else f"{file}: {problem}")
        self.file = file
        self.place = place


def load_packaged_models() -> ObjectModel:
    """Read the definitions that travel with the package."""
    return ObjectModel(_packaged_definitions())


def load_models(extra_folder: Path | None) -> ObjectModel:
    """Read the packaged definitions and a user's own.

    Args:
        extra_folder: holds `*.json` and `*.xml` files, other files are left alone; None for none.
    Raises:
        ModelFileError: the folder or one of its files cannot be read or used.
    """
    definitions = list(_packaged_definitions())
    if extra_folder is not None:
        definitions.extend(_folder_definitions(extra_folder))
    return ObjectModel(definitions)


def parse_model_json(content: bytes, *, file: str) -> tuple[ObjectDefinition, ...]:
    """Read definitions in our form.

    Args:
        file: the name that errors carry.
    Raises:
        ModelFileError: not our form.
    """
    try:
        document: _Json = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(file=file, place="", problem=f"no JSON: {error}") from error
    reader = _Reader(file)
    objects = reader.mapping(document, "", ("objects",)).get("objects")
    return tuple(reader.read_object(item, f"objects[{i}]") for i, item in enumerate(reader.items(objects, "objects")))


def parse_oma_xml(content: bytes, *, file: str) -> tuple[ObjectDefinition, ...]:
    """Read definitions in the form of the OMA registry.

    Args:
        file: the name that errors carry.
    Raises:
        ModelFileError: not that form, or a document that declares a type or entities.
    """
    # Entities are how a small document becomes a large one; no file of the registry has any. The check looks at the
    # bytes, so only encodings that keep these characters as they are can be let through.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise ModelFileError(file=file, place="", problem="document types and entities are not allowed")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ModelFileError(file=file, place="", problem=f"no XML: {error}") from error
    if root.tag != "LWM2M":
        raise ModelFileError(file=file, place="", problem=f"the root is {root.tag!r:.40}: LWM2M is allowed")
    return tuple(_xml_object(element, file) for element in root.findall("Object"))


def _packaged_definitions() -> Iterator[ObjectDefinition]:
    folder = files("commandpost.stores").joinpath(_PACKAGED)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            yield from parse_model_json(entry.read_bytes(), file=entry.name)


def _folder_definitions(folder: Path) -> Iterator[ObjectDefinition]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".xml"))
    except OSError as error:
        raise ModelFileError(file=str(folder), place="", problem=f"the folder cannot be read: {error}") from error
    if len(paths) > MODEL_FILES_MAX:
        raise ModelFileError(
            file=str(folder), place="", problem=f"{len(paths)} files: up to {MODEL_FILES_MAX} are allowed"
        )
    for path in paths:
        content = _read(path)
        parse = parse_model_json if path.suffix == ".json" else parse_oma_xml
        yield from parse(content, file=str(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MODEL_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ModelFileError(file=str(path), place="", problem=f"it cannot be read: {error}") from error
    if len(content) > MODEL_FILE_BYTES_MAX:
        raise ModelFileError(file=str(path), place="", problem=f"more than {MODEL_FILE_BYTES_MAX} bytes")
    return content


class _Reader:
    """Checks the values of one JSON file, naming the place of whatever does not fit."""

    def __init__(self, file: str) -> None:
        self._file = file

    def read_object(self, item: _Json, place: str) -> ObjectDefinition:
        fields = self.mapping(item, place, _OBJECT_KEYS)
        resources = [
            self._read_resource(entry, f"{place}.resources[{i}]")
            for i, entry in enumerate(self.items(fields.get("resources"), f"{place}.resources"))
        ]
        return ObjectDefinition(
            id=self._id(fields, place),
            name=self._text(fields, "name", place),
            version=self._text(fields, "version", place, default=VERSION_DEFAULT),
            is_multiple=self._flag(fields, "multiple", place),
            resources=_by_id(resources, file=self._file, place=place),
        )

    def mapping(self, item: _Json, place: str, keys: tuple[str, ...]) -> dict[str, _Json]:
        if not isinstance(item, dict):
            self._refuse(place, item, "an object")
        for key in item:
            if key not in keys:
                self._refuse(f"{place}.{key}".lstrip("."), key, "one of " + ", ".join(keys))
        return item

    def items(self, item: _Json, place: str) -> list[_Json]:
        if not isinstance(item, list):
            self._refuse(place, item, "an array")
        return item

    def _read_resource(self, item: _Json, place: str) -> ResourceDefinition:
        fields = self.mapping(item, place, _RESOURCE_KEYS)
        operations = self._text(fields, "operations", place, may_be_empty=True)
        if operations not in _OPERATIONS:
            self._refuse(f"{place}.operations", operations, "R, W, RW, E or nothing")
        return ResourceDefinition(
            id=self._id(fields, place),
            name=self._text(fields, "name", place),
            operations=operations,
            type=self._type(fields.get("type"), operations, f"{place}.type"),
            is_multiple=self._flag(fields, "multiple", place),
            is_mandatory=self._flag(fields, "mandatory", place),
            units=self._text(fields, "units", place, default="", may_be_empty=True),
        )

    def _type(self, value: _Json, operations: str, place: str) -> ValueType | None:
        if value is None:
            if operations != "E":
                self._refuse(place, value, "a type, unless operations is E")
            return None
        try:
            return ValueType(value)
        except ValueError:
            self._refuse(place, value, "null or one of " + ", ".join(member.value for member in ValueType))

    def _id(self, fields: dict[str, _Json], place: str) -> int:
        value = fields.get("id")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= ID_MAX:
            self._refuse(f"{place}.id", value, f"0 to {ID_MAX}")
        return value

    def _text(
        self, fields: dict[str, _Json], key: str, place: str, *, default: str | None = None, may_be_empty: bool = False
    ) -> str:
        value = fields.get(key, default)
        if not isinstance(value, str) or len(value) > NAME_CHARACTERS_MAX or not (value or may_be_empty):
            self._refuse(f"{place}.{key}", value, f"a text of up to {NAME_CHARACTERS_MAX} characters")
        return value

    def _flag(self, fields: dict[str, _Json], key: str, place: str) -> bool:
        value = fields.get(key, False)
        if not isinstance(value, bool):
            self._refuse(f"{place}.{key}", value, "true or false")
        return value

    def _refuse(self, place: str, found: _Json, allowed: str) -> NoReturn:
        raise ModelFileError(file=self._file, place=place, problem=f"{found!r:.80} was found, {allowed} is allowed")


def _xml_object(element: ElementTree.Element, file: str) -> ObjectDefinition:
    object_id = _xml_id(element.findtext("ObjectID"), file, "ObjectID")
    place = f"object {object_id}"
    items = element.findall("Resources/Item")
    return ObjectDefinition(
        id=object_id,
        name=_xml_text(element, "Name"),
        version=_xml_text(element, "ObjectVersion") or VERSION_DEFAULT,
        is_multiple=_xml_text(element, "MultipleInstances").lower() == "multiple",
        resources=_by_id([_xml_resource(item, file, place) for item in items], file=file, place=place),
    )


def _xml_resource(element: ElementTree.Element, file: str, object_place: str) -> ResourceDefinition:
    resource_id = _xml_id(element.get("ID"), file, f"{object_place}, Item ID")
    place = f"{object_place}, resource {resource_id}"
    operations = _xml_text(element, "Operations").upper()
    if operations == "WR":
        operations = "RW"
    if operations not in _OPERATIONS:
        problem = f"operations {operations!r:.40} was found, R, W, RW, E or nothing is allowed"
        raise ModelFileError(file=file, place=place, problem=problem)
    type_name = _xml_text(element, "Type").lower()
    if type_name not in _XML_TYPES:
        problem = f"type {type_name!r:.40} was found, one of {', '.join(filter(None, _XML_TYPES))} is allowed"
        raise ModelFileError(file=file, place=place, problem=problem)
    return ResourceDefinition(
        id=resource_id,
        name=_xml_text(element, "Name"),
        operations=operations,
        type=None if operations == "E" else _XML_TYPES[type_name],
        is_multiple=_xml_text(element, "MultipleInstances").lower() == "multiple",
        is_mandatory=_xml_text(element, "Mandatory").lower() == "mandatory",
        units=_xml_text(element, "Units"),
    )


def _xml_id(text: str | None, file: str, place: str) -> int:
    digits = (text or "").strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 5 or int(digits) > ID_MAX:
        raise ModelFileError(file=file, place=place, problem=f"{text!r:.40} was found, 0 to {ID_MAX} is allowed")
    return int(digits)


def _xml_text(element: ElementTree.Element, tag: str) -> str:
    return " ".join((element.findtext(tag) or "").split())[:NAME_CHARACTERS_MAX]


def _by_id(resources: Iterable[ResourceDefinition], *, file: str, place: str) -> Mapping[int, ResourceDefinition]:
    by_id: dict[int, ResourceDefinition] = {}
    for resource in resources:
        if resource.id in by_id:
            raise ModelFileError(file=file, place=place, problem=f"resource {resource.id} is defined twice")
        by_id[resource.id] = resource
    return by_id
