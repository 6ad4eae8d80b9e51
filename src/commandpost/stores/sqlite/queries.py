"""Named SQL out of .sql files.

A file is made of blocks: `-- name: claim_command`, a line `-- purpose`, then one statement. A block may also be
`-- fragment: command_columns`; its text stands in later blocks of the file where `{command_columns}` is written.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

_HEADER: Final = re.compile(r"^-- (name|fragment): ([a-z][a-z0-9_]*)$", re.MULTILINE)
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def load_queries(file_name: str) -> Mapping[str, str]:
    """Give the statements of a file of this package, by name."""
    return parse_queries(resources.files("commandpost.stores.sqlite").joinpath(file_name).read_text("utf-8"))


def parse_queries(text: str) -> Mapping[str, str]:
    """Give the statements of a text, by name.

    Raises:
        ValueError: a name stands twice, a block has no purpose, or a fragment is not known yet.
    """
    fragments: dict[str, str] = {}
    queries: dict[str, str] = {}
    headers = list(_HEADER.finditer(text))
    ends = [*(header.start() for header in headers[1:]), len(text)]
    for header, end in zip(headers, ends, strict=True):
        kind, name = header.groups()
        purpose, _, body = text[header.end() : end].strip().partition("\n")
        if not purpose.startswith("-- ") or not body.strip():
            raise ValueError(f"{name} needs a line of purpose and a statement")
        if name in queries or name in fragments:
            raise ValueError(f"{name} is there twice")
        blocks = queries if kind == "name" else fragments
        blocks[name] = _expand(name, body, fragments).strip().removesuffix(";")
    return queries


def _expand(name: str, body: str, fragments: Mapping[str, str]) -> str:
    unknown = [place for place in _PLACE.findall(body) if place not in fragments]
    if unknown:
        raise ValueError(f"{name} names a fragment that is not above it: {unknown[0]}")
    return _PLACE.sub(lambda place: fragments[place[1]], body)
