"""A data directory that has been in use for a while: devices, and a million commands that have ended.

Devices and the first commands come through the store's own facts; the mass of commands is the first one over and over
with its ids and times changed, so that every index holds what it would hold.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from benchmarks.udp_load import imei_of
from commandpost.app import SystemClock, SystemIds
from commandpost.domain.command import TRIGGER_ANY_LWM2M, Command, CommandMode, CommandState, Outcome, Submission
from commandpost.domain.device import Device, Product
from commandpost.domain.facts import AcceptCommand, CreateDevice, Fact, RecordInstant
from commandpost.domain.ids import DeviceId, ProductId, shape_command_id
from commandpost.domain.instant import DAY_MS, Instant
from commandpost.domain.operation import Write, WriteItem, WriteMode
from commandpost.domain.resource import ResourcePath
from commandpost.stores.sqlite.store import SqliteStore

DEVICES_PER_FACTS = 1_000
_BODY = '{"data":[{"res_id":5850,"val":true}]}'


def make_devices(store: SqliteStore, product: Product, count: int, *, now: Instant) -> None:
    """Create so many LwM2M devices that are not observed automatically."""
    for start in range(0, count, DEVICES_PER_FACTS):
        facts: list[Fact[object]] = [
            CreateDevice(
                device=Device(
                    id=DeviceId(0),
                    product_id=product.id,
                    protocol="LWM2M",
                    title=imei_of(number),
                    is_auto_observed=False,
                    auth_info=f'{{"{imei_of(number)}":"460000000000001"}}',
                    imei=imei_of(number),
                    imsi="460000000000001",
                    created_at=now,
                )
            )
            for number in range(start, min(count, start + DEVICES_PER_FACTS))
        ]
        store.apply(facts)


def new_command(product_id: ProductId, device_id: DeviceId, number: int, *, ids: SystemIds, now: Instant) -> Command:
    """A cached write that waits."""
    return Command(
        id=ids.new_command_id(now),
        product_id=product_id,
        device_id=device_id,
        imei=imei_of(number),
        operation=Write(
            path=ResourcePath(object_id=3311, instance_id=0),
            mode=WriteMode.PARTIAL,
            items=(WriteItem(resource_id=5850, value=True),),
        ),
        mode=CommandMode.CACHED,
        created_at=now,
        valid_from=now,
        expires_at=Instant(now + DAY_MS),
        retry=3,
        remaining=3,
        answer_timeout_ms=25_000,
        triggers=TRIGGER_ANY_LWM2M,
        submission=Submission(arguments="{}", content=_BODY),
    )


def fill(path: Path, store: SqliteStore, product_id: ProductId, *, commands: int, devices: int) -> None:
    """Put so many commands that ended into the database, spread over the devices and the last half year."""
    clock, ids = SystemClock(), SystemIds()
    now = clock.wall_ms()
    ended = replace(
        new_command(product_id, DeviceId(1), 0, ids=ids, now=now),
        mode=CommandMode.CACHED,
        state=CommandState.SUCCEEDED,
        outcome=Outcome.SUCCESS,
        finished_at=now,
    )
    store.apply([RecordInstant(command=ended, attempts=())])
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous = OFF")
        columns = [row[1] for row in database.execute("PRAGMA table_info(command)") if row[1] != "seq"]
        (first,) = database.execute(f"SELECT {', '.join(columns)} FROM command LIMIT 1")
        marks = ", ".join("?" * len(columns))
        database.executemany(
            f"INSERT INTO command ({', '.join(columns)}) VALUES ({marks})",
            _copies(dict(zip(columns, first, strict=True)), commands, devices=devices, now=now),
        )
    database.close()


def _copies(first: dict[str, object], count: int, *, devices: int, now: Instant) -> Iterator[tuple[object, ...]]:
    chance = Random(1)
    for number in range(count):
        created_at = now - 179 * DAY_MS + number * (178 * DAY_MS) // count
        device = chance.randrange(devices)
        first["id"] = shape_command_id(created_at, chance.randbytes(10))
        first["device_id"], first["imei"] = device + 1, imei_of(device)
        first["created_at"] = first["valid_from"] = created_at
        first["expires_at"], first["finished_at"] = created_at + DAY_MS, created_at + 60_000
        yield tuple(first.values())


def accept(command: Command) -> AcceptCommand:
    """The fact that takes a command in, whatever waits already."""
    return AcceptCommand(command=command, waiting_max=1_000_000)
