"""A database of schema 9 comes up with what its triggers remember, and knows how many messages a product retains."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.events import EventKind
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.push_facts import PrunePushes, RemoveTrigger
from commandpost.domain.topic import RETAINED_MAX, TopicMessage
from commandpost.domain.topic_facts import KeepTopicMessage
from commandpost.stores.migrate import load_migrations, migrate
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness

# As text: builders of today would write what today's code wants. The trigger `in` 1 to 9 has seen device 5 within.
ROWS_OF_SCHEMA_9 = f"""
INSERT INTO product (id, name, created_at, is_auto_discovered, imei_rule, allow_imei_only, execute_delivery)
VALUES (7, 'meters', 1, 0, 'permissive', 0, 'at_least_once');
INSERT INTO device (id, product_id, protocol, title, description, tags, is_private, is_auto_observed, auth_info,
    imsi_old, other, created_at, manufacturer, model, is_setup_done)
VALUES (5, 7, 'MQTT', '', '', '[1,[]]', 1, 1, '"sn-1"', '[1,[]]', '{{}}', 1, '', '', 0);
INSERT INTO subscription (id, product_id, role, url, kinds, created_at)
VALUES (3, 7, 'alarm', 'http://192.0.2.7/', 0, 1);
INSERT INTO push_trigger (id, product_id, subscription_id, title, stream_id, url, kind, threshold, created_at)
VALUES (4, 7, 3, 'hot', 't', 'http://192.0.2.7/', 'inout', '{{"lolmt":1,"uplmt":9}}', 1);
INSERT INTO trigger_memory (trigger_id, device_id, is_inside, heard_at) VALUES (4, 5, 1, 1);
WITH RECURSIVE number (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM number LIMIT {RETAINED_MAX})
INSERT INTO retained_message (product_id, topic, qos, properties, payload)
SELECT 7, 't/' || value, 0, x'', x'01' FROM number;
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteHarness]:
    """The database, opened by this version."""
    path = tmp_path / "commandpost.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, load_migrations()[:9], name="old")
    connection.executescript(ROWS_OF_SCHEMA_9)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    harness = SqliteHarness(path)
    yield harness
    harness.store.close()


def report(value: str) -> AddDatapoints:
    """Device 5 says something."""
    point = Datapoint(stream_id="t", at=build.at(0), value=value)
    return AddDatapoints(
        device_id=DeviceId(5), product_id=ProductId(7), points=(point,), received_at=build.at(0), streams_max=9
    )


def retain(topic: str, payload: bytes) -> KeepTopicMessage:
    """A message for whoever comes later."""
    message = TopicMessage(topic=topic, payload=payload, qos=0)
    return KeepTopicMessage(product_id=ProductId(7), message=message, retains=True, receivers=(), at=build.at(0))


def test_a_trigger_goes_on_where_it_was(store: SqliteHarness) -> None:
    """It has seen the device within: another value within is no news, and one without is."""
    store.apply(report("5"))
    store.apply(report("50"))

    assert [(each.kind, each.value) for each in store.outbox()] == [(EventKind.ALARM, "50")]


def test_what_it_remembers_goes_with_it(store: SqliteHarness) -> None:
    store.apply(RemoveTrigger(product_id=ProductId(7), trigger_id=4))
    while store.apply(PrunePushes(given_up_before=build.at(0), limit=1)).has_more:
        pass

    assert store._execute("SELECT * FROM trigger_memory") == []


def test_a_product_that_is_full_stays_full_until_a_topic_is_cleared(store: SqliteHarness) -> None:
    for topic, payload in (("late/1", b"x"), ("t/7", b""), ("late/2", b"x"), ("late/3", b"x")):
        store.apply(retain(topic, payload))

    found = store._execute("SELECT topic FROM retained_message WHERE topic IN ('late/1', 't/7', 'late/2', 'late/3')")
    assert found == [("late/2",)]
