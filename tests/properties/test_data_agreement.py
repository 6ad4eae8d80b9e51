"""The same as for commands (test_store_agreement.py), for device keys, data and topics: SQLite knows what the reference
store knows."""

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.data_facts import (
    AddBinary,
    AddDatapoints,
    ChangeDatastream,
    CreateDatastream,
    DeleteDatastream,
    PruneData,
    PruneOrphans,
)
from commandpost.domain.data_ports import PointFilter
from commandpost.domain.datapoint import Datapoint, Datastream
from commandpost.domain.facts import CreateDevice, DeleteDevice, Fact
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.key_facts import AddDeviceKey, ChangeDeviceKey, DeleteDeviceKey, RegisterDevice
from commandpost.domain.ports import Page
from commandpost.domain.topic import TopicMessage, TopicSession, TopicSubscription
from commandpost.domain.topic_facts import (
    DropSubscriptions,
    DropTopicMessages,
    DropTopicSession,
    KeepSubscriptions,
    KeepTopicMessage,
    KeepTopicSession,
    PruneTopics,
    TopicReceiver,
)
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import MemoryHarness, SqliteHarness, StoreHarness
from tests.properties.test_store_agreement import outcomes

PRODUCT = ProductId(1)
DEVICES = [DeviceId(number) for number in (1, 2, 3)]
STREAMS = ["t", "温度"]
BINARIES = ["b1", "b2", "b3"]
TOPICS = ["a", "a/b", "温"]
INSTANTS = [build.at(offset) for offset in (0, 1, 2, 1_000)]
SOMETIMES = [None, None, *INSTANTS]  # None counts twice: it is not to be rare
LIMITS = [1, 2, 100]
SMALL = [1, 2, 3]

MadeT = TypeVar("MadeT")


def combine(make: Callable[..., MadeT], **choices: Iterable[object]) -> list[MadeT]:
    """Make one of every combination, once for all examples: to draw a fact part by part costs more than to apply it."""
    return [make(**dict(zip(choices, each, strict=True))) for each in itertools.product(*choices.values())]


def few(items: Sequence[MadeT]) -> list[tuple[MadeT, ...]]:
    """None of them, one, or two that may be the same."""
    return [each for size in range(3) for each in itertools.product(items, repeat=size)]


def session_of(device_id: DeviceId, filters: Sequence[str], expiry_s: int, left_at: Instant | None) -> TopicSession:
    device = build.device(PRODUCT, None, device_id=device_id)
    return replace(data.topic_session(device, *dict.fromkeys(filters), expiry_s=expiry_s), left_at=left_at)


REGISTERED = [replace(build.device(PRODUCT, None), auth_info=f'"{sn}"') for sn in ("sn-1", "sn-2", "sn-9")]
INDEXES = [data.device_key(PRODUCT, number).index for number in SMALL]
KEYS = [data.device_key(PRODUCT, number, *names) for number in SMALL for names in few(DEVICES)]
STREAM_RECORDS = combine(Datastream, device_id=DEVICES, id=STREAMS, uuid=["u"], created_at=INSTANTS)
SESSIONS = combine(session_of, device_id=DEVICES, filters=few(TOPICS), expiry_s=[0, 1, 2**32 - 1], left_at=SOMETIMES)
SUBSCRIPTIONS = combine(TopicSubscription, topic_filter=TOPICS, options=SMALL)
MESSAGES = combine(TopicMessage, topic=TOPICS, payload=[b"", b"on"], qos=[1], properties=[b"p"], expires_at=SOMETIMES)

points = st.sampled_from(combine(Datapoint, stream_id=STREAMS, at=INSTANTS, value=["1", "2", '"x"']))
receivers = st.sampled_from(
    combine(TopicReceiver, device_id=DEVICES, qos=[0, 1, 2], identifiers=[(), (7,)], is_retained=[False, True])
)
additions = st.builds(
    lambda made, points: replace(made, points=tuple(points)),
    st.sampled_from(
        combine(
            AddDatapoints,
            device_id=DEVICES,
            product_id=[PRODUCT],
            points=[()],
            received_at=INSTANTS,
            streams_max=[1, 9],
        )
    ),
    st.lists(points, max_size=4),
)
keepings = st.builds(
    lambda made, receivers: replace(made, receivers=tuple(receivers)),
    st.sampled_from(
        combine(
            KeepTopicMessage,
            product_id=[PRODUCT],
            message=MESSAGES,
            retains=[False, True],
            receivers=[()],
            at=[build.at(0)],
        )
    ),
    st.lists(receivers, max_size=3),
)

data_facts: list[st.SearchStrategy[Fact[Any]]] = [
    additions,
    st.sampled_from(
        combine(
            AddBinary,
            device_id=DEVICES,
            product_id=[PRODUCT],
            stream_id=STREAMS,
            index=BINARIES,
            description=["photo"],
            payload=[b"jpeg"],
            at=INSTANTS,
            received_at=INSTANTS,
            streams_max=[9],
        )
    ),
    st.sampled_from(combine(CreateDatastream, product_id=[PRODUCT], stream=STREAM_RECORDS, streams_max=[9])),
    st.sampled_from(combine(ChangeDatastream, device_id=DEVICES, stream_id=STREAMS, unit=[None, "K"])),
    st.sampled_from(combine(DeleteDatastream, device_id=DEVICES, stream_id=STREAMS)),
    st.sampled_from(combine(PruneData, received_before=INSTANTS, limit=LIMITS)),
    st.sampled_from(combine(PruneOrphans, limit=LIMITS)),
]
topic_facts: list[st.SearchStrategy[Fact[Any]]] = [
    st.sampled_from(combine(KeepTopicSession, session=SESSIONS, starts_clean=[False, True])),
    st.sampled_from(combine(DropTopicSession, device_id=DEVICES)),
    st.sampled_from(combine(KeepSubscriptions, device_id=DEVICES, subscriptions=few(SUBSCRIPTIONS))),
    st.sampled_from(combine(DropSubscriptions, device_id=DEVICES, topic_filters=few(TOPICS))),
    keepings,
    st.sampled_from(combine(DropTopicMessages, device_id=DEVICES, numbers=few(SMALL))),
    st.sampled_from(combine(PruneTopics, now=INSTANTS, limit=LIMITS)),
]
key_facts: list[st.SearchStrategy[Fact[Any]]] = [
    st.sampled_from(combine(AddDeviceKey, key=KEYS, keys_max=[1, 9])),
    st.sampled_from(
        [
            ChangeDeviceKey(product_id=PRODUCT, index=key.index, title=title, permissions=permissions)
            for key in KEYS
            for title in (None, "new")
            for permissions in (None, key.permissions)
        ]
    ),
    st.sampled_from(combine(DeleteDeviceKey, product_id=[PRODUCT], index=INDEXES)),
    st.sampled_from(combine(RegisterDevice, device=REGISTERED, key=KEYS)),
    st.sampled_from(combine(DeleteDevice, product_id=[PRODUCT], device_id=DEVICES)),
    st.sampled_from(combine(CreateDevice, device=REGISTERED)),
]
facts = st.one_of(*data_facts, *data_facts, *topic_facts, *topic_facts, *key_facts)


def everything(store: StoreHarness) -> Iterator[object]:
    """All that a store can be asked of these."""
    ask, reader = store.ask, store.reader
    for device_id in DEVICES:
        yield ask(reader.find_device(device_id))
        yield ask(reader.list_datastreams(device_id))
        yield ask(reader.list_points(PointFilter(device_id=device_id), limit=100))
        which = PointFilter(device_id=device_id, start=build.at(1), is_ascending=False)
        first = ask(reader.list_points(which, limit=1))
        yield first
        yield ask(reader.list_points(replace(which, beyond=first.end), limit=2))
        yield ask(reader.list_binaries(device_id, limit=2))
        yield ask(reader.list_queued_messages(device_id, after=0, limit=100))
        yield ask(reader.list_device_keys(PRODUCT, device_id, Page(number=1, size=2)))
    yield ask(reader.current_values(DEVICES))
    yield [ask(reader.find_binary(index)) for index in BINARIES]
    yield ask(reader.list_device_keys(PRODUCT, None, Page(number=1, size=100)))
    yield ask(reader.list_topic_sessions(PRODUCT, after=DeviceId(0), limit=100))
    yield ask(reader.list_retained(PRODUCT, after="", limit=100))


class Rewinder:
    """An SQLite store that goes back to its beginning for each example: to make one costs more than the example."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._harness = SqliteHarness(path)
        begin(self._harness)
        self._beginning = sqlite3.connect(":memory:")
        self._database = sqlite3.connect(path)
        self._database.backup(self._beginning)
        self._database.execute("PRAGMA synchronous = OFF")

    @contextmanager
    def example(self) -> Iterator[SqliteHarness]:
        """Put back every page of the beginning, with it the numbers that were given since."""
        self._beginning.backup(self._database)
        try:
            yield self._harness
        except BaseException:
            # It may be broken, or in a transaction that nobody can write beside: the next example has a new one.
            self._harness.store.close()
            self._harness = SqliteHarness(self._path)
            raise

    def close(self) -> None:
        self._beginning.close()
        self._database.close()
        self._harness.store.close()


def begin(store: StoreHarness) -> None:
    """Two devices with a session each; the third id is free."""
    assert store.make_product() == PRODUCT
    for sn in ("sn-1", "sn-2"):
        device = store.make_connecting_device(PRODUCT, sn)
        store.apply(KeepTopicSession(session=data.topic_session(device), starts_clean=True))


@pytest.fixture(scope="module")
def rewinder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewinder]:
    """One database for all examples."""
    with closing(Rewinder(tmp_path_factory.mktemp("agreement") / "commandpost.db")) as made:
        yield made


@given(batches=st.lists(st.lists(facts, min_size=1, max_size=12), min_size=3, max_size=8))
def test_sqlite_and_the_reference_store_agree_on_data_keys_and_topics(
    rewinder: Rewinder, batches: list[list[Fact[Any]]]
) -> None:
    memory = MemoryHarness()
    begin(memory)

    with rewinder.example() as sqlite:
        for batch in batches:
            assert outcomes(sqlite, batch) == outcomes(memory, batch)
            assert list(everything(sqlite)) == list(everything(memory))
