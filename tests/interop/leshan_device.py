"""The device of `leshan/LeshanDevice.java`: Eclipse Leshan's client library, installed once into the cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.line_device import LineDevice
from tests.interop.programs import install_once, require_program

FOLDER = Path(__file__).parent / "leshan"
JAVA_PACKAGE = "openjdk-17-jdk-headless (or newer)"


@contextmanager
def leshan_device(
    server: tuple[str, int], endpoint: str, content_formats: tuple[int, ...], log_path: Path
) -> Iterator[LineDevice]:
    """Start a device that registers at once, and knows these content formats beside text and opaque."""
    java = require_program(["java"], JAVA_PACKAGE)
    maven = require_program(["mvn"], "maven")
    install = [maven, "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    libraries = install_once("leshan", FOLDER / "pom.xml", install, "lib")
    program = [java, "-cp", f"{libraries}/*", str(FOLDER / "LeshanDevice.java")]
    arguments = [f"coap://{server[0]}:{server[1]}", endpoint, *(str(number) for number in content_formats)]
    with LineDevice([*program, *arguments], log_path) as device:
        yield device
