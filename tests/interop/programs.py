"""The programs of others that these tests run: finding them, and installing libraries for them once.

What is missing fails the test that needs it, by name; nothing is skipped. Libraries go to `.interop/` in the checkout
(or `COMMANDPOST_INTEROP_CACHE`), never into the repository.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

INSTALL_TIMEOUT_S = 300.0


def require_program(names: Sequence[str], package: str) -> str:
    """Give the path of the first of these programs that is there; fail naming them and what to install."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.fail(f"{' or '.join(names)} is not installed: install the package {package}", pytrace=False)


def require_library(name: str, package: str) -> ctypes.CDLL:
    """Load a shared library; fail naming it and what to install."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        pytest.fail(f"{name} is not installed: install the package {package}", pytrace=False)


def install_once(name: str, manifest: Path, command: Sequence[str], product: str) -> Path:
    """Run an installer in a folder of its own beside a copy of its manifest, unless it has run there before.

    Args:
        name: of the folder; a digest of the manifest is added, so that another version gets another folder.
        command: what to run in it, the program found already.
        product: what has to be there afterwards.
    Returns:
        The path of the product.
    """
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()[:12]
    folder = _cache() / f"{name}-{digest}"
    done = folder / ".done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(manifest, folder)
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
        if ended.returncode != 0:
            said = (ended.stderr or ended.stdout).strip()[-2000:]
            pytest.fail(f"{' '.join(command)} could not install what {manifest} names:\n{said}", pytrace=False)
        done.touch()
    return folder / product


def _cache() -> Path:
    given = os.environ.get("COMMANDPOST_INTEROP_CACHE")
    return Path(given) if given else Path(__file__).parents[2] / ".interop"
