"""The table of settings in the documentation says what the code does."""

from pathlib import Path

from commandpost.config import Settings, describe_settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "operating.md"


def test_every_setting_stands_in_the_documentation_with_its_default() -> None:
    """A row for each, in order, and no row for what there is not."""
    expected = [
        f"| `{each.key}` | {'–' if each.default is None else f'`{each.default}`'} | {each.allowed} | {each.what} |"
        for each in describe_settings(Settings())
    ]

    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("| key | default | allowed | what it is |\n")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == expected
