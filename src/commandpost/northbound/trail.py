"""What is noted of a call on its way, for the audit: who it was, and what it is about.

Here: the notes, and the entry they become. Not here: which calls are told (`api`), and where entries go
(`services.audit`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from commandpost.domain.audit import (
    ACTION_CHARACTERS_MAX,
    REMOTE_CHARACTERS_MAX,
    RESULT_CHARACTERS_MAX,
    TARGET_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
    Actor,
    AuditEntry,
    cut,
)
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.services.access import Access

SECRET_PATH_VALUES: Final = frozenset({"key"})  # `/keys/{key}` is named by the key itself


@dataclass(slots=True)
class CallTrail:
    """The notes of one call; whoever learns something writes it down."""

    remote: str = ""
    access: Access | None = None
    product_id: ProductId | None = None
    """Whose it is, where there is no access that says so."""
    target: str = ""
    is_credential_refused: bool = False
    """Whether there was no credential, or one that is not valid."""
    is_for_audit: bool = False
    """Whether the call is kept although it changes nothing: it shows keys, or lacked the right."""
    is_credential_wrong: bool = False
    """Whether one was shown, and is not valid."""

    def refuse_credential(self, *, is_missing: bool) -> None:
        """Note that nobody was recognised."""
        self.is_credential_refused = self.is_for_audit = True
        self.is_credential_wrong = not is_missing

    def entry(self, *, action: str, path_values: Mapping[str, str], result: str, at: Instant) -> AuditEntry:
        """Give what is kept of it."""
        access = self.access
        named = ", ".join([*_names(path_values), *([self.target] if self.target else [])])
        return AuditEntry(
            at=at,
            product_id=self.product_id if access is None else access.product.id,
            actor=Actor.NOBODY if access is None else access.actor,
            key_title="" if access is None or access.key is None else cut(access.key.title, TITLE_CHARACTERS_MAX),
            action=cut(action, ACTION_CHARACTERS_MAX),
            target=cut(named, TARGET_CHARACTERS_MAX),
            remote=cut(self.remote, REMOTE_CHARACTERS_MAX),
            result=cut(result, RESULT_CHARACTERS_MAX),
        )


def _names(path_values: Mapping[str, str]) -> Iterator[str]:
    for name, value in path_values.items():
        if name not in SECRET_PATH_VALUES:
            yield f"{name} {value}"
