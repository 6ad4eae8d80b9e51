"""A data directory and what lies in it: the lock, the sealing key, the object definitions, the database."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commandpost.app.key_change import find_key_file, finish_key_change, require_key
from commandpost.config import CommitDriver, Settings, Synchronous
from commandpost.domain.object_model import ObjectModel
from commandpost.domain.ports import Clock
from commandpost.stores.commit_drivers import BatchDriver, DriverKind, InlineDriver, ThreadDriver, choose_driver
from commandpost.stores.data_directory import DataDirectory, measure_fsync
from commandpost.stores.model_files import load_models
from commandpost.stores.sealing import AesSecretBox, load_or_create_key
from commandpost.stores.sqlite.connection import Durability
from commandpost.stores.sqlite.store import SqliteStore

SWITCH_INTERVAL_S: Final = 0.000_5  # design 4: a commit in a thread waits for the interpreter's lock; 17 ms, not 1 s


class CannotStart(Exception):
    """The server cannot start as it is configured; the text names what, where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A data directory that is ours, with what is opened in it."""

    directory: DataDirectory
    store: SqliteStore
    secrets: AesSecretBox
    object_model: ObjectModel
    fsync_s: float


@contextmanager
def open_disk(settings: Settings, clock: Clock) -> Iterator[Disk]:
    """Take the data directory and open what lies in it.

    Raises:
        DataDirectoryLocked, DatabaseRefused, KeyFileRefused, ModelFileError: as their makers say.
        CannotStart: the directory or a file in it cannot be used.
    """
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(DataDirectory(settings.data_dir))
            key_file = find_key_file(settings)
            if settings.secret_key is None:
                # One that was broken off, or that began beside a running server, comes to its end before anything else.
                finish_key_change(key_file, directory.database)
            require_key(settings, directory, key_file)
            secrets = AesSecretBox(_sealing_key(settings, key_file), random_bytes=os.urandom)
            object_model = load_models(settings.lwm2m.models_dir)
            durability = Durability.OFF if settings.store.synchronous is Synchronous.OFF else Durability.FULL
            store = SqliteStore(directory.database, durability=durability)
            stack.callback(store.close)
            fsync_s = measure_fsync(directory.path, monotonic=clock.monotonic)
        except OSError as error:
            raise CannotStart(f"data directory {settings.data_dir}: {error.strerror or error}") from error
        yield Disk(directory=directory, store=store, secrets=secrets, object_model=object_model, fsync_s=fsync_s)


def _sealing_key(settings: Settings, key_file: Path) -> bytes:
    if settings.secret_key is not None:
        return settings.secret_key
    return load_or_create_key(key_file, lambda: os.urandom(32))


def commit_driver(settings: Settings, disk: Disk, clock: Clock) -> BatchDriver:
    """Give the driver that the settings ask for, or the one the disk's fsync favours."""
    if settings.store.commit is CommitDriver.AUTO:
        kind = choose_driver(disk.fsync_s)
    else:
        kind = DriverKind(settings.store.commit.value)
    if kind is DriverKind.INLINE:
        return InlineDriver(disk.store, monotonic=clock.monotonic)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return ThreadDriver(disk.store, monotonic=clock.monotonic, loop=asyncio.get_running_loop())
