"""What is written to the store: whole facts, each true or not at all.

A fact is applied in one transaction with whatever else is in its batch; its result says what the store found. Guards
(state, window, epoch, current attempt) are in the facts, so that a race is lost cleanly: the result says so, nothing is
raised. No fact reads a clock: `at` and `now` are given. Design section 4.

Result types stand as the type argument of `Fact`, so that `StoreWriter.perform(fact)` is typed.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from commandpost.domain.command import Attempt, Command, Outcome, Trigger
from commandpost.domain.command_state import AttemptEvent
from commandpost.domain.device import Device, DeviceChange, Product, ProductChange, SealedKey
from commandpost.domain.fact import Fact as Fact  # told on: whoever knows facts knows their base
from commandpost.domain.fact import Priority as Priority
from commandpost.domain.fact import Sweep, units_of_rows
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote

# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The command is in, with its `seq`."""

    command: Command


class NotAccepted(Enum):
    """Why a command was not accepted."""

    QUEUE_FULL = "queue_full"
    DEVICE_GONE = "device_gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptCommand(Fact[Accepted | NotAccepted]):
    """Take a command in. The limit is checked inside and counts earlier items of the same batch; a command whose
    window has closed by `command.created_at` does not count as waiting.

    A payload of `/cmds` counts until it has ended, not only while it waits: what was delivered and not answered may
    have to go out again.
    """

    priority: ClassVar[Priority] = Priority.ACCEPT
    command: Command
    waiting_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFor(Fact[tuple[Command, ...]]):
    """Read what waits for a device with that trigger and an open window, in order of acceptance, at most `limit`.

    A read, but in the writer's order, so that what was accepted before is seen.
    """

    device_id: DeviceId
    trigger: Trigger
    now: Instant
    limit: int


class NotClaimed(Enum):
    """Why an attempt was not put on disk; nothing may be sent then."""

    NOT_WAITING = "not_waiting"
    OUTSIDE_WINDOW = "outside_window"
    BUSY = "busy"
    """Another LwM2M command of the device is in state sent (P4)."""
    STALE_EPOCH = "stale_epoch"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Fact[Command | NotClaimed]):
    """Put an attempt on disk and its command into state sent (P3); gives the command as it is then.

    Guarded by: state waiting, `valid_from <= attempt.sent_at < expires_at`, the session's epoch, P4's index.
    """

    attempt: Attempt
    epoch: int
    remote: Remote | None = None
    """Where an LwM2M session is now, if that may not be on disk yet: an answer from there is known after a restart."""


class LateAnswer(Enum):
    """The attempt was not the command's current one: recorded on the attempt, nothing more (P7)."""

    RECORDED = "recorded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishAndClaim(Fact[tuple[Command | LateAnswer, Command | NotClaimed | None]]):
    """Write the end of an attempt, and claim the next one in the same transaction, if there is one.

    `event` is what the end means for the command (domain.delivery.after_attempt); the store guards it by
    `current_attempt = event.end.attempt_id` and applies domain.command_state.advance. The first part of the result is
    the command as it is then. The next claim is tried whether or not the end was a late one.
    """

    command_id: CommandId
    event: AttemptEvent
    next_claim: Claim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLateAnswer(Fact[LateAnswer]):
    """Count an answer that came after its attempt had ended."""

    priority: ClassVar[Priority] = Priority.BEHIND
    attempt_id: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseCommand(Fact[Command | None]):
    """A waiting command that cannot be encoded fails for good; None when it does not wait any more."""

    command_id: CommandId
    outcome: Outcome
    at: Instant


class NotCancelled(Enum):
    """Why a command was not cancelled."""

    NOT_WAITING = "not_waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand(Fact[Command | NotCancelled]):
    """Cancel one waiting command of a device; an expired one that was not swept yet is not waiting."""

    device_id: DeviceId
    command_id: CommandId
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAll(Fact[tuple[Command, ...]]):
    """Cancel every waiting command of a device, in order of acceptance; gives them as they are then."""

    device_id: DeviceId
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireDue(Fact[tuple[Command, ...]]):
    """Expire up to `limit` waiting commands whose window closed at or before `now`; finished at their expires_at."""

    priority: ClassVar[Priority] = Priority.BEHIND
    now: Instant
    limit: int

    @property
    def units(self) -> int:
        """A full slice's."""
        return units_of_rows(self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInstant(Fact[None]):
    """Keep the record of an instant command that has ended: the command (final) and its attempts."""

    priority: ClassVar[Priority] = Priority.BEHIND
    command: Command
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneCommands(Sweep):
    """Remove up to `limit` commands in a final state that were created before an instant."""

    created_before: Instant


# --- products, keys, devices -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProduct(Fact[Product | None]):
    """Take a product in with its keys; an id of 0 lets the store choose one. None when id or a key is taken."""

    product: Product
    keys: tuple[SealedKey, ...]
    """Their product_id is ignored in favour of the product's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateProduct(Fact[Product | None]):
    """Change what is said of a product; gives it as it is then, or None when there is none with this id."""

    product_id: ProductId
    change: ProductChange


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceKey(Fact[bool]):
    """Put a key in place of the product's key of that kind; False when the product is unknown or the key taken."""

    key: SealedKey
    old_until: Instant | None = None
    """How long the key that is replaced is good yet; None: not at all, and neither is any that was replaced before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOldKeys(Sweep):
    """Remove up to `limit` replaced keys whose time was over before an instant."""

    expired_before: Instant


class NotCreated(Enum):
    """Why a device was not created."""

    IMEI_TAKEN = "imei_taken"
    AUTH_INFO_TAKEN = "auth_info_taken"
    PSK_IDENTITY_TAKEN = "psk_identity_taken"
    """The DTLS identity, or an IMEI that is another device's DTLS identity."""
    PRODUCT_GONE = "product_gone"
    FULL = "full"
    """Device ids are used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDevice(Fact[Device | NotCreated]):
    """Take a device in; its id 0 is replaced by one of the store's choice. IMEIs are unique platform-wide."""

    device: Device


class NotUpdated(Enum):
    """Why a device was not updated."""

    DEVICE_GONE = "device_gone"
    AUTH_INFO_TAKEN = "auth_info_taken"
    """Another device of the product, one that speaks no LwM2M, logs in with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDevice(Fact[Device | NotUpdated]):
    """Change what its owner says of a device of a product; gives it as it is then.

    The fact carries the change alone, so that of changes made at once none undoes another, or what was learned of the
    device meanwhile. Keys and the DTLS identity have a fact of their own (ChangeDeviceKeys).
    """

    product_id: ProductId
    device_id: DeviceId
    change: DeviceChange
    at: Instant


class KeysNotChanged(Enum):
    """Why a device's keys were not changed."""

    DEVICE_GONE = "device_gone"
    PSK_IDENTITY_TAKEN = "psk_identity_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDeviceKeys(Fact[Device | KeysNotChanged]):
    """Change an LwM2M device's pre-shared keys, its auth code and its DTLS identity; None stays.

    An identity is unique in the whole platform, and what stands before its first `;` is no other device's IMEI.
    `also` is what else its owner changed with them: neither is done without the other.
    """

    product_id: ProductId
    device_id: DeviceId
    sealed_psk: bytes | None = None
    sealed_bootstrap_psk: bytes | None = None
    sealed_auth_code: bytes | None = None
    psk_identity: str | None = None
    also: UpdateDevice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDevice(Fact[bool]):
    """Remove a device with its session, observations, commands, attempts and events; False when there is none."""

    product_id: ProductId
    device_id: DeviceId
