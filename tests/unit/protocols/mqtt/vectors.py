"""The published packets of `tests/vectors/mqtt` as records."""

import json
from pathlib import Path
from typing import Any, TypedDict

from commandpost.protocols.mqtt import packets
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Packet, SubscriptionEntry, SubscriptionOptions, Will
from commandpost.protocols.mqtt.properties import Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode

DIRECTORY = Path(__file__).parents[3] / "vectors" / "mqtt"
BINARY_FIELDS = ("payload", "password", "correlation_data", "authentication_data")  # hexadecimal in the file


class PacketVector(TypedDict):
    name: str
    source: str
    version: int
    bytes: str
    type: str
    fields: dict[str, Any]  # the fields of a record, each of its own type


class MalformedVector(TypedDict):
    name: str
    source: str
    version: int
    bytes: str
    reason: str


class TopicVectors(TypedDict):
    source: str
    matches: list[tuple[str, str]]
    differs: list[tuple[str, str]]
    filters: list[str]
    no_filters: list[str]
    names: list[str]
    no_names: list[str]


PACKETS: list[PacketVector] = json.loads((DIRECTORY / "packets.json").read_text())
MALFORMED: list[MalformedVector] = json.loads((DIRECTORY / "malformed.json").read_text())
TOPICS: TopicVectors = json.loads((DIRECTORY / "topics.json").read_text())


def packet_of(vector: PacketVector) -> Packet:
    """Make the record a vector describes."""
    record: Packet = getattr(packets, vector["type"])(**fields_of(vector["fields"]))
    return record


def fields_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Give every value of a vector the type its field has."""
    return {name: value_of(name, value) for name, value in fields.items()}


def value_of(name: str, value: Any) -> object:
    if name in BINARY_FIELDS:
        return bytes.fromhex(value)
    match name:
        case "version":
            return Version(value)
        case "reason":
            return ReasonCode[value]
        case "reasons":
            return tuple(ReasonCode[code] for code in value)
        case "will":
            return Will(**fields_of(value))
        case "properties":
            return Properties(**fields_of(value))
        case "user_properties":
            return tuple((key, text) for key, text in value)
        case "entries":
            return tuple(
                SubscriptionEntry(topic_filter=topic_filter, options=SubscriptionOptions(**options))
                for topic_filter, options in value
            )
        case _:
            return tuple(value) if isinstance(value, list) else value
