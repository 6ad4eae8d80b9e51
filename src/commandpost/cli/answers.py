"""Answers on stdout: JSON for scripts, a table or one line for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

PIPE_WIDTH: Final = 10_000  # columns; the longest row of a hundred tags is shorter

Row = Mapping[str, object]


def print_json(answer: object) -> None:
    """Write one JSON document."""
    json.dump(answer, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_table(rows: Sequence[Row], columns: Sequence[str], *, empty: str) -> None:
    """Write rows as a table, or say in one line that there are none."""
    if not rows:
        print(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        # Text, because in plain strings brackets are marks of the library's own.
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    # A pipe has no width: folding ids there would spoil the answer.
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, width=width).print(table)


def print_fields(row: Row) -> None:
    """Write one thing, a field per line."""
    width = max(map(len, row), default=0)
    for name, value in row.items():
        print(f"{name.replace('_', ' '):<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    match value:
        case None | "" | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_cell(item) for item in value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
