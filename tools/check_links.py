"""Check that every relative link in the Markdown files leads to a file, and every anchor to a heading.

Links to other sites are not followed: a check that needs the network fails for reasons that are not ours. Headings
become anchors the way GitHub makes them: lower case, punctuation dropped, spaces to hyphens, repeats numbered.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^ {0,3}(```|~~~)")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
CODE_SPAN = re.compile(r"`[^`]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)")
HTML_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
HTML_LINK = re.compile(r"<(?:a|img)\s[^>]*?(?:href|src)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:|^//", re.IGNORECASE)


def main() -> int:
    """Print one line per broken link; return 1 if there is any."""
    documents = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    broken = 0
    for document in documents:
        for line_number, target in _links(document):
            if (complaint := _complaint(document, target)) is not None:
                print(f"{document.relative_to(ROOT)}:{line_number}: {target}: {complaint}")
                broken += 1
    print(f"{len(documents)} documents, {broken} broken links")
    return 1 if broken else 0


def _complaint(document: Path, target: str) -> str | None:
    path_text, _, anchor = unquote(target).partition("#")
    path = (document.parent / path_text).resolve() if path_text else document
    if not path.is_relative_to(ROOT):
        return "leads out of the repository"
    if not path.exists():
        return "no such file"
    if anchor and path.suffix == ".md" and anchor not in _anchors(path):
        return "no such heading"
    return None


def _links(document: Path) -> Iterator[tuple[int, str]]:
    for line_number, line in _prose(document):
        text = CODE_SPAN.sub("", line)
        targets = [*LINK.findall(text), *REFERENCE.findall(text), *HTML_LINK.findall(text)]
        for target in targets:
            if not ELSEWHERE.match(target):
                yield line_number, target


def _anchors(document: Path) -> set[str]:
    anchors: set[str] = set()
    seen: dict[str, int] = {}
    for _, line in _prose(document):
        anchors.update(HTML_ANCHOR.findall(line))
        if (heading := HEADING.match(line)) is None:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        repeats = seen.get(slug, 0)
        seen[slug] = repeats + 1
        anchors.add(f"{slug}-{repeats}" if repeats else slug)
    return anchors


def _prose(document: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines outside fenced code."""
    fence: str | None = None
    for line_number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        marker = FENCE.match(line)
        if marker is not None and fence in (None, marker[1]):
            fence = marker[1] if fence is None else None
        elif fence is None:
            yield line_number, line


if __name__ == "__main__":
    sys.exit(main())
