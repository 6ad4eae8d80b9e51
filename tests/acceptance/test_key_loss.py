"""A sealing key that is lost for good: on disk, with crashes at every step."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commandpost.app import NothingToAbandon, abandon_lost_secrets, change_key, key_change, key_loss, open_admin
from commandpost.app.key_loss import Abandonment
from commandpost.cli import sealing
from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.config import Settings
from commandpost.stores.data_directory import DataDirectory
from commandpost.stores.errors import DataDirectoryLocked, KeyFileRefused
from commandpost.stores.sealing import AesSecretBox, load_or_create_key
from commandpost.stores.sqlite.connection import connect
from tests.acceptance.environments import clean_environment
from tests.unit.stores.sealed_database import DEVICES, VALUES, fill, secrets_under

KEY = b"the key that will be lost, 32 b."
KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from commandpost.app import abandon_lost_secrets
from commandpost.config import Settings
from commandpost.stores.sqlite.lost_secrets import LostSecrets
plain = LostSecrets._put_row_away
def put_row_away(self, table, *rest):
    if table.name == "subscription":
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, table, *rest)
LostSecrets._put_row_away = put_row_away
abandon_lost_secrets(Settings(data_dir=Path(sys.argv[1])), is_confirmed=True)
"""


def box_of(key: bytes) -> AesSecretBox:
    return AesSecretBox(key, random_bytes=lambda count: bytes(count))


def ask(settings: Settings, name: str, parameters: Mapping[str, object] | None = None) -> Any:  # Any: JSON
    async def call() -> object:
        async with open_admin(settings) as admin:
            return await admin.call(name, parameters or {})

    return asyncio.run(call())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory with every kind of secret, whose key is lost."""
    found = Settings(data_dir=tmp_path / "data")
    found.data_dir.mkdir()
    fill(found.data_dir / "commandpost.db", box_of(KEY))
    return found


def abandon(settings: Settings) -> Abandonment:
    return abandon_lost_secrets(settings, is_confirmed=True)


def key_file_of(settings: Settings) -> Path:
    return settings.secret_key_file or settings.data_dir / "sealing.key"


def put_key(settings: Settings, text: bytes) -> Path:
    key_file = key_file_of(settings)
    key_file.unlink(missing_ok=True)
    key_file.write_bytes(text)
    key_file.chmod(0o600)
    return key_file


def contents(settings: Settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in settings.data_dir.iterdir() if path.name != "lock"}


def check_works(settings: Settings) -> None:
    """Everything can be read, the keys that are shown open the product, and what was not sealed is there."""
    shown = ask(settings, "key.show")
    database = settings.data_dir / "commandpost.db"
    key = bytes.fromhex(key_file_of(settings).read_text())
    opened = secrets_under(database, [box_of(key)])
    assert {shown["master_key"].encode(), shown["access_key"].encode()} <= set(opened)
    assert len(opened) == VALUES - 1 - 1 - 2 * DEVICES
    assert ask(settings, "device.list")["total"] == DEVICES + 1
    (command,) = ask(settings, "command.list")
    assert command["state"] == "waiting"
    assert not key_file_of(settings).with_name("sealing.key.next").exists()
    assert key_file_of(settings).stat().st_mode & 0o777 == 0o600


# --- what it is for --------------------------------------------------------------------------------------------------


def test_a_data_directory_whose_key_is_gone_can_be_used_again(settings: Settings) -> None:
    """The new keys are given as they are shown from then on; the audit knows of it."""
    with pytest.raises(KeyFileRefused, match="secrets abandon"):
        ask(settings, "key.show")

    done = abandon(settings)

    assert (done.is_done, done.loss.total, sum(done.loss.lost.values())) == (True, VALUES, VALUES)
    shown = ask(settings, "key.show")
    assert done.product_keys == {1: {"master": shown["master_key"], "access": shown["access_key"]}}
    (receiver,) = done.receivers
    assert (receiver.subscription_id, len(receiver.token or ""), len(receiver.aes_key or "")) == (1, 32, 43)
    check_works(settings)
    (entry,) = [each for each in ask(settings, "audit.list")["entries"] if each["action"] == "secrets.abandon"]
    assert (entry["actor"], entry["target"]) == ("operator", f"{VALUES} of {VALUES} sealed values")


@pytest.mark.parametrize("text", [b"00" * 32, b"garbled"])
def test_a_file_that_opens_nothing_is_kept_under_another_name(settings: Settings, text: bytes) -> None:
    """It may be the key of something else."""
    put_key(settings, text)

    done = abandon(settings)

    assert done.kept_aside == settings.data_dir / "sealing.key.abandoned-1"
    assert done.kept_aside.read_bytes() == text
    check_works(settings)
    assert key_file_of(settings).read_bytes() != text


def test_a_key_from_the_settings_seals_what_is_made_anew(settings: Settings) -> None:
    """There is no file to write."""
    with_key = replace(settings, secret_key=b"the key that is from now on, 32b")

    done = abandon(with_key)

    assert (done.key_file, done.kept_aside) == (None, None)
    assert ask(with_key, "key.show")["master_key"] == done.product_keys[1]["master"]
    assert not key_file_of(settings).exists()


def test_a_key_file_elsewhere_is_made_where_it_is_named(settings: Settings, tmp_path: Path) -> None:
    """Not in the data directory."""
    elsewhere = replace(settings, secret_key_file=tmp_path / "keys" / "sealing.key")
    with pytest.raises(OSError, match="keys"):
        abandon(elsewhere)
    (tmp_path / "keys").mkdir()

    assert abandon(elsewhere).key_file == tmp_path / "keys" / "sealing.key"

    check_works(elsewhere)
    assert not key_file_of(settings).exists()


# --- what is not lost ------------------------------------------------------------------------------------------------


def test_a_damaged_value_goes_alone_and_the_key_stays(settings: Settings) -> None:
    """What the key opens is not for abandoning."""
    key_file = put_key(settings, KEY.hex().encode())
    keys = ask(settings, "key.show")
    connection = connect(settings.data_dir / "commandpost.db")
    connection.execute("UPDATE device SET sealed_psk = x'0102' WHERE imei = '860'")
    connection.close()

    done = abandon(settings)

    assert (done.loss.lost, done.product_keys, done.kept_aside) == ({("device", "sealed_psk"): 1}, {}, None)
    assert key_file.read_text() == KEY.hex()
    assert ask(settings, "key.show") == keys
    with pytest.raises(NothingToAbandon):
        abandon(settings)


def test_what_is_under_the_key_of_a_broken_off_change_is_kept(settings: Settings) -> None:
    """The old key was lost when half of everything was under the new one."""
    put_key(settings, KEY.hex().encode())
    new = load_or_create_key(settings.data_dir / "sealing.key.next", lambda: b"the key that was to come, 32 b.b")
    connection = connect(settings.data_dir / "commandpost.db")
    connection.execute("UPDATE device SET sealed_psk = ? WHERE imei = '860'", (box_of(new).seal(b"kept8888"),))
    connection.close()
    key_file_of(settings).unlink()

    done = abandon(settings)

    assert (done.loss.opened, key_file_of(settings).read_text().strip()) == ((1,), new.hex())
    assert b"kept8888" in secrets_under(settings.data_dir / "commandpost.db", [box_of(new)])


def test_the_key_of_the_data_has_nothing_to_abandon(settings: Settings) -> None:
    """Neither alone nor while a change has begun and taken nothing over."""
    put_key(settings, KEY.hex().encode())
    before = contents(settings)

    for _ in range(2):
        with pytest.raises(NothingToAbandon, match=rf"sealing\.key opens all {VALUES} sealed values"):
            abandon(settings)
        assert contents(settings) == before
        with DataDirectory(settings.data_dir):
            change_key(settings)
        before = contents(settings)


def test_where_nothing_was_sealed_nothing_is_lost(tmp_path: Path) -> None:
    """An empty directory, and a database without a product."""
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(NothingToAbandon, match="does not exist"):
        abandon(settings)
    ask(settings, "product.list")
    (tmp_path / "sealing.key").unlink()

    with pytest.raises(NothingToAbandon, match="nothing is sealed"):
        abandon(settings)


# --- what keeps it from being done -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_a_server_that_has_the_data_directory_keeps_it(settings: Settings, *, is_confirmed: bool) -> None:
    """Its memory holds what would go."""
    before = contents(settings)

    with DataDirectory(settings.data_dir), pytest.raises(DataDirectoryLocked):
        abandon_lost_secrets(settings, is_confirmed=is_confirmed)

    assert contents(settings) == before


def test_a_key_file_that_others_can_read_is_not_a_lost_key(settings: Settings) -> None:
    """Its mode is set right in a second."""
    put_key(settings, KEY.hex().encode()).chmod(0o644)

    with pytest.raises(KeyFileRefused, match="0600"):
        abandon(settings)


def test_looking_tells_what_would_go_and_changes_nothing(settings: Settings) -> None:
    """However often."""
    before = contents(settings)

    looks = [abandon_lost_secrets(settings, is_confirmed=False) for _ in range(2)]

    assert [(look.is_done, sum(look.loss.lost.values()), look.product_keys) for look in looks] == [
        (False, VALUES, {})
    ] * 2
    assert contents(settings) == before


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [None, b"00" * 32])
@pytest.mark.parametrize(
    ("where", "step", "is_committed"),
    [
        (key_loss, "begin_key_change", False),
        (key_loss, "_put_away", False),
        (key_loss, "_receivers", True),
        (key_loss, "finish_key_change", True),
        (key_change, "replace_key", True),
    ],
)
def test_a_crash_between_two_steps_is_made_up_for(
    settings: Settings, old: bytes | None, where: Any, step: str, is_committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until everything is put away nothing starts; from then on a start finishes it. The same call does either way."""
    if old is not None:
        put_key(settings, old)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, step, crash)
    with pytest.raises(KeyboardInterrupt):
        abandon(settings)
    monkeypatch.undo()
    if not is_committed:
        with pytest.raises(KeyFileRefused):
            ask(settings, "key.show")
        assert secrets_under(settings.data_dir / "commandpost.db", [box_of(KEY)])

    done = abandon(settings)

    assert done.loss.is_any is not is_committed
    check_works(settings)
    aside = sorted(path.name for path in settings.data_dir.glob("sealing.key.*"))
    assert aside == ([] if old is None else ["sealing.key.abandoned-1"])


def test_a_start_finishes_what_was_committed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it finishes a change of keys."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(key_loss, "finish_key_change", crash)
    with pytest.raises(KeyboardInterrupt):
        abandon(settings)
    monkeypatch.undo()

    check_works(settings)


def test_kill_9_in_the_middle_changes_nothing(settings: Settings) -> None:
    """Some tables are put away by then, but in a transaction that is gone with the process."""
    before = secrets_under(settings.data_dir / "commandpost.db", [box_of(KEY)])
    script = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(settings.data_dir)]
    killed = subprocess.run(script, env=clean_environment(), check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL

    assert secrets_under(settings.data_dir / "commandpost.db", [box_of(KEY)]) == before
    assert abandon(settings).loss.total == VALUES
    check_works(settings)


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line_asks_before_it_does_it(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """What would go, for people; what has gone with what is new, for scripts; and then there is nothing more to do."""
    sealing.abandon(data_dir=settings.data_dir)
    told = capsys.readouterr().out
    assert f"{VALUES} of {VALUES} sealed values" in told
    assert f"{DEVICES}  auth codes of devices" in told
    assert "Nothing was changed" in told
    sealing.abandon(data_dir=settings.data_dir, as_json=True)
    look = json.loads(capsys.readouterr().out)
    assert (look["done"], look["products"], look["lost"]["auth_codes"]) == (False, [], DEVICES)

    sealing.abandon(is_confirmed=True, data_dir=settings.data_dir, as_json=True)
    done = json.loads(capsys.readouterr().out)
    shown = ask(settings, "key.show")

    new = {"product_id": "1", "master_key": shown["master_key"], "access_key": shown["access_key"]}
    assert (done["done"], done["readable"], done["lost"], done["products"]) == (True, 0, look["lost"], [new])
    assert [each["id"] for each in done["subscriptions"]] == ["1"]
    with pytest.raises(CliFailure, match="nothing to abandon") as refused:
        sealing.abandon(is_confirmed=True, data_dir=settings.data_dir)
    assert refused.value.exit_code is ExitCode.REFUSED


def test_people_are_told_the_new_secrets(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Where they are needed, and where the old file is."""
    put_key(settings, b"garbled")

    sealing.abandon(is_confirmed=True, data_dir=settings.data_dir)

    told = capsys.readouterr().out
    assert ask(settings, "key.show")["master_key"] in told
    assert "sealing.key.abandoned-1" in told
    assert "AES key" in told


@pytest.mark.parametrize("hold", [True, False])
def test_the_command_line_says_why_it_is_not_tried(tmp_path: Path, *, hold: bool) -> None:
    """A directory in use, and none: exit code 2."""
    release: Callable[[], object] = DataDirectory(tmp_path / "data").close if hold else list

    with pytest.raises(CliFailure, match="in use" if hold else "does not exist") as refused:
        sealing.abandon(is_confirmed=True, data_dir=tmp_path / "data")
    release()

    assert refused.value.exit_code is ExitCode.USAGE
