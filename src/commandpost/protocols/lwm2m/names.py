"""The textual paths inside payloads: SenML names, LwM2M JSON names and link targets.

Source: OMA LwM2M 1.1 core sections 7.4.4 and 7.4.5.
"""

from typing import Final

from commandpost.domain.resource import ID_MAX, ResourcePath
from commandpost.protocols.errors import DecodeError

PARTS_MAX: Final = 4
_DIGITS_MAX: Final = 5


def parse_path(text: str) -> tuple[int, ...] | None:
    """Read the ids of a path such as `/3303/0/5700`; None if it is none. Slashes at both ends may lack."""
    stripped = text.strip("/")
    if not stripped:
        return ()
    parts = tuple(parse_id(part) for part in stripped.split("/", PARTS_MAX))
    if len(parts) > PARTS_MAX:
        return None
    known = tuple(part for part in parts if part is not None)
    return known if len(known) == len(parts) else None


def parse_id(text: str) -> int | None:
    """Read one id: decimal digits, 0 to 65535; None if it is none."""
    if not text or len(text) > _DIGITS_MAX or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= ID_MAX else None


def resolve_name(name: str, *, path: ResourcePath | None, offset: int = 0) -> tuple[int, ...]:
    """Give the ids a record's full name stands for; without a slash in front it counts from the path that was asked.

    Without a path (nothing was asked) it counts from the root.

    Raises:
        DecodeError: the name is no path.
    """
    parts = parse_path(name)
    if parts is None:
        raise DecodeError(f"{name!r:.80} names no resource", offset=offset)
    return parts if path is None or name.startswith("/") else path.parts + parts
