"""Who did what: the record that is kept of every call that changes something, and of every refused credential.

Here: the record, the facts that write it, and the question. No key and no body is ever part of it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final, Protocol

from commandpost.domain.fact import Fact, Priority, Sweep, units_of_rows
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant

TITLE_CHARACTERS_MAX: Final = 256  # as long as a key's title may be
ACTION_CHARACTERS_MAX: Final = 200  # the longest template has some 60
TARGET_CHARACTERS_MAX: Final = 200  # what a caller names, shown as far as it helps
REMOTE_CHARACTERS_MAX: Final = 100  # an IPv6 address with its zone
RESULT_CHARACTERS_MAX: Final = 32


class Actor(Enum):
    """By what a caller was recognised."""

    MASTER = "master"
    """The MasterKey of the product."""
    DEVICE_KEY = "device_key"
    """A device-level key, told by its title."""
    TOKEN = "token"
    """A token signed for the product."""
    DEVICE_TOKEN = "device_token"
    """A token signed for one device."""
    OPERATOR = "operator"
    """Whoever may open the data directory: the command line."""
    NOBODY = "nobody"
    """By nothing: no credential, or one that is not valid."""


def cut(text: str, characters_max: int) -> str:
    """Make a text that came from outside fit for an entry: no control characters, bounded."""
    short = text if len(text) <= characters_max else text[: characters_max - 1] + "…"
    if short.isprintable():
        return short
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in short)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One call, or several of one second that differ in nothing but their moment. Texts are printable."""

    at: Instant
    """Of the first."""
    product_id: ProductId | None
    actor: Actor
    key_title: str = ""
    action: str
    """Method and template of the route, such as `PUT /devices/{device_id}`, or the name of an operator's call."""
    target: str = ""
    """What the call names: a device, an IMEI, a uuid; never a key."""
    remote: str
    """The address the call came from; empty: the data directory's own door."""
    result: str
    """`0` or another errno; for `/v1` the HTTP status; for an operator's call `ok` or a code."""
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAuditEntry:
    """An entry with its number, which is the order of writing."""

    number: int
    entry: AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendAudit(Fact[None]):
    """Keep entries."""

    priority: ClassVar[Priority] = Priority.BEHIND
    entries: tuple[AuditEntry, ...]

    @property
    def units(self) -> int:
        """By its entries."""
        return units_of_rows(len(self.entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneAudit(Sweep):
    """Of the `limit` oldest entries, remove those of before an instant and those beyond `rows_max`."""

    before: Instant
    rows_max: int


class AuditReader(Protocol):
    """The question."""

    async def list_audit(
        self, product_id: ProductId | None, *, before_number: int | None, limit: int
    ) -> tuple[StoredAuditEntry, ...]:
        """Entries of a product, or all there are, newest first, with a number below `before_number` (keyset)."""
        ...
