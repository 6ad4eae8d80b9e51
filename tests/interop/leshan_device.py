"""The device of `leshan/LeshanDevice.java`: Eclipse Leshan's client library, installed once into the cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.line_device import LineDevice
from tests.interop.programs import install_once, require_program

FOLDER = Path(__file__).parent / "leshan"
JAVA_PACKAGE = "openjdk-17-jdk-headless (or newer)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeshanDtls:
    """How the device protects what it says: Californium's Scandium, with one suite by its full name."""

    identity: str
    key: str
    suite: str
    connection_id_bytes: int = 6

    def properties(self) -> list[str]:
        """Give it as the system properties that the program reads."""
        return [
            f"-Dpsk.identity={self.identity}",
            f"-Dpsk.key={self.key}",
            f"-Ddtls.suite={self.suite}",
            f"-Ddtls.cid.bytes={self.connection_id_bytes}",
        ]


@contextmanager
def leshan_device(
    server: tuple[str, int],
    endpoint: str,
    content_formats: tuple[int, ...],
    log_path: Path,
    *,
    dtls: LeshanDtls | None = None,
) -> Iterator[LineDevice]:
    """Start a device that registers at once, and knows these content formats beside text and opaque."""
    java = require_program(["java"], JAVA_PACKAGE)
    maven = require_program(["mvn"], "maven")
    install = [maven, "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    libraries = install_once("leshan", FOLDER / "pom.xml", install, "lib")
    program = [java, *(dtls.properties() if dtls else ()), "-cp", f"{libraries}/*", str(FOLDER / "LeshanDevice.java")]
    scheme = "coaps" if dtls else "coap"
    arguments = [f"{scheme}://{server[0]}:{server[1]}", endpoint, *(str(number) for number in content_formats)]
    with LineDevice([*program, *arguments], log_path) as device:
        yield device
