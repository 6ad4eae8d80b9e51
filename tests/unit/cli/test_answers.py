"""Answers: JSON for scripts, tables that keep every character for people."""

import json

import pytest

from commandpost.cli.answers import print_fields, print_json, print_table


def test_json_is_one_document_with_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([{"id": "1000001", "name": "水表"}])

    out = capsys.readouterr().out
    assert json.loads(out) == [{"id": "1000001", "name": "水表"}]
    assert "水表" in out


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    uuid = "42742677-adc3-54ca-83a1-5aaaf71482f8"
    rows = [{"id": uuid, "operation": "write /3306/0 " + "5851 " * 12, "online": True, "missing": None}]

    print_table(rows, ("id", "operation", "online", "missing"), empty="none")

    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "operation", "online", "missing"]
    assert line.split() == [uuid, "write", "/3306/0", *["5851"] * 12, "yes", "-"]


def test_marks_of_the_terminal_library_in_a_name_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"name": "[bold]x[/bold]"}], ("name",), empty="none")

    assert "[bold]x[/bold]" in capsys.readouterr().out


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], ("id",), empty="no devices here")

    assert capsys.readouterr().out == "no devices here\n"


def test_fields_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"id": "1", "master_key": "k", "tags": ["a", "b"]})

    assert capsys.readouterr().out == "id          1\nmaster key  k\ntags        a, b\n"
