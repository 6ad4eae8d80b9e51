"""Changing the sealing key of a data directory: on disk, with crashes at every step."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commandpost.app import change_key, key_change, open_admin
from commandpost.cli import sealing
from commandpost.config import Settings
from commandpost.domain.errors import StoreUnavailable
from commandpost.stores.data_directory import DataDirectory
from commandpost.stores.errors import KeyFileRefused
from commandpost.stores.sqlite.connection import connect
from tests.acceptance.environments import clean_environment

KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from commandpost.app import change_key
from commandpost.config import Settings
from commandpost.stores.sqlite import resealing
resealing.SLICE_ROWS_MAX = 1
plain = resealing.Resealer.run
def run(self):
    for number, count in enumerate(plain(self), 1):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield count
resealing.Resealer.run = run
change_key(Settings(data_dir=Path(sys.argv[1])))
"""


def ask(settings: Settings, name: str, parameters: Mapping[str, object] | None = None) -> Any:  # Any: JSON
    async def call() -> object:
        async with open_admin(settings) as admin:
            return await admin.call(name, parameters or {})

    return asyncio.run(call())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory with two products."""
    found = Settings(data_dir=tmp_path / "data")
    for name in ("first", "second"):
        ask(found, "product.create", {"name": name})
    return found


def shown_keys(settings: Settings) -> list[object]:
    return [ask(settings, "key.show", {"product_id": product}) for product in ("1", "2")]


def test_a_change_of_keys_changes_the_file_and_nothing_that_is_shown(settings: Settings) -> None:
    """The new file is as private as the old one was."""
    key_file = settings.data_dir / "sealing.key"
    keys, before = shown_keys(settings), key_file.read_bytes()

    change = change_key(settings)

    assert (change.is_done, change.count.resealed) == (True, 6)
    assert key_file.read_bytes() != before
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert not key_file.with_name("sealing.key.next").exists()
    assert shown_keys(settings) == keys


def test_kill_9_in_the_middle_is_made_up_for_at_the_next_start(settings: Settings) -> None:
    """Whoever opens the data directory next finishes it first."""
    keys = shown_keys(settings)
    script = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(settings.data_dir)]
    killed = subprocess.run(script, env=clean_environment(), check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (settings.data_dir / "sealing.key.next").exists()

    assert shown_keys(settings) == keys
    assert not (settings.data_dir / "sealing.key.next").exists()


@pytest.mark.parametrize("step", ["finish_key_change", "open_writer", "replace_key"])
def test_a_crash_between_two_steps_is_made_up_for(
    settings: Settings, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first value, before the database is opened, and before the files change places."""
    keys = shown_keys(settings)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(key_change, "_check", lambda *_: None)
    monkeypatch.setattr(key_change, step, crash)
    with pytest.raises(KeyboardInterrupt):
        change_key(settings)
    monkeypatch.undo()

    assert shown_keys(settings) == keys
    assert not (settings.data_dir / "sealing.key.next").exists()


def test_beside_a_server_the_change_waits_for_its_next_start(settings: Settings) -> None:
    """Only the new key is made; asking twice makes no second one."""
    keys, before = shown_keys(settings), (settings.data_dir / "sealing.key").read_bytes()
    with DataDirectory(settings.data_dir):
        assert change_key(settings).is_done is False
        coming = (settings.data_dir / "sealing.key.next").read_bytes()
        assert change_key(settings).is_done is False
        assert (settings.data_dir / "sealing.key.next").read_bytes() == coming
        assert (settings.data_dir / "sealing.key").read_bytes() == before

    assert shown_keys(settings) == keys
    assert (settings.data_dir / "sealing.key").read_bytes() == coming


def test_a_key_that_is_not_the_right_one_changes_nothing(settings: Settings) -> None:
    """Else what only the right one opens would be left behind."""
    key_file = settings.data_dir / "sealing.key"
    right = key_file.read_bytes()
    key_file.write_bytes(b"00" * 32)

    with pytest.raises(StoreUnavailable, match="does not open 6 of 6 sealed values"):
        change_key(settings)
    assert not (settings.data_dir / "sealing.key.next").exists()
    key_file.write_bytes(right)
    assert len(shown_keys(settings)) == 2


def damage_one_value(settings: Settings) -> None:
    connection = connect(settings.data_dir / "commandpost.db")
    connection.execute("UPDATE product_key SET sealed = x'0102' WHERE product_id = 2 AND kind = 'register'")
    connection.close()


def contents(settings: Settings) -> dict[str, bytes]:
    """Everything that a change could change; the log of the database is empty when nobody has it open."""
    return {path.name: path.read_bytes() for path in settings.data_dir.iterdir() if path.name != "lock"}


def test_a_change_that_has_begun_is_not_finished_over_what_neither_key_opens(settings: Settings) -> None:
    """With the new key in its place nobody could tell any more what the old one was needed for."""
    with DataDirectory(settings.data_dir):
        change_key(settings)
    damage_one_value(settings)
    before = contents(settings)

    names = r"1 of 6 sealed values of .*commandpost\.db open neither .* nor with .*sealing\.key\."
    for attempt in (lambda: shown_keys(settings), lambda: change_key(settings)):
        with pytest.raises(KeyFileRefused, match=names):
            attempt()
        assert contents(settings) == before


def test_a_change_that_has_begun_is_not_finished_without_the_old_key(settings: Settings) -> None:
    """Nor is another made in its place; with it the change comes to its end."""
    key_file = settings.data_dir / "sealing.key"
    keys = shown_keys(settings)
    with DataDirectory(settings.data_dir):
        change_key(settings)
    right = key_file.read_bytes()

    for wrong in (None, b"00" * 32, b"garbled"):
        key_file.unlink(missing_ok=True)
        if wrong is not None:
            key_file.write_bytes(wrong)
            key_file.chmod(0o600)
        before = contents(settings)
        with pytest.raises(KeyFileRefused, match=r"6 of 6 sealed values .* sealing\.key\.next yet"):
            shown_keys(settings)
        assert contents(settings) == before

    key_file.write_bytes(right)
    key_file.chmod(0o600)
    assert shown_keys(settings) == keys
    assert not (settings.data_dir / "sealing.key.next").exists()


def test_the_old_key_is_not_needed_once_everything_is_under_the_new_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the files change places, and then the old file is lost."""
    keys = shown_keys(settings)

    def crash(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(key_change, "replace_key", crash)
    with pytest.raises(KeyboardInterrupt):
        change_key(settings)
    monkeypatch.undo()
    (settings.data_dir / "sealing.key").unlink()

    assert shown_keys(settings) == keys


def test_nothing_starts_without_the_key_of_what_is_there(settings: Settings) -> None:
    """A new key would refuse every application and device, and seal what comes under itself."""
    key_file = settings.data_dir / "sealing.key"
    keys, right = shown_keys(settings), key_file.read_bytes()

    key_file.unlink()
    with pytest.raises(KeyFileRefused, match="does not exist"):
        shown_keys(settings)
    assert not key_file.exists()
    with pytest.raises(KeyFileRefused, match="COMMANDPOST_SECRET_KEY"):
        shown_keys(replace(settings, secret_key=bytes(32)))
    key_file.write_bytes(b"00" * 32)
    key_file.chmod(0o600)
    with pytest.raises(KeyFileRefused, match="is not the key"):
        shown_keys(settings)

    key_file.write_bytes(right)
    assert shown_keys(settings) == keys


def test_a_link_to_the_key_file_stays_a_link(settings: Settings, tmp_path: Path) -> None:
    """The key is changed where it lies, on another disk perhaps."""
    keys = shown_keys(settings)
    link, vault = settings.data_dir / "sealing.key", tmp_path / "vault" / "key"
    vault.parent.mkdir()
    before = link.read_bytes()
    link.rename(vault)
    link.symlink_to(vault)

    change = change_key(settings)

    assert change.key_file == vault.resolve()
    assert link.is_symlink() and vault.read_bytes() != before
    assert shown_keys(settings) == keys


def test_a_change_is_finished_with_the_key_that_is_to_come_alone(settings: Settings) -> None:
    """Everything is under it already; only the last step is missing."""
    keys = shown_keys(settings)
    key_file = settings.data_dir / "sealing.key"
    key_file.rename(key_file.with_name("sealing.key.next"))

    assert change_key(settings).is_done
    assert key_file.exists()
    assert shown_keys(settings) == keys


def test_a_key_from_the_environment_is_not_ours_to_change(tmp_path: Path) -> None:
    """The refusal says what to do."""
    with pytest.raises(KeyFileRefused, match="secret_key_file"):
        change_key(Settings(data_dir=tmp_path, secret_key=bytes(32)))


def test_a_key_file_elsewhere_is_changed_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command line, too; the answer is JSON on request."""
    elsewhere = tmp_path / "keys" / "commandpost.key"
    elsewhere.parent.mkdir()
    settings = Settings(data_dir=tmp_path / "data", secret_key_file=elsewhere)
    ask(settings, "product.create", {"name": "first"})
    before = elsewhere.read_bytes()
    monkeypatch.setenv("COMMANDPOST_SECRET_KEY_FILE", str(elsewhere))

    sealing.rotate(data_dir=settings.data_dir, as_json=True)

    answer = json.loads(capsys.readouterr().out)
    assert answer == {"done": True, "key_file": str(elsewhere), "resealed": 3, "unreadable": 0}
    assert elsewhere.read_bytes() != before
    assert ask(settings, "key.show")["master_key"]
