"""Payloads for MQTT and EDP devices (`/cmds`): taking them in, and what became of them.

Whatever a caller is shown is as seen now (P6). Source: northbound reference 6; design section 2 and 10.2.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from commandpost.domain.command import (
    PAYLOAD_ANSWER_WINDOW_MS,
    PAYLOADS_OPEN_MAX,
    Command,
    CommandMode,
    CommandState,
    Outcome,
    Submission,
    Transport,
    Trigger,
)
from commandpost.domain.delivery import as_seen_at
from commandpost.domain.device import Device, Product
from commandpost.domain.errors import CommandpostError, DeviceOffline, NotFound, QueueFull, WrongProtocol
from commandpost.domain.facts import AcceptCommand, Accepted, NotAccepted
from commandpost.domain.ids import CommandId, format_command_id
from commandpost.domain.instant import SECOND_MS, Instant, after
from commandpost.domain.operation import Deliver
from commandpost.domain.payload_ports import PayloadFilter, PayloadReader
from commandpost.domain.ports import Clock, CommandRecord, IdSource, Page, StoreReader, StoreWriter
from commandpost.services.connections import Connections
from commandpost.services.payload_dispatcher import PayloadDispatcher

PUSH_DATA = 1  # the `kind` for which qos and timeout do not count (northbound reference 6.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadSettings:
    """Limits and times of payloads."""

    open_max: int = PAYLOADS_OPEN_MAX
    """Payloads of one device that have not ended."""
    answer_window_ms: int = PAYLOAD_ANSWER_WINDOW_MS
    """How long a reply is waited for with qos 0, and with timeout 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadRequest:
    """A payload as its caller gave it; checked for form and range by whoever read it."""

    payload: bytes
    qos: int = 0
    timeout_s: int = 0
    """0: now or never; else how long it may wait for the device to connect."""
    kind: int = 0
    submission: Submission = field(default_factory=Submission)


class Payloads:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        payloads: PayloadReader,
        connections: Connections,
        dispatcher: PayloadDispatcher,
        ids: IdSource,
        clock: Clock,
        settings: PayloadSettings,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._payloads = payloads
        self._connections = connections
        self._dispatcher = dispatcher
        self._ids = ids
        self._clock = clock
        self._settings = settings

    # --- taking in ----------------------------------------------------------------------------------------------

    async def submit(self, product: Product, device: Device, request: PayloadRequest) -> Command:
        """Accept a payload; committed and fsynced when this returns (P1), and on its way if the device is connected.

        Raises:
            WrongProtocol: the device speaks nothing that carries payloads.
            DeviceOffline: it is not connected, and the payload may not wait; nothing was accepted.
            QueueFull: the device has its full number of payloads without an end.
            NotFound: the device was deleted meanwhile.
            Overloaded: refused early; nothing was accepted (P11).
        """
        transport = device.payload_transport
        if transport is None:
            raise WrongProtocol(device.protocol, "a device of protocol MQTT or EDP")
        command = self._command(product, device, request, transport)
        if command.mode is CommandMode.INSTANT and self._connections.find(device.id) is None:
            raise DeviceOffline(f"device {device.id} is not connected")
        result = await self._accept(command)
        match result:
            case Accepted():
                return result.command
            case NotAccepted.QUEUE_FULL:
                raise QueueFull(self._settings.open_max)
            case NotAccepted.DEVICE_GONE:
                raise NotFound("device", str(device.id))

    def _command(self, product: Product, device: Device, request: PayloadRequest, transport: Transport) -> Command:
        now = self._clock.wall_ms()
        is_push = transport is Transport.EDP and request.kind == PUSH_DATA
        qos, timeout_ms = (0, 0) if is_push else (request.qos, request.timeout_s * SECOND_MS)
        waits_for_answer = qos == 1 and timeout_ms > 0
        window_ms = timeout_ms or self._settings.answer_window_ms
        retry = None if waits_for_answer else 0
        return Command(
            id=self._ids.new_command_id(now),
            product_id=product.id,
            device_id=device.id,
            imei="",
            operation=Deliver(payload=request.payload, qos=qos, kind=request.kind),
            mode=CommandMode.CACHED if timeout_ms else CommandMode.INSTANT,
            transport=transport,
            created_at=now,
            valid_from=now,
            expires_at=after(now, duration_ms=window_ms),
            retry=retry,
            remaining=retry,
            answer_timeout_ms=window_ms if waits_for_answer else self._settings.answer_window_ms,
            triggers=Trigger.CONNECT | Trigger.AT_ONCE if timeout_ms else Trigger.AT_ONCE,
            submission=request.submission,
        )

    async def _accept(self, command: Command) -> Accepted | NotAccepted:
        """Write the command, and tell the dispatcher in the order of acceptance: from inside the writer's callback."""
        waiter: asyncio.Future[Accepted | NotAccepted] = asyncio.get_running_loop().create_future()

        def decided(result: Accepted | NotAccepted) -> None:
            if isinstance(result, Accepted):
                self._dispatcher.accepted(result.command)
            if not waiter.done():
                waiter.set_result(result)

        def failed(error: CommandpostError) -> None:
            if not waiter.done():
                waiter.set_exception(error)

        self._writer.submit(AcceptCommand(command=command, waiting_max=self._settings.open_max), decided, failed)
        return await waiter

    # --- looking up ---------------------------------------------------------------------------------------------

    async def find(self, product: Product, command_id: CommandId) -> CommandRecord:
        """Give a payload command with its attempts.

        Raises:
            NotFound: it does not exist, is another product's, or is no payload.
        """
        for record in await self.find_all(product, (command_id,)):
            return record
        raise NotFound("command", format_command_id(command_id))

    async def find_all(self, product: Product, command_ids: Sequence[CommandId]) -> Sequence[CommandRecord]:
        """Give those of these commands that are payloads of the product, each with its attempts."""
        now = self._clock.wall_ms()
        found = (await self._reader.find_commands(command_ids)).values()
        return [
            replace(record, command=as_seen_at(record.command, now=now))
            for record in found
            if record.command.product_id == product.id and isinstance(record.command.operation, Deliver)
        ]

    async def history(
        self,
        product: Product,
        device: Device,
        *,
        start: Instant,
        end: Instant | None,
        page: Page,
        stands: tuple[tuple[CommandState, Outcome | None], ...] | None = None,
        is_ascending: bool = False,
    ) -> tuple[int, tuple[Command, ...]]:
        """Give how many payload commands of a device match, and one page of them.

        Args:
            stands: only those in one of these states with one of these outcomes; None: all.
        Raises:
            NotFound: the device is another product's.
        """
        if device.product_id != product.id:
            raise NotFound("device", str(device.id))
        now = self._clock.wall_ms()
        which = PayloadFilter(
            device_id=device.id,
            start=start,
            end=now if end is None else end,
            stands=stands,
            now=now,
            is_ascending=is_ascending,
        )
        total, commands = await self._payloads.list_payloads(which, page)
        return total, tuple(as_seen_at(command, now=now) for command in commands)
