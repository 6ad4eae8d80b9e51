"""How the demo speaks: numbered steps, requests and answers as they went over the wire, and checks.

Nothing printed here is made up: a step's text says what is about to be asked, everything else is an answer.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.text import Text

SHOWN_CHARACTERS_MAX: Final = 400  # an answer of the demo is shorter; a longer one is cut, and says so


class DemoFailed(Exception):
    """An answer was not what the story says."""


class Narrator:
    """Writes the story to stdout."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._steps = 0

    def step(self, text: str) -> None:
        """Say what comes next."""
        self._steps += 1
        self._console.print(Text(f"\n{self._steps:>2}. {text}", style="bold"))

    def request(self, method: str, target: str, body: object | None) -> None:
        """Show a request."""
        line = Text("    > ", style="cyan").append(f"{method} {target}", style="default")
        if body is not None:
            line.append(f"  {_compact(body)}", style="dim")
        self._console.print(line)

    def answer(self, answer: object) -> None:
        """Show an answer."""
        self._console.print(Text("    < ", style="green").append(_compact(answer), style="default"))

    def told(self, who: str, what: str) -> None:
        """Show what the server process or a device said."""
        self._console.print(Text(f"    {who}: ", style="magenta").append(what, style="default"))

    def end(self, rows: list[tuple[str, str]]) -> None:
        """Show the summary."""
        self._console.print()
        width = max(len(name) for name, _ in rows)
        for name, what in rows:
            self._console.print(Text(f"    {name:<{width}}  {what}"))
        self._console.print(Text("\nAll of it was checked: done.", style="bold green"))


def check_errno(answer: Mapping[str, Any], wanted: int, asked: str) -> None:  # Any: JSON
    """Refuse an answer of another errno.

    Raises:
        DemoFailed: it is another.
    """
    if answer.get("errno") != wanted:
        raise DemoFailed(f"{asked} answered {_compact(answer)}: errno {wanted} was expected")


def check_equal(found: object, wanted: object, what: str) -> None:
    """Refuse what is not equal.

    Raises:
        DemoFailed: it is not.
    """
    if found != wanted:
        raise DemoFailed(f"{what} is {_compact(found)}: {_compact(wanted)} was expected")


def _compact(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}… ({len(text)} characters)"
