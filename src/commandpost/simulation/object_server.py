"""The serving side of a simulated device: what it answers to each operation, and what it notifies.

Here: requests against the object tree, observations, and the formats of answers. Not here: when and whether an answer
leaves (lwm2m_device), or misbehaviour of any kind (behaviours).
Source: OMA LwM2M 1.1 core 6.3 and 6.4; southbound reference 1.7 for what modules make of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from commandpost.domain.operation import CancelObserve, Discover, Execute, Observe, ObserveAttributes, Read
from commandpost.domain.resource import ObjectValues, ResourcePath, ValueType
from commandpost.protocols.coap.codes import Code, is_success
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.lwm2m.discovery import encode_discovery
from commandpost.protocols.lwm2m.formats import KNOWN_FORMATS, encode_values
from commandpost.protocols.lwm2m.served_requests import (
    ParsedOperation,
    RefusedRequest,
    ServedWrite,
    WriteAttributes,
)
from commandpost.simulation.objects import DEVICE_MODEL, ObjectTree, Refusal

OBSERVATIONS_MAX: Final = 16  # what a module keeps; one more is answered with 5.00
OBSERVE_SEQUENCE_MODULUS: Final = 1 << 24  # RFC 7641 section 4.4
STANDARD_OBJECT_MAX: Final = 7  # CIS answers 4.05 to an Observe of an object up to this (southbound reference 1.6)

Options = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAnswer:
    """A response, or the body of a notification."""

    code: int
    options: Options = ()
    payload: bytes = b""


@dataclass(slots=True, kw_only=True)
class DeviceObservation:
    """One path the server watches. Mutable: every notification counts it on."""

    number: int
    path: ResourcePath
    coap_token: bytes
    accept: int | None
    sequence: int = 0


class ObjectServer:
    """Answers operations from one device's objects."""

    def __init__(
        self, tree: ObjectTree, *, tlv_number: int, honours_accept: bool, answers_observe_with_value: bool
    ) -> None:
        """Serve a tree; the switches are those of DeviceSettings."""
        self._tree = tree
        self._tlv_number = tlv_number
        self._honours_accept = honours_accept
        self._answers_observe_with_value = answers_observe_with_value
        self._observations: dict[ResourcePath, DeviceObservation] = {}
        self._attributes: dict[ResourcePath, ObserveAttributes] = {}
        self._number = 0

    @property
    def observations(self) -> tuple[DeviceObservation, ...]:
        """What is observed, in the order of the requests."""
        return tuple(self._observations.values())

    def attributes_of(self, path: ResourcePath) -> ObserveAttributes:
        """The notification attributes the server wrote there. The simulation keeps them and does not act on them."""
        return self._attributes.get(path, ObserveAttributes())

    def forget_server(self) -> None:
        """Drop observations and attributes: after a restart, and with every new registration."""
        self._observations.clear()
        self._attributes.clear()

    def drop_observation(self, number: int) -> None:
        """End an observation the server has reset; harmless if it is gone."""
        for path, observation in self._observations.items():
            if observation.number == number:
                del self._observations[path]
                return

    def answer(self, parsed: ParsedOperation | RefusedRequest, *, coap_token: bytes) -> DeviceAnswer:
        """Carry an operation out and say what became of it."""
        if isinstance(parsed, RefusedRequest):
            return DeviceAnswer(code=parsed.code)
        match parsed.operation:
            case Read(path=path):
                return self._content(path, parsed.accept)
            case ServedWrite(values=values):
                return DeviceAnswer(code=self._tree.write(values))
            case Execute(path=path):
                return DeviceAnswer(code=self._tree.execute(path))
            case Observe(path=path):
                return self._observe(path, parsed.accept, coap_token)
            case CancelObserve(path=path):
                self._observations.pop(path, None)
                return self._content(path, parsed.accept)
            case Discover(path=path):
                return self._discover(path)
            case WriteAttributes(path=path, attributes=attributes):
                return self._write_attributes(path, attributes)

    def notifications(self) -> Iterator[tuple[DeviceObservation, DeviceAnswer]]:
        """Give what is to be notified now, each with its next sequence number."""
        for observation in self.observations:
            observation.sequence = (observation.sequence + 1) % OBSERVE_SEQUENCE_MODULUS
            content = self._content(observation.path, observation.accept)
            yield observation, _with_observe(content, observation.sequence)

    def _content(self, path: ResourcePath, accept: int | None) -> DeviceAnswer:
        values = self._tree.read(path)
        if isinstance(values, Refusal):
            return DeviceAnswer(code=values.code)
        content_format = self._format_for(path, values, accept)
        if content_format is None:
            return DeviceAnswer(code=Code.NOT_ACCEPTABLE)
        payload = encode_values(content_format, values, path=path, model=DEVICE_MODEL)
        return DeviceAnswer(
            code=Code.CONTENT, options=((Option.CONTENT_FORMAT, encode_uint(content_format)),), payload=payload
        )

    def _format_for(self, path: ResourcePath, values: ObjectValues, accept: int | None) -> int | None:
        leaves = [value for _, value in values.leaves()]
        is_single = path.resource_id is not None and not any(
            resource.is_multiple for instance in values.instances for resource in instance.resources
        )
        if self._honours_accept and accept is not None:
            wants = canonical(accept)
            is_for_one = wants in (ContentFormat.TEXT_PLAIN, ContentFormat.OCTET_STREAM, ContentFormat.CBOR)
            return accept if wants in KNOWN_FORMATS and (is_single or not is_for_one) else None
        if not is_single:
            return self._tlv_number
        return ContentFormat.OCTET_STREAM if leaves[0].type is ValueType.OPAQUE else ContentFormat.TEXT_PLAIN

    def _observe(self, path: ResourcePath, accept: int | None, coap_token: bytes) -> DeviceAnswer:
        if not coap_token:
            return DeviceAnswer(code=Code.BAD_REQUEST)  # as both SDKs answer (southbound reference 1.7)
        if path.object_id <= STANDARD_OBJECT_MAX:
            return DeviceAnswer(code=Code.METHOD_NOT_ALLOWED)
        content = self._content(path, accept)
        if not is_success(content.code):
            return content
        if path not in self._observations and len(self._observations) >= OBSERVATIONS_MAX:
            return DeviceAnswer(code=Code.INTERNAL_SERVER_ERROR)
        self._number += 1
        self._observations[path] = DeviceObservation(
            number=self._number, path=path, coap_token=coap_token, accept=accept
        )
        if not self._answers_observe_with_value:
            content = DeviceAnswer(code=Code.CONTENT)
        return _with_observe(content, 0)

    def _discover(self, path: ResourcePath) -> DeviceAnswer:
        discovered = self._tree.discover(path)
        if isinstance(discovered, Refusal):
            return DeviceAnswer(code=discovered.code)
        return DeviceAnswer(
            code=Code.CONTENT,
            options=((Option.CONTENT_FORMAT, encode_uint(ContentFormat.LINK_FORMAT)),),
            payload=encode_discovery(discovered, path=path, lists_instances=path.resource_id is None),
        )

    def _write_attributes(self, path: ResourcePath, attributes: ObserveAttributes) -> DeviceAnswer:
        refusal = self._tree.find_refusal(path)
        if refusal is not None:
            return DeviceAnswer(code=refusal.code)
        self._attributes[path] = attributes
        return DeviceAnswer(code=Code.CHANGED)


def _with_observe(content: DeviceAnswer, sequence: int) -> DeviceAnswer:
    if not is_success(content.code):
        return content
    options: Options = ((Option.OBSERVE, encode_uint(sequence)), *content.options)
    return DeviceAnswer(code=content.code, options=options, payload=content.payload)
