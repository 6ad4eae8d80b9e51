"""Every error a service raises. Each class is something a caller can act on; `code` is stable.

Errors know nothing of HTTP, errno or exit codes: northbound and cli translate, once.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from commandpost.domain.command import CommandState
    from commandpost.domain.ids import CommandId


class CommandpostError(Exception):
    """Root of what services and stores raise on purpose."""

    code: ClassVar[str] = "error"


class DomainError(CommandpostError):
    """What was asked cannot be, given what is."""

    code = "domain"


class IllegalTransition(DomainError):
    """The state table does not hold this change; a fault of ours, or a race that was lost."""

    code = "illegal_transition"

    def __init__(self, command_id: "CommandId", state: "CommandState", event: str) -> None:
        self.command_id = command_id
        self.state = state
        super().__init__(f"command {command_id.hex()} is {state.value}: {event} is not allowed")


class NotFound(DomainError):
    """The thing does not exist for this caller; another product's thing looks the same (P12)."""

    code = "not_found"

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        super().__init__(f"{kind} {key} does not exist")


class Taken(DomainError):
    """The name or number belongs to something else already."""

    code = "taken"

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        super().__init__(f"{kind} {key} is taken")


class Invalid(DomainError):
    """A value is not allowed: names the field, what was found and what is allowed."""

    code = "invalid"

    def __init__(self, field: str, found: object, allowed: str) -> None:
        self.field = field
        self.found = found
        self.allowed = allowed
        super().__init__(f"{field} is {found!r}: {allowed} is allowed")


class QueueFull(DomainError):
    """The device has its full number of waiting commands; nothing is evicted."""

    code = "queue_full"

    def __init__(self, waiting_max: int) -> None:
        self.waiting_max = waiting_max
        super().__init__(
            f"{waiting_max} commands are waiting for this device already: at most {waiting_max} are allowed"
        )


class NotWaiting(DomainError):
    """Only a waiting command can be cancelled."""

    code = "not_waiting"

    def __init__(self, command_id: "CommandId", state: "CommandState") -> None:
        self.command_id = command_id
        self.state = state
        super().__init__(f"the command is {state.value}: only a waiting one can be cancelled")


class DeviceOffline(DomainError):
    """The device is not registered, or its lifetime is over."""

    code = "device_offline"


class WrongProtocol(DomainError):
    """What was asked of the device is nothing its protocol has."""

    code = "wrong_protocol"

    def __init__(self, protocol: str, allowed: str) -> None:
        self.protocol = protocol
        self.allowed = allowed
        super().__init__(f"the device speaks {protocol}: {allowed} is allowed")


class Forbidden(DomainError):
    """The key is valid and its product is right, but it does not open this device, stream or verb."""

    code = "forbidden"


class Unauthenticated(DomainError):
    """No credential was shown (`is_missing`), or it is not valid."""

    code = "unauthenticated"

    def __init__(self, *, is_missing: bool) -> None:
        self.is_missing = is_missing
        super().__init__("a key is required" if is_missing else "the key is not valid")


class PortError(CommandpostError):
    """Something outside did not do its part."""

    code = "port"


class StoreUnavailable(PortError):
    """The store cannot take or give anything now."""

    code = "store_unavailable"


class RecordUnreadable(StoreUnavailable):
    """A record on disk is none that any version has written; asking for it again gives no other answer."""

    code = "record_unreadable"


class Overloaded(PortError):
    """Refused early, before anything was accepted (P11); trying again later makes sense."""

    code = "overloaded"
