"""What one platform stands on: every port, real ones on a machine or virtual ones in a test.

Here: the record of ports. Not here: the real ports (system_world), and the objects built upon them (assembly).
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from commandpost.domain.audit import AuditReader
from commandpost.domain.data_ports import DataReader
from commandpost.domain.dtls_association import AssociationReader
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.object_model import ObjectModel
from commandpost.domain.payload_ports import DeviceKeyReader, PayloadReader
from commandpost.domain.ports import (
    Clock,
    DatagramLink,
    EventSink,
    IdSource,
    Scheduler,
    SecretBox,
    StoreReader,
    StoreWriter,
)
from commandpost.domain.push_ports import PushReader, PushSender
from commandpost.domain.session import Remote
from commandpost.domain.topic_ports import TopicReader
from commandpost.services.session_guard import Identify, nobody
from commandpost.southbound.remote import format_remote


class Reader(
    StoreReader,
    PayloadReader,
    DeviceKeyReader,
    DataReader,
    TopicReader,
    PushReader,
    AuditReader,
    AssociationReader,
    Protocol,
):
    """Every question that is asked of a store."""


def _pass_over(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every port a platform stands on."""

    clock: Clock
    scheduler: Scheduler
    ids: IdSource
    secrets: SecretBox
    writer: StoreWriter
    reader: Reader
    link: DatagramLink
    random: Random
    random_bytes: Callable[[int], bytes]
    """Of a source fit for keys."""
    sender: PushSender
    events: EventSink
    start_id: StartId
    object_model: ObjectModel
    identify: Identify = nobody
    """Says who has proved to be at an address of `link`; without DTLS nobody."""
    on_keys_changed: Callable[[DeviceId], object] = _pass_over
    """Told of each device whose keys or DTLS identity are others now, or that is gone."""
    before_keeping: Callable[[Remote], object] = _pass_over
    """Told whose request or report may change something on disk, before anything is written."""
    describe_remote: Callable[[Remote | None], str] = format_remote
    """Writes an address of `link` for the log."""
