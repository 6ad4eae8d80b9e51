"""The page for people: the same table as the OpenAPI document, readable without internet, scripts or fonts.

One HTML document with its style inside. Not here: what any call does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any, Final

import msgspec

from commandpost import __version__
from commandpost.northbound.openapi import ABOUT, JSON_TYPE, describe_path_value, path_names
from commandpost.northbound.parameter import Parameter
from commandpost.northbound.routing import Route

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#0a7d5a}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:2rem 1.25rem 6rem}
h1{margin:.2em 0}h2{margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line)}
nav a{display:inline-block;margin-right:1.2rem}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
details{border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;overflow:hidden}
summary{cursor:pointer;padding:.6rem .9rem;background:var(--soft)}
details>div{padding:.2rem .9rem .9rem}
code,pre{font:14px/1.5 ui-monospace,monospace}
pre{background:var(--soft);border-radius:.4rem;overflow:auto;padding:.7rem}
.method{display:inline-block;font-weight:700;min-width:4.2rem}
.about{color:#888;float:right}
table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.35rem .6rem .35rem 0;text-align:left;vertical-align:top}
"""

_CREDENTIALS: Final = (
    "Show your product's MasterKey in the header `api-key`, or a signed token in `Authorization`; a device-level key "
    "is enough for calls of the dialect about a device it opens."
)
_DOCUMENT_LINK: Final = '<p>The same as an OpenAPI document: <a href="openapi.json">openapi.json</a>.</p>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table to show below the routes."""

    title: str
    about: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def render_page(routes: Iterable[Route], table: Table) -> str:
    """Give the whole page."""
    groups = [(tag, list(members)) for tag, members in groupby(routes, key=lambda route: route.documentation.tag)]
    titles = [*(tag for tag, _ in groups), table.title]
    links = "".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title in titles)
    sections = "".join(_section(tag, members) for tag, members in groups)
    introduction = "".join(f"<p>{_prose(paragraph)}</p>" for paragraph in (*ABOUT, _CREDENTIALS)) + _DOCUMENT_LINK
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Commandpost {__version__}: HTTP interface</title><style>{_STYLE}</style></head><body>"
        f"<h1>Commandpost {__version__}</h1>{introduction}<nav>{links}</nav>{sections}"
        f"{_table(table)}</body></html>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<h2 id="{_anchor(table.title)}">{escape(table.title)}</h2><p>{_prose(table.about)}</p>'
        f"<table><tr>{head}</tr>{rows}</table>"
    )


def _section(tag: str, routes: Sequence[Route]) -> str:
    return f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>' + "".join(_route(route) for route in routes)


def _anchor(tag: str) -> str:
    return tag.lower().replace(" ", "-")


def _route(route: Route) -> str:
    documentation = route.documentation
    parts = [
        f'<details id="{documentation.name}"><summary><code><span class="method">{route.method}</span>'
        f'{escape(route.template)}</code> <span class="about">{escape(documentation.summary)}</span></summary><div>'
    ]
    if documentation.description:
        parts.append(f"<p>{_prose(documentation.description)}</p>")
    rows = "".join(_rows(route))
    if rows:
        parts.append(f"<table><tr><th>name</th><th>kind</th><th>meaning</th></tr>{rows}</table>")
    if documentation.body is not None:
        need = "required" if documentation.body.is_required else "optional"
        kind = "" if documentation.body.content_type == JSON_TYPE else " of any kind"
        parts.append(f"<p>Body, {need}, at most {documentation.body.bytes_max} bytes{kind}:</p>")
        parts.append(_sample(documentation.body.example))
    if documentation.problems is not None:
        statuses = ", ".join(str(status) for status in documentation.problems)
        parts.append(f"<p>Answer, with status {documentation.status}; else {statuses} and a problem document:</p>")
        if documentation.example is not None:
            parts.append(_sample(documentation.example))
    elif documentation.has_envelope:
        parts.append("<p>Answer:</p>")
        parts.append(_sample(documentation.example))
    elif not documentation.is_open:
        parts.append("<p>Answer: the bytes as they are, without an envelope; a failure comes in one.</p>")
    parts.append("</div></details>")
    return "".join(parts)


def _rows(route: Route) -> Iterator[str]:
    for name in path_names(route.template):
        yield _row(name, "in the path", describe_path_value(name))
    for parameter in route.documentation.parameters:
        yield _row(parameter.name, _kind(parameter), parameter.description)


def _row(name: str, kind: str, meaning: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{_prose(meaning)}</td></tr>"


def _kind(parameter: Parameter[Any]) -> str:  # Any: each parameter has a type of its own
    schema = parameter.schema
    parts = [str(schema.get("type", "string"))]
    if "minimum" in schema and "maximum" in schema:
        parts.append(f"{schema['minimum']} to {schema['maximum']}")
    elif isinstance(choices := schema.get("enum"), list):
        parts.append(" or ".join(str(choice) for choice in choices))
    if "default" in schema:
        parts.append(f"default {schema['default']}")
    parts.append("required" if parameter.is_required else "optional")
    return ", ".join(parts)


def _sample(value: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<pre>{escape(text)}</pre>"


def _prose(text: str) -> str:
    """Escape a text; what stands between backticks becomes code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
