"""The questions a store answers, on a connection that only reads.

Each is a short query by index, executed where it is asked: a thread would cost more than it takes.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from commandpost.domain.command import Command
from commandpost.domain.device import Device, DeviceFilter, KeyKind, Product, SealedKey
from commandpost.domain.ids import ID_MAX, AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, HistoryFilter, OverdueAttempt, Page
from commandpost.domain.resource import DiscoveredObject
from commandpost.domain.session import Remote, Session
from commandpost.stores.rows import (
    COMMAND_COLUMNS,
    Row,
    attempt_from_row,
    command_from_row,
    device_from_row,
    discovered_from_row,
    key_from_row,
    observation_from_row,
    product_from_row,
    session_from_row,
)
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions, cut, json_list


class SqliteReader(Questions):
    """A StoreReader over a connection. Any of its questions raises StoreUnavailable when the database fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._commands = load_queries("commands.sql")
        self._devices = load_queries("devices.sql")
        self._sessions = load_queries("sessions.sql")

    async def find_product(self, product_id: ProductId) -> Product | None:
        """Give a product."""
        row = self._row(self._devices["find_product"], (product_id,))
        return None if row is None else product_from_row(row)

    async def list_products(self) -> tuple[Product, ...]:
        """Every product, by id."""
        return tuple(product_from_row(row) for row in self._rows(self._devices["list_products"]))

    async def find_key(self, index: bytes) -> SealedKey | None:
        """Give the key with this index."""
        row = self._row(self._devices["find_key"], {"key_index": index})
        return None if row is None else key_from_row(row)

    async def get_key(self, product_id: ProductId, kind: KeyKind) -> SealedKey | None:
        """Give a product's key of a kind."""
        row = self._row(self._devices["get_key"], (product_id, kind.value))
        return None if row is None else key_from_row(row)

    async def old_keys(self, product_id: ProductId) -> tuple[SealedKey, ...]:
        """A product's replaced keys, the one that is good longest first."""
        return tuple(key_from_row(row) for row in self._rows(self._devices["old_keys"], (product_id,)))

    async def find_device(self, device_id: DeviceId) -> Device | None:
        """Give a device of any product."""
        row = self._row(self._devices["find_device"], (device_id,))
        return None if row is None else device_from_row(row)

    async def find_device_by_imei(self, imei: str) -> Device | None:
        """Give the device with this IMEI, of any product."""
        row = self._row(self._devices["find_device_by_imei"], (imei,))
        return None if row is None else device_from_row(row)

    async def find_device_by_psk_identity(self, psk_identity: str) -> Device | None:
        """Give the device with this DTLS identity of its own, of any product."""
        row = self._row(self._devices["find_device_by_psk_identity"], (psk_identity,))
        return None if row is None else device_from_row(row)

    async def find_device_by_auth_info(self, product_id: ProductId, auth_info: str) -> Device | None:
        """Give the device of a product that has no IMEI and this auth_info, written as it is stored."""
        row = self._row(self._devices["find_device_by_auth_info"], (product_id, auth_info))
        return None if row is None else device_from_row(row)

    async def list_devices(
        self, product_id: ProductId, which: DeviceFilter, page: Page
    ) -> tuple[int, tuple[Device, ...]]:
        """How many match, and one page of them by id."""
        conditions = _filter_arguments(product_id, which)
        suffix = "_devices" if which.ids is None else "_devices_among"
        counting = "count_all_devices" if which == DeviceFilter() else f"count{suffix}"
        with self._snapshot():
            total = self._count(self._devices[counting], conditions)
            rows = self._rows(self._devices[f"list{suffix}"], {**conditions, **cut(page)})
        return total, tuple(device_from_row(row) for row in rows)

    async def online_among(self, device_ids: Sequence[DeviceId]) -> frozenset[DeviceId]:
        """Which of these have a session that is online, as the sweep last left it."""
        return frozenset(row[0] for row in self._rows(self._devices["online_among"], (json_list(device_ids),)))

    async def list_resources(self, device_id: DeviceId) -> tuple[DiscoveredObject, ...]:
        """What is known of a device's objects, by object id."""
        return tuple(discovered_from_row(row) for row in self._rows(self._devices["list_resources"], (device_id,)))

    async def find_session(self, device_id: DeviceId) -> Session | None:
        """Give a device's session with its detail, if it is online."""
        return self._one_session("find_session", (device_id,))

    async def find_session_by_location(self, location: str) -> Session | None:
        """Give the online session with this location."""
        return self._one_session("find_session_by_location", (location,))

    async def find_session_by_remote(self, remote: Remote) -> Session | None:
        """Give the online session with this address; of several the one that was heard last."""
        return self._one_session("find_session_by_remote", (remote,))

    async def overdue_sessions(self, now: Instant, limit: int) -> tuple[Session, ...]:
        """Online sessions whose stored deadline is at or before `now`, longest overdue first."""
        return self._some_sessions("overdue_sessions", {"now": now, "limit": limit})

    async def sessions_in_setup(self, after: DeviceId, limit: int) -> tuple[Session, ...]:
        """Online sessions with pending setup and a device id above `after`, by device id."""
        return self._some_sessions("sessions_in_setup", {"after": after, "limit": limit})

    async def find_command(self, command_id: CommandId) -> CommandRecord | None:
        """Give a command of any device with its attempts."""
        return (await self.find_commands((command_id,))).get(command_id)

    async def find_commands(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, CommandRecord]:
        """Give those of these commands that there are, of any device, each with its attempts."""
        found: dict[CommandId, CommandRecord] = {}
        with self._snapshot():
            for command_id in command_ids:
                row = self._row(self._commands["find_command"], (command_id,))
                if row is not None:
                    found[command_id] = self._record(command_from_row(row))
        return found

    def _record(self, command: Command) -> CommandRecord:
        attempts = self._rows(self._commands["attempts_of"], (command.seq,))
        return CommandRecord(
            command=command, attempts=tuple(attempt_from_row(each, command=command) for each in attempts)
        )

    async def list_history(self, which: HistoryFilter, page: Page) -> tuple[int, tuple[Command, ...]]:
        """How many cached commands match, and one page of them by order of creation."""
        conditions: dict[str, object] = {"device_id": which.device_id, "start": which.start, "end": which.end}
        if which.command_id is not None:
            found = self._rows(self._commands["history_of_one"], {**conditions, "command_id": which.command_id})
            return len(found), tuple(command_from_row(row) for row in found[_slice(page)])
        name = "history_ascending" if which.is_ascending else "history_descending"
        with self._snapshot():
            total = self._count(self._commands["count_history"], conditions)
            rows = self._rows(self._commands[name], {**conditions, **cut(page)})
        return total, tuple(command_from_row(row) for row in rows)

    async def list_commands(self, product_id: ProductId, *, before_seq: int | None, limit: int) -> tuple[Command, ...]:
        """A product's commands, newest first, with a seq below `before_seq` (keyset)."""
        below = ID_MAX if before_seq is None else before_seq
        rows = self._rows(
            self._commands["list_commands"], {"product_id": product_id, "before_seq": below, "limit": limit}
        )
        return tuple(command_from_row(row) for row in rows)

    async def open_attempts(self, after: AttemptId, limit: int) -> tuple[OverdueAttempt, ...]:
        """Attempts of commands in state sent or delivered, with an id above `after`, by id."""
        rows = self._rows(self._commands["open_attempts"], {"after": after, "limit": limit})
        return tuple(_in_flight(row) for row in rows)

    async def overdue_attempts(self, now: Instant, limit: int) -> tuple[OverdueAttempt, ...]:
        """Current attempts whose deadline is at or before `now`, earliest first."""
        rows = self._rows(self._commands["overdue_attempts"], {"now": now, "limit": limit})
        return tuple(_in_flight(row) for row in rows)

    async def waiting_devices(self, after: DeviceId, limit: int) -> tuple[DeviceId, ...]:
        """Devices with waiting commands and an id above `after`, by id."""
        rows = self._rows(self._commands["waiting_devices"], {"after": after, "limit": limit})
        return tuple(row[0] for row in rows)

    def _one_session(self, name: str, arguments: Sequence[object]) -> Session | None:
        with self._snapshot():
            row = self._row(self._sessions[name], arguments)
            return None if row is None else self._session(row)

    def _some_sessions(self, name: str, arguments: dict[str, object]) -> tuple[Session, ...]:
        with self._snapshot():
            return tuple(self._session(row) for row in self._rows(self._sessions[name], arguments))

    def _session(self, row: Row) -> Session:
        observations = self._rows(self._sessions["observations_of"], (row[0],))
        return session_from_row(row, tuple(observation_from_row(each) for each in observations))


def _in_flight(row: Row) -> OverdueAttempt:
    command = command_from_row(row)
    return OverdueAttempt(command=command, attempt=attempt_from_row(row[COMMAND_COLUMNS:], command=command))


def _filter_arguments(product_id: ProductId, which: DeviceFilter) -> dict[str, object]:
    return {
        "product_id": product_id,
        "key_words": which.key_words or None,
        "key_words_length": len(which.key_words),
        "auth_info": which.auth_info or None,
        "auth_info_as_json": which.auth_info_as_json,
        "tags": json_list(which.tags) if which.tags else None,
        "is_online": which.is_online,
        "is_private": which.is_private,
        "created_from": which.created_from,
        "created_before": which.created_before,
        "ids": None if which.ids is None else json_list(which.ids),
    }


def _slice(page: Page) -> slice:
    start = (page.number - 1) * page.size
    return slice(start, start + page.size)
