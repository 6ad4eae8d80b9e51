"""The questions a store answers, on the dictionaries in memory. What is found is right, not fast."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from commandpost.domain.command import Command, CommandMode
from commandpost.domain.device import Device, DeviceFilter, KeyKind, Product, SealedKey
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, HistoryFilter, OverdueAttempt, Page
from commandpost.domain.resource import DiscoveredObject
from commandpost.domain.session import Remote, Session
from commandpost.stores.memory.questions import Questions, cut
from commandpost.stores.memory.state import KeptSession


class MemoryReader(Questions):
    """A StoreReader over a state."""

    async def find_product(self, product_id: ProductId) -> Product | None:
        """Give a product."""
        return self._state.products.get(product_id)

    async def list_products(self) -> tuple[Product, ...]:
        """Every product, by id."""
        return tuple(product for _, product in sorted(self._state.products.items()))

    async def find_key(self, index: bytes) -> SealedKey | None:
        """Give the key with this index."""
        known = self._state.keys.values()
        return next((key for key in known if key.index == index), None) or self._state.old_keys.get(index)

    async def get_key(self, product_id: ProductId, kind: KeyKind) -> SealedKey | None:
        """Give a product's key of a kind."""
        return self._state.keys.get((product_id, kind))

    async def old_keys(self, product_id: ProductId) -> tuple[SealedKey, ...]:
        """A product's replaced keys, the one that is good longest first."""
        old = [key for key in self._state.old_keys.values() if key.product_id == product_id]
        return tuple(sorted(old, key=lambda key: (-(key.expires_at or 0), key.index)))

    async def find_device(self, device_id: DeviceId) -> Device | None:
        """Give a device of any product."""
        device = self._state.devices.get(device_id)
        return None if device is None else self._as_last_heard(device)

    async def find_device_by_imei(self, imei: str) -> Device | None:
        """Give the device with this IMEI, of any product."""
        return next((self._as_last_heard(each) for each in self._state.devices.values() if each.imei == imei), None)

    async def find_device_by_psk_identity(self, psk_identity: str) -> Device | None:
        """Give the device with this DTLS identity of its own, of any product."""
        devices = self._state.devices.values()
        return next((self._as_last_heard(each) for each in devices if each.psk_identity == psk_identity), None)

    async def find_device_by_auth_info(self, product_id: ProductId, auth_info: str) -> Device | None:
        """Give the device of a product that has no IMEI and this auth_info, written as it is stored."""
        named = [each for each in self._state.devices.values() if each.auth_info == auth_info and each.imei is None]
        return next((each for each in named if each.product_id == product_id), None)

    async def list_devices(
        self, product_id: ProductId, which: DeviceFilter, page: Page
    ) -> tuple[int, tuple[Device, ...]]:
        """How many match, and one page of them by id."""
        matches = [
            device
            for _, device in sorted(self._state.devices.items())
            if device.product_id == product_id and self._is_match(device, which)
        ]
        return len(matches), tuple(self._as_last_heard(device) for device in cut(matches, page))

    async def online_among(self, device_ids: Sequence[DeviceId]) -> frozenset[DeviceId]:
        """Which of these have a session that is online, as the sweep last left it."""
        return frozenset(device_id for device_id in device_ids if self._is_online(device_id))

    async def list_resources(self, device_id: DeviceId) -> tuple[DiscoveredObject, ...]:
        """What is known of a device's objects, by object id."""
        return tuple(discovered for _, discovered in sorted(self._state.resources.get(device_id, {}).items()))

    async def find_session(self, device_id: DeviceId) -> Session | None:
        """Give a device's session with its detail, if it is online."""
        return next((each for each in self._online_sessions() if each.device_id == device_id), None)

    async def find_session_by_location(self, location: str) -> Session | None:
        """Give the online session with this location."""
        return next((each for each in self._online_sessions() if each.location == location), None)

    async def find_session_by_remote(self, remote: Remote) -> Session | None:
        """Give the online session with this address; of several the one that was heard last."""
        there = [each for each in self._online_sessions() if each.remote == remote]
        return max(there, key=lambda session: session.last_heard_at, default=None)

    async def overdue_sessions(self, now: Instant, limit: int) -> tuple[Session, ...]:
        """Online sessions whose stored deadline is at or before `now`, longest overdue first."""
        overdue = [each for each in self._online_sessions() if each.stored_deadline <= now]
        return tuple(sorted(overdue, key=lambda session: (session.stored_deadline, session.device_id))[:limit])

    async def sessions_in_setup(self, after: DeviceId, limit: int) -> tuple[Session, ...]:
        """Online sessions with pending setup and a device id above `after`, by device id."""
        return tuple(each for each in self._online_sessions() if each.pending_setup and each.device_id > after)[:limit]

    async def find_command(self, command_id: CommandId) -> CommandRecord | None:
        """Give a command of any device with its attempts."""
        command = self._state.commands.get(command_id)
        if command is None:
            return None
        attempts = sorted(
            (self._state.attempts[attempt_id] for attempt_id in self._state.attempts_of[command_id]),
            key=lambda attempt: (attempt.number, attempt.id),
        )
        return CommandRecord(command=command, attempts=tuple(attempts))

    async def find_commands(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, CommandRecord]:
        """Give those of these commands that there are, of any device, each with its attempts."""
        found = {command_id: await self.find_command(command_id) for command_id in command_ids}
        return {command_id: record for command_id, record in found.items() if record is not None}

    async def list_history(self, which: HistoryFilter, page: Page) -> tuple[int, tuple[Command, ...]]:
        """How many cached commands match, and one page of them by order of creation."""
        matches = [
            command
            for command in self._state.commands.values()
            if command.device_id == which.device_id
            and command.mode is CommandMode.CACHED
            and which.start <= command.created_at <= which.end
            and which.command_id in (None, command.id)
        ]
        matches.sort(key=lambda command: (command.created_at, command.seq), reverse=not which.is_ascending)
        return len(matches), tuple(cut(matches, page))

    async def list_commands(self, product_id: ProductId, *, before_seq: int | None, limit: int) -> tuple[Command, ...]:
        """A product's commands, newest first, with a seq below `before_seq` (keyset)."""
        matches = [
            command
            for command in self._state.commands.values()
            if command.product_id == product_id and (before_seq is None or command.seq < before_seq)
        ]
        return tuple(sorted(matches, key=lambda command: command.seq, reverse=True)[:limit])

    async def open_attempts(self, after: AttemptId, limit: int) -> tuple[OverdueAttempt, ...]:
        """Attempts of commands in state sent or delivered, with an id above `after`, by id."""
        return tuple(each for each in self._in_flight() if each.attempt.id > after)[:limit]

    async def overdue_attempts(self, now: Instant, limit: int) -> tuple[OverdueAttempt, ...]:
        """Current attempts whose deadline is at or before `now`, earliest first."""
        overdue = [each for each in self._in_flight() if each.attempt.deadline <= now]
        return tuple(sorted(overdue, key=lambda each: (each.attempt.deadline, each.attempt.id))[:limit])

    async def waiting_devices(self, after: DeviceId, limit: int) -> tuple[DeviceId, ...]:
        """Devices with waiting commands and an id above `after`, by id."""
        return tuple(device_id for device_id in sorted(self._state.waiting) if device_id > after)[:limit]

    def _in_flight(self) -> list[OverdueAttempt]:
        return [
            OverdueAttempt(command=self._state.commands[command_id], attempt=self._state.attempts[attempt_id])
            for attempt_id, command_id in sorted(self._state.in_flight.items())
        ]

    def _online_sessions(self) -> list[Session]:
        return [
            replace(kept.session)
            for _, kept in sorted(self._state.sessions.items())
            if isinstance(kept, KeptSession) and kept.is_online
        ]

    def _is_online(self, device_id: DeviceId) -> bool:
        kept = self._state.sessions.get(device_id)
        return kept is not None and kept.is_online

    def _as_last_heard(self, device: Device) -> Device:
        """Give the device with the later of what its own row and its session say of when it was last heard."""
        kept = self._state.sessions.get(device.id)
        if kept is None or (device.last_heard_at or 0) >= kept.last_heard_at:
            return device
        return replace(device, last_heard_at=kept.last_heard_at)

    def _is_match(self, device: Device, which: DeviceFilter) -> bool:
        words = which.key_words
        return (
            (not words or str(device.id).startswith(words) or device.title.startswith(words))
            and (
                not which.auth_info
                or which.auth_info in (device.imei, device.auth_info)
                or which.auth_info_as_json == device.auth_info
            )
            and all(tag in device.tags for tag in which.tags)
            and which.is_online in (None, self._is_online(device.id))
            and which.is_private in (None, device.is_private)
            and (which.ids is None or device.id in which.ids)
            and (which.created_from is None or device.created_at >= which.created_from)
            and (which.created_before is None or device.created_at < which.created_before)
        )
