"""The kept corpus: for each target a file of hexadecimal lines, one input in each, sorted."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parents[1] / "corpus"


def read_corpus(name: str, folder: Path = CORPUS) -> list[bytes]:
    """Give a target's entries; none when it has no file yet."""
    file = folder / f"{name}.hex"
    return [bytes.fromhex(line) for line in file.read_text().splitlines()] if file.exists() else []


def write_corpus(name: str, entries: Iterable[bytes], folder: Path = CORPUS) -> None:
    """Put a target's entries in place of those it had."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.hex").write_text("".join(f"{line}\n" for line in sorted({data.hex() for data in entries})))
