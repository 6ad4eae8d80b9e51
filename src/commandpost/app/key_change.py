"""Changing the key that seals secrets at rest, so that a crash at any point loses nothing.

1. The new key goes into a file of its own beside the old one, and is fsynced.
2. Every value is taken from the old key to the new one, in slices. Until the end both files are there.
3. The new file takes the place of the old.

Whoever opens the data directory and finds a new key goes on at 2. Nobody serves meanwhile, so nothing is looked up
while some of it is under the one key and some under the other. What neither key opens holds the change up before its
first value is taken over: with the new file in the place of the old one nobody would know what is missing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commandpost.config import Settings
from commandpost.domain.errors import StoreUnavailable
from commandpost.stores.data_directory import DATABASE_NAME, KEY_NAME, DataDirectory
from commandpost.stores.errors import DataDirectoryLocked, KeyFileGarbled, KeyFileRefused
from commandpost.stores.sealing import (
    AesSecretBox,
    find_next_key,
    load_key,
    load_or_create_key,
    next_key_file,
    replace_key,
)
from commandpost.stores.sqlite.connection import Durability, open_writer
from commandpost.stores.sqlite.resealing import Resealer, ResealingCount, find_sealed_value

WAY_OUT: Final = "if it is lost for good, `commandpost secrets abandon` says what goes with it"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What became of a change of keys that was asked for."""

    key_file: Path
    is_done: bool
    """False: a server has the data directory; it finishes the change at its next start."""
    count: ResealingCount


def change_key(settings: Settings) -> KeyChange:
    """Make a new sealing key and take everything to it.

    Raises:
        KeyFileRefused: the key is not in a file of ours to replace, or cannot be used; or a change that has begun
            cannot be finished with the keys that are there.
        StoreUnavailable: the key that holds does not open what is there: another is needed first.
        OSError: a file cannot be written.
        And what opening the database raises.
    """
    if settings.secret_key is not None:
        raise KeyFileRefused(
            "the key comes from secret_key (COMMANDPOST_SECRET_KEY), where no command can put another: write it into "
            "a file of mode 0600 and name that with secret_key_file instead"
        )
    key_file = find_key_file(settings)
    if not key_file.exists() and find_next_key(key_file) is None:
        raise KeyFileRefused(f"{key_file} does not exist: there is no key to change")
    try:
        with DataDirectory(settings.data_dir) as directory:
            if find_next_key(key_file) is None:
                _check(key_file, directory.database)
                begin_key_change(key_file)
            count = finish_key_change(key_file, directory.database)
    except DataDirectoryLocked:
        begin_key_change(key_file)
        return KeyChange(key_file=key_file, is_done=False, count=ResealingCount())
    return KeyChange(key_file=key_file, is_done=True, count=count)


def finish_key_change(key_file: Path, database: Path) -> ResealingCount:
    """Finish a change that has begun; without one nothing happens. The caller has the data directory.

    Raises:
        KeyFileRefused: a value opens with neither key, or a key cannot be used; nothing was changed.
    """
    coming = find_next_key(key_file)
    if coming is None:
        return ResealingCount()
    count = ResealingCount()
    if database.exists():
        new = _new_box(coming)
        old = find_box(key_file) or new  # all that is there may be under the new one already
        connection = open_writer(database, durability=Durability.FULL)
        try:
            _require_no_unreadable(Resealer(connection, old=old, new=new).check(), key_file, database)
            connection.execute("PRAGMA secure_delete = ON")  # what was under the old key is to be gone from the pages
            for count in Resealer(connection, old=old, new=new).run():  # noqa: B007 - the last
                pass
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    replace_key(key_file)
    return count


def require_key(settings: Settings, directory: DataDirectory, key_file: Path) -> None:
    """Refuse a key that does not open what is there: no application could come in, and no device.

    Made before a key file is, for a new one in the place of a lost one would seal what comes under another key.

    Raises:
        KeyFileRefused: the key file is gone, or holds another key, or so do the settings.
    """
    if not directory.database.exists():
        return
    connection = open_writer(directory.database, durability=Durability.FULL)
    try:
        sealed = find_sealed_value(connection)
    finally:
        connection.close()
    if sealed is None:
        return
    if settings.secret_key is None and not key_file.exists():
        raise KeyFileRefused(
            f"{key_file} does not exist, and nothing else opens {directory.database}: put it back; {WAY_OUT}"
        )
    box = _new_box(load_key(key_file) if settings.secret_key is None else settings.secret_key)
    try:
        box.unseal(sealed)
    except StoreUnavailable:
        origin = str(key_file) if settings.secret_key is None else "secret_key (COMMANDPOST_SECRET_KEY)"
        raise KeyFileRefused(
            f"{origin} is not the key that {directory.database} was sealed with: put that in its place; {WAY_OUT}"
        ) from None


def find_key_file(settings: Settings) -> Path:
    """Give the file itself, not a link to it: what takes its place has to lie where it lies."""
    return (settings.secret_key_file or settings.data_dir / KEY_NAME).resolve()


def begin_key_change(key_file: Path) -> None:
    """Make the key that is to come, unless it is there."""
    load_or_create_key(next_key_file(key_file), lambda: os.urandom(32))


def find_box(key_file: Path) -> AesSecretBox | None:
    """Give what opens with the key of a file; None: the file is not there, or holds no key.

    Raises:
        KeyFileRefused: others may read it.
    """
    try:
        return _new_box(load_key(key_file)) if key_file.exists() else None
    except KeyFileGarbled:
        return None


def _check(key_file: Path, database: Path) -> None:
    """Refuse to begin when the key that holds is not the right one."""
    if not database.exists():
        return
    connection = open_writer(database, durability=Durability.FULL)
    try:
        box = _new_box(load_key(key_file))
        count = Resealer(connection, old=box, new=box).check()
    finally:
        connection.close()
    if count.unreadable:
        raise StoreUnavailable(
            f"{key_file} does not open {count.unreadable} of {count.unreadable + count.already_new} sealed values of "
            f"{database.parent / DATABASE_NAME}: nothing was changed; name the key they were sealed with; {WAY_OUT}"
        )


def _require_no_unreadable(count: ResealingCount, key_file: Path, database: Path) -> None:
    if not count.unreadable:
        return
    total = count.resealed + count.already_new + count.unreadable
    following = next_key_file(key_file)
    is_there = "" if key_file.exists() else ", which does not exist"
    unused = "" if count.already_new else f"; nothing is under {following.name} yet: without it all is as before"
    raise KeyFileRefused(
        f"the change of keys to {following} cannot be finished: {count.unreadable} of {total} sealed values of "
        f"{database} open neither with it nor with {key_file}{is_there}. Nothing was changed: put the key they were "
        f"sealed with in the place of {key_file}; {WAY_OUT}{unused}"
    )


def _new_box(key: bytes) -> AesSecretBox:
    return AesSecretBox(key, random_bytes=os.urandom)
