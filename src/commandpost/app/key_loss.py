"""Going on without a sealing key that is lost for good. What nobody can read any more goes, everything else stays.

1. A new key is made beside the place of the old file, as for a change of keys; a file that is there and opens nothing
   gets a second name.
2. Everything that no key opens is put away in one transaction, with what has to be made anew under the new key.
3. The new file takes the place of the old, as at the end of a change of keys.

Broken off after 1 nothing has changed: a server still refuses to start, and the same call goes on. After 2 the next
start finishes it, and so does the same call.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from commandpost.app.key_change import begin_key_change, find_box, find_key_file, finish_key_change
from commandpost.app.system import SystemClock, SystemIds
from commandpost.config import Settings
from commandpost.domain.audit import Actor, AppendAudit, AuditEntry
from commandpost.stores.data_directory import DataDirectory
from commandpost.stores.push_rows import subscription_from_row
from commandpost.stores.sealing import AesSecretBox, find_next_key, keep_aside
from commandpost.stores.sqlite.audit import AuditFacts
from commandpost.stores.sqlite.connection import Durability, open_writer
from commandpost.stores.sqlite.lost_secrets import PRODUCT_KEY, PUSH_AES_KEY, PUSH_TOKEN, Loss, LostSecrets, NewSecret
from commandpost.stores.sqlite.queries import load_queries

ACTION: Final = "secrets.abandon"  # what the audit calls it


class NothingToAbandon(Exception):
    """Everything that is sealed can be read; the text says with what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReceiverSecrets:
    """What a push receiver has to be given anew."""

    subscription_id: int
    product_id: int
    url: str
    token: str | None = field(default=None, repr=False)
    aes_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandonment:
    """What goes, or went, with a lost key."""

    is_done: bool
    key_file: Path | None
    """Where the key lies that holds from now on; None: it comes from the settings."""
    kept_aside: Path | None = None
    """The other name of a key file that opened nothing."""
    loss: Loss
    product_keys: Mapping[int, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """By product and kind, those that are new."""
    receivers: tuple[NewReceiverSecrets, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """The keys there are, from the settings or from files."""

    file: Path | None
    present: AesSecretBox | None
    coming: AesSecretBox | None

    @property
    def boxes(self) -> list[AesSecretBox]:
        return [box for box in (self.coming, self.present) if box is not None]

    def opens(self, box: AesSecretBox | None, loss: Loss) -> int:
        """How many values a key opens."""
        return 0 if box is None else loss.opened[self.boxes.index(box)]


def abandon_lost_secrets(settings: Settings, *, is_confirmed: bool) -> Abandonment:
    """Put away what no key opens, and make anew what nobody comes in without; unless confirmed, only say what that is.

    Raises:
        NothingToAbandon: nothing is lost.
        DataDirectoryLocked: a server has the data directory.
        KeyFileRefused: a key file can be read by others.
        OSError: a file cannot be written.
        And what opening the database raises.
    """
    with DataDirectory(settings.data_dir) as directory:
        database = directory.database
        if not database.exists():
            raise NothingToAbandon(f"{database} does not exist: nothing was sealed yet")
        keys = _find_keys(settings)
        connection = open_writer(database, durability=Durability.FULL)
        try:
            loss = LostSecrets(connection, boxes=keys.boxes).count()
            _require_loss(keys, loss, database)
            if not is_confirmed:
                return Abandonment(is_done=False, key_file=keys.file, loss=loss)
            aside = _prepare_file(keys, loss)
            told = _put_away(connection, settings, loss) if loss.is_any else []
            receivers = _receivers(connection, told)
        finally:
            connection.close()
        if keys.file is not None:
            finish_key_change(keys.file, database)
    return Abandonment(
        is_done=True,
        key_file=keys.file,
        kept_aside=aside,
        loss=loss,
        product_keys=_by_product(told),
        receivers=receivers,
    )


def _find_keys(settings: Settings) -> _Keys:
    if settings.secret_key is not None:
        return _Keys(file=None, present=_new_box(settings.secret_key), coming=None)
    file = find_key_file(settings)
    coming = find_next_key(file)
    return _Keys(file=file, present=find_box(file), coming=None if coming is None else _new_box(coming))


def _require_loss(keys: _Keys, loss: Loss, database: Path) -> None:
    if loss.is_any or keys.opens(keys.coming, loss):  # the latter: an abandonment, or a change, was broken off
        return
    if not loss.total:
        raise NothingToAbandon(f"nothing is sealed in {database}: there is nothing to abandon, any key will do")
    origin = keys.file or "secret_key (COMMANDPOST_SECRET_KEY)"
    raise NothingToAbandon(f"{origin} opens all {loss.total} sealed values of {database}: there is nothing to abandon")


def _prepare_file(keys: _Keys, loss: Loss) -> Path | None:
    """Make the key that is to hold, unless one that is there opens something; gives where the old file stays."""
    if keys.file is None or keys.opens(keys.present, loss):
        return None
    aside = keep_aside(keys.file) if keys.file.exists() else None
    begin_key_change(keys.file)
    return aside


def _put_away(connection: sqlite3.Connection, settings: Settings, loss: Loss) -> list[NewSecret]:
    keys = _find_keys(settings)
    box, *_ = keys.boxes  # the coming one, if there is one
    connection.execute("PRAGMA secure_delete = ON")  # whoever finds the key again is not to find what it opened
    connection.execute("BEGIN IMMEDIATE")
    told = LostSecrets(connection, boxes=keys.boxes).put_away(box, _text_maker())
    AuditFacts(connection).handlers()[AppendAudit](AppendAudit(entries=(_entry(loss),)))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return told


def _entry(loss: Loss) -> AuditEntry:
    return AuditEntry(
        at=SystemClock().wall_ms(),
        product_id=None,
        actor=Actor.OPERATOR,
        action=ACTION,
        target=f"{sum(loss.lost.values())} of {loss.total} sealed values",
        remote="",
        result="ok",
    )


def _receivers(connection: sqlite3.Connection, told: list[NewSecret]) -> tuple[NewReceiverSecrets, ...]:
    tokens = {secret.row[0]: secret.text for secret in told if secret.place == PUSH_TOKEN}
    aes_keys = {secret.row[0]: secret.text for secret in told if secret.place == PUSH_AES_KEY}
    subscriptions = map(subscription_from_row, connection.execute(load_queries("push.sql")["list_all_subscriptions"]))
    return tuple(
        NewReceiverSecrets(
            subscription_id=each.id,
            product_id=each.product_id,
            url=each.url,
            token=tokens.get(each.id),
            aes_key=aes_keys.get(each.id),
        )
        for each in subscriptions
        if each.id in tokens or each.id in aes_keys
    )


def _by_product(told: list[NewSecret]) -> dict[int, dict[str, str]]:
    keys: dict[int, dict[str, str]] = {}
    for secret in told:
        if secret.place == PRODUCT_KEY:
            product_id, kind = secret.row
            keys.setdefault(int(product_id), {})[str(kind)] = secret.text
    return keys


def _text_maker() -> Callable[[int], str]:
    """Letters and digits alone: that is base64 as an access key has to be, and stays what it is in a URL."""
    ids = SystemIds()

    def make(characters: int) -> str:
        made = ""
        while len(made) < characters:
            made += "".join(sign for sign in ids.new_secret() if sign.isalnum())
        return made[:characters]

    return make


def _new_box(key: bytes) -> AesSecretBox:
    return AesSecretBox(key, random_bytes=os.urandom)
