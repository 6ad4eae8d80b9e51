"""Named SQL: blocks, fragments, and what is wrong with a file."""

import pytest

from commandpost.stores.sqlite.queries import parse_queries


def test_fragments_stand_where_they_are_named() -> None:
    text = """-- A file.

-- fragment: columns
-- What a thing has.
id, name

-- name: find_thing
-- One thing.
SELECT {columns} FROM thing
WHERE id = ?;

-- name: count_things
-- All of them.
SELECT count(*) FROM thing;
"""

    assert parse_queries(text) == {
        "find_thing": "SELECT id, name FROM thing\nWHERE id = ?",
        "count_things": "SELECT count(*) FROM thing",
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- name: a\nSELECT 1;", "purpose"),
        ("-- name: a\n-- Nothing follows.\n", "statement"),
        ("-- name: a\n-- One.\nSELECT 1;\n-- name: a\n-- Two.\nSELECT 2;", "twice"),
        ("-- name: a\n-- One.\nSELECT {b};\n-- fragment: b\n-- Late.\n1", "above"),
    ],
)
def test_a_faulty_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_queries(text)
