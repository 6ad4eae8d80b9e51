"""Secrets at rest: what is sealed opens with its key alone, and the key file is safe."""

from pathlib import Path
from random import Random

import pytest

from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.ports import SecretBox
from commandpost.stores.errors import KeyFileRefused
from commandpost.stores.sealing import AesSecretBox, load_or_create_key

KEY = bytes(range(32))


def box(key: bytes = KEY, *, seed: int = 1) -> AesSecretBox:
    return AesSecretBox(key, random_bytes=Random(seed).randbytes)


@pytest.mark.parametrize("secret", [b"", b"a", b"master key", bytes(1_000)])
def test_what_is_sealed_opens_again(secret: bytes) -> None:
    port: SecretBox = box()

    assert port.unseal(box(seed=2).seal(secret)) == secret


def test_the_same_secret_is_never_sealed_alike_and_never_shows() -> None:
    sealer = box()
    sealed = [sealer.seal(b"master key") for _ in range(50)]

    assert len(set(sealed)) == 50
    assert not any(b"master" in each for each in sealed)


def test_every_changed_bit_is_noticed() -> None:
    sealed = box().seal(b"secret")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(StoreUnavailable):
            box().unseal(bytes(changed))


@pytest.mark.parametrize("length", range(0, 30, 5))
def test_what_is_too_short_is_refused(length: int) -> None:
    with pytest.raises(StoreUnavailable):
        box().unseal(box().seal(b"secret")[:length])


def test_another_key_opens_nothing_and_finds_nothing() -> None:
    other = box(bytes(32))

    with pytest.raises(StoreUnavailable, match="another key"):
        other.unseal(box().seal(b"secret"))
    assert other.index(b"secret") != box().index(b"secret")


def test_an_index_finds_its_secret_and_no_other() -> None:
    assert box().index(b"secret") == box(seed=9).index(b"secret")
    assert box().index(b"secret") != box().index(b"Secret")
    assert len(box().index(b"secret")) == 32


def test_indexes_stay_what_they_are_across_versions() -> None:
    """A changed derivation would lose every key in every database; `openssl kdf` and `openssl mac` gave this value."""
    index = AesSecretBox(KEY, random_bytes=Random(1).randbytes).index(b"secret")

    assert index.hex() == "3ec48f88bddcd2c42bc2ce0e5ec25e962ba58f6033e0765a207b3b220f68f8e7"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 are needed"):
        AesSecretBox(bytes(length), random_bytes=Random(1).randbytes)


class TestKeyFile:
    def test_a_new_key_is_kept_for_its_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "sealing.key"

        first = load_or_create_key(path, lambda: KEY)
        second = load_or_create_key(path, lambda: bytes(32))

        assert first == second == KEY
        assert path.stat().st_mode & 0o777 == 0o600
        assert [each.name for each in tmp_path.iterdir()] == ["sealing.key"]

    def test_an_interrupted_first_start_is_begun_anew(self, tmp_path: Path) -> None:
        (tmp_path / "sealing.key.new").write_text("ha")

        assert load_or_create_key(tmp_path / "sealing.key", lambda: KEY) == KEY

    @pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "00" * 33, "schlüssel"])
    def test_a_file_without_a_key_is_refused(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "sealing.key"
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)

        with pytest.raises(KeyFileRefused, match=r"sealing\.key does not hold a key"):
            load_or_create_key(path, lambda: KEY)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_a_file_that_others_can_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "sealing.key"
        load_or_create_key(path, lambda: KEY)
        path.chmod(mode)

        with pytest.raises(KeyFileRefused, match="0600"):
            load_or_create_key(path, lambda: KEY)
