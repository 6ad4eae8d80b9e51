"""The operator's view of the audit, and what is kept of the operator's own calls."""

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from commandpost.domain.audit import (
    ACTION_CHARACTERS_MAX,
    RESULT_CHARACTERS_MAX,
    TARGET_CHARACTERS_MAX,
    Actor,
    AuditEntry,
    StoredAuditEntry,
    cut,
)
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.northbound.admin_records import format_instant

ENTRIES_MAX: Final = 1_000  # of one answer: 0.4 MB
ENTRIES_DEFAULT: Final = 100
_TOLD: Final = (
    *("name", "kind", "overlap_s", "imei", "device", "command_id", "subscription_id", "failure_id", "url"),
    *("device_security", "allow_imei_only", "imei_rule", "auto_discover", "execute_delivery"),
    *("bootstrap_uri", "bootstrap_secure_uri"),
)
"""The parameters that say what a call is about; a key or a token is none of them."""
_URLS: Final = frozenset({"url", "bootstrap_uri", "bootstrap_secure_uri"})
"""Those of which the rest may hold a secret: a user's password, or a token in path or query."""


class ListAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`audit.list`: without a product, of all, and of what no product is known for."""

    product_id: str | None = None
    before: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}$")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=ENTRIES_MAX)] = ENTRIES_DEFAULT


def entry_to_json(stored: StoredAuditEntry) -> dict[str, object]:
    """Give an entry as JSON."""
    entry = stored.entry
    return {
        "number": str(stored.number),
        "at": format_instant(entry.at),
        "product_id": None if entry.product_id is None else str(entry.product_id),
        "actor": entry.actor.value,
        "key_title": entry.key_title,
        "action": entry.action,
        "target": entry.target,
        "remote": entry.remote,
        "result": entry.result,
        "times": entry.times,
    }


def operators_entry(
    name: str, parameters: Mapping[str, object], result: str, at: Instant, product_id: ProductId | None = None
) -> AuditEntry:
    """Give what is kept of a call through the data directory's own door.

    Args:
        product_id: the product it is about, as far as the call does not name it itself.
    """
    product = parameters.get("product_id")
    is_number = isinstance(product, str) and len(product) <= 18 and product.isascii() and product.isdigit()
    named = ", ".join(f"{each} {_shown(each, parameters[each])}" for each in _TOLD if parameters.get(each) is not None)
    return AuditEntry(
        at=at,
        product_id=ProductId(int(str(product))) if is_number else product_id,
        actor=Actor.OPERATOR,
        action=cut(name, ACTION_CHARACTERS_MAX),
        target=cut(named, TARGET_CHARACTERS_MAX),
        remote="",
        result=cut(result, RESULT_CHARACTERS_MAX),
    )


def _shown(name: str, value: object) -> object:
    """Give a value as it is told; of a url, where it leads."""
    if name not in _URLS:
        return value
    try:
        parts = urlsplit(str(value))
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "(no url)"
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}" if host else "(no url)"
