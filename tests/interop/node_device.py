"""The device of `node/device.js`: lwm2m-node-lib, installed once into the cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.line_device import LineDevice
from tests.interop.programs import install_once, require_program

FOLDER = Path(__file__).parent / "node"
PACKAGE = "nodejs (20 or newer, which brings npm)"


@contextmanager
def node_device(log_path: Path) -> Iterator[LineDevice]:
    """Start a device that has no objects yet."""
    node = require_program(["node"], PACKAGE)
    install = [require_program(["npm"], PACKAGE), "install", "--ignore-scripts", "--no-package-lock", "--silent"]
    modules = install_once("node", FOLDER / "package.json", [*install, "--no-audit", "--no-fund"], "node_modules")
    environment = {"NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"}
    with LineDevice([node, str(FOLDER / "device.js")], log_path, environment) as device:
        yield device
