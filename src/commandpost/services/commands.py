"""Commands: taking them in, running them now, looking them up, taking them back.

Whatever a caller is shown is as seen now: at its `expires_at` a command is expired, swept or not (P6).
Source: northbound reference 4, 5; design section 2.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from commandpost.domain.command import (
    WAITING_MAX,
    Command,
    CommandMode,
    DeliveryPolicy,
    Submission,
    Trigger,
)
from commandpost.domain.delivery import as_seen_at
from commandpost.domain.device import Device, Product
from commandpost.domain.errors import Invalid, NotFound, NotWaiting, QueueFull
from commandpost.domain.facts import AcceptCommand, Accepted, CancelAll, CancelCommand, NotAccepted, NotCancelled
from commandpost.domain.ids import CommandId, format_command_id
from commandpost.domain.instant import SECOND_MS, Instant, after
from commandpost.domain.operation import Execute, Lwm2mOperation, Read, Write
from commandpost.domain.ports import (
    Clock,
    CommandRecord,
    HistoryFilter,
    IdSource,
    Page,
    StoreReader,
    StoreWriter,
)
from commandpost.services.dispatcher import Dispatcher, InstantResult

__all__ = ["CachedRequest", "CommandSettings", "Commands", "InstantRequest", "InstantResult"]

INSTANT_RETRY: Final = 1  # a new registration in the middle has it sent once more (southbound reference 2.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """Limits of commands."""

    waiting_max: int = WAITING_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRequest:
    """A command that is to wait for its device; checked for form and range by whoever read it."""

    operation: Lwm2mOperation
    valid_from: Instant | None = None
    expires_at: Instant
    retry: int
    answer_timeout_ms: int
    triggers: Trigger
    delivery: DeliveryPolicy | None = None
    submission: Submission = field(default_factory=Submission)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantRequest:
    """A command whose caller waits for the answer."""

    operation: Lwm2mOperation
    timeout_ms: int
    delivery: DeliveryPolicy | None = None
    submission: Submission = field(default_factory=Submission)


class Commands:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        dispatcher: Dispatcher,
        ids: IdSource,
        clock: Clock,
        settings: CommandSettings,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._dispatcher = dispatcher
        self._ids = ids
        self._clock = clock
        self._settings = settings

    # --- taking in ----------------------------------------------------------------------------------------------

    async def submit(self, product: Product, device: Device, request: CachedRequest) -> Command:
        """Accept a command; committed and fsynced when this returns (P1).

        Raises:
            Invalid: the window is empty or over, or the operation cannot be cached.
            QueueFull: the device has its full number of waiting commands.
            NotFound: the device was deleted meanwhile.
            Overloaded: refused early; nothing was accepted (P11).
        """
        if not isinstance(request.operation, Read | Write | Execute):
            raise Invalid("operation", type(request.operation).__name__, "Read, Write or Execute")
        now = self._clock.wall_ms()
        valid_from = now if request.valid_from is None else max(now, request.valid_from)
        if request.expires_at <= valid_from:
            raise Invalid("expired_time", request.expires_at, f"an instant after {valid_from}")
        command = Command(
            id=self._ids.new_command_id(now),
            product_id=product.id,
            device_id=device.id,
            imei=device.imei or "",
            operation=request.operation,
            mode=CommandMode.CACHED,
            created_at=now,
            valid_from=valid_from,
            expires_at=request.expires_at,
            retry=request.retry,
            remaining=request.retry,
            answer_timeout_ms=request.answer_timeout_ms,
            triggers=request.triggers,
            delivery=_policy(product, request.operation, request.delivery),
            submission=request.submission,
        )
        self._dispatcher.note_waiting(device.id, command.expires_at)
        result = await self._writer.perform(AcceptCommand(command=command, waiting_max=self._settings.waiting_max))
        match result:
            case Accepted():
                return result.command
            case NotAccepted.QUEUE_FULL:
                raise QueueFull(self._settings.waiting_max)
            case NotAccepted.DEVICE_GONE:
                self._dispatcher.forget_device(device.id)
                raise NotFound("device", str(device.id))

    async def run(self, product: Product, device: Device, request: InstantRequest) -> InstantResult:
        """Run a command now; the budget runs from this call to the answer, waiting for the lane included.

        Raises:
            DeviceOffline: the device is not online, or went offline before anything was sent.
            Overloaded: too many are under way.
        """
        now = self._clock.wall_ms()
        delivery = _policy(product, request.operation, request.delivery)
        retry = INSTANT_RETRY if delivery is DeliveryPolicy.AT_LEAST_ONCE else 0
        command = Command(
            id=self._ids.new_command_id(now),
            product_id=product.id,
            device_id=device.id,
            imei=device.imei or "",
            operation=request.operation,
            mode=CommandMode.INSTANT,
            created_at=now,
            valid_from=now,
            expires_at=after(now, duration_ms=request.timeout_ms),
            retry=retry,
            remaining=retry,
            answer_timeout_ms=request.timeout_ms,
            triggers=Trigger.AT_ONCE,
            delivery=delivery,
            submission=request.submission,
        )
        deadline = self._clock.monotonic() + request.timeout_ms / SECOND_MS
        return await self._dispatcher.run_instant(command, deadline=deadline)

    # --- looking up ---------------------------------------------------------------------------------------------

    async def history(
        self,
        product: Product,
        device: Device,
        *,
        start: Instant,
        end: Instant | None,
        page: Page,
        command_id: CommandId | None = None,
        is_ascending: bool = False,
    ) -> tuple[int, tuple[Command, ...]]:
        """Give how many cached commands of a device match, and one page of them."""
        if device.product_id != product.id:
            raise NotFound("device", str(device.id))
        now = self._clock.wall_ms()
        which = HistoryFilter(
            device_id=device.id,
            start=start,
            end=now if end is None else end,
            command_id=command_id,
            is_ascending=is_ascending,
        )
        total, commands = await self._reader.list_history(which, page)
        return total, tuple(as_seen_at(command, now=now) for command in commands)

    async def get(self, product: Product, device: Device, command_id: CommandId) -> CommandRecord:
        """Give a command of a device with its attempts.

        Raises:
            NotFound: it does not exist, or is another device's.
        """
        record = await self.find(product, command_id)
        if record.command.device_id != device.id:
            raise NotFound("command", format_command_id(command_id))
        return record

    async def find(self, product: Product, command_id: CommandId) -> CommandRecord:
        """Give a command by its id alone.

        Raises:
            NotFound: it does not exist, or is another product's.
        """
        record = await self._reader.find_command(command_id)
        if record is None or record.command.product_id != product.id:
            raise NotFound("command", format_command_id(command_id))
        return replace(record, command=as_seen_at(record.command, now=self._clock.wall_ms()))

    async def list_recent(self, product: Product, *, before_seq: int | None, limit: int) -> tuple[Command, ...]:
        """Give a product's commands, newest first, with a seq below `before_seq`."""
        now = self._clock.wall_ms()
        commands = await self._reader.list_commands(product.id, before_seq=before_seq, limit=limit)
        return tuple(as_seen_at(command, now=now) for command in commands)

    # --- taking back --------------------------------------------------------------------------------------------

    async def cancel(self, product: Product, device: Device, command_id: CommandId) -> Command:
        """Cancel a waiting command.

        Raises:
            NotFound: it does not exist, or is another device's.
            NotWaiting: it is under way, or has ended.
        """
        if device.product_id != product.id:
            raise NotFound("command", format_command_id(command_id))
        fact = CancelCommand(device_id=device.id, command_id=command_id, at=self._clock.wall_ms())
        result = await self._writer.perform(fact)
        if isinstance(result, Command):
            return result
        if result is NotCancelled.UNKNOWN:
            raise NotFound("command", format_command_id(command_id))
        record = await self.get(product, device, command_id)
        raise NotWaiting(command_id, record.command.state)

    async def cancel_all(self, product: Product, device: Device) -> tuple[Command, ...]:
        """Cancel every waiting command of a device; gives them in order of acceptance."""
        if device.product_id != product.id:
            raise NotFound("device", str(device.id))
        return await self._writer.perform(CancelAll(device_id=device.id, at=self._clock.wall_ms()))


def _policy(product: Product, operation: Lwm2mOperation, given: DeliveryPolicy | None) -> DeliveryPolicy:
    if given is not None:
        return given
    return product.execute_delivery if isinstance(operation, Execute) else DeliveryPolicy.AT_LEAST_ONCE
