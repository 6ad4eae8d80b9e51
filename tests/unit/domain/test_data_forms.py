"""The text forms of reports: what they say, what is kept exactly, and what is refused."""

import json
import time

import pytest

from commandpost.domain.data_forms import (
    POINTS_MAX,
    BinaryHeader,
    TextForm,
    binary_header,
    decode_text,
    float_points,
    parse_form,
)
from commandpost.domain.datapoint import (
    STREAM_ID_CHARACTERS_MAX,
    VALUE_BYTES_MAX,
    VALUE_DEPTH_MAX,
    Datastream,
    JsonNumber,
    check_stream_id,
    format_value,
)
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import HOUR_MS, Instant

NOW = Instant(1_600_000_000_123)
THEN = Instant(1_427_034_672_000)  # 2015-03-22 22:31:12 in Beijing
OFFSET_MS = 8 * HOUR_MS

Triple = tuple[str, int, str]


def points_of(form: TextForm, text: str) -> list[Triple]:
    points = parse_form(form, text, now=NOW, utc_offset_ms=OFFSET_MS)
    return [(point.stream_id, point.at, point.value) for point in points]


def value_of(written: str) -> str:
    ((_, _, value),) = points_of(3, f'{{"t":{written}}}')
    return value


@pytest.mark.parametrize(
    ("form", "text", "points"),
    [
        (
            1,
            '{"datastreams":[{"id":"t","datapoints":[{"at":"2015-03-22 22:31:12","value":22.5}]}]}',
            [("t", THEN, "22.5")],
        ),
        (
            1,
            '{"datastreams":[{"id":"temp","datapoints":[{"value":1},{"at":"2015-03-22T22:31:12","value":{"a":[]}}]},'
            '{"id":"empty","datapoints":[]}]}',
            [("temp", NOW, "1"), ("temp", THEN, '{"a":[]}')],
        ),
        (3, '{"t":22.5,"h":"95.2%"}', [("t", NOW, "22.5"), ("h", NOW, '"95.2%"')]),
        (4, '{"t":{"2015-03-22 22:31:12":22.5}}', [("t", THEN, "22.5")]),
        (
            4,
            '{"temp":{"2015-03-22T22:31:12":22.5,"2015-03-22T22:31:12.250":23}}',
            [("temp", THEN, "22.5"), ("temp", THEN + 250, "23")],
        ),
        (
            5,
            ",;temperature,2015-03-22 22:31:12,22.5;102;pm2.5,89;10",
            [("temperature", THEN, "22.5"), ("2", NOW, "102"), ("pm2.5", NOW, "89"), ("4", NOW, "10")],
        ),
        (5, ",;temp,2015-03-22T22:31:12,22.5;pm2.5,89", [("temp", THEN, "22.5"), ("pm2.5", NOW, "89")]),
    ],
)
def test_the_documented_forms(form: TextForm, text: str, points: list[Triple]) -> None:
    """Every example of the vendor's documents and SDKs."""
    assert points_of(form, text) == points


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (",;1;;3", [("1", NOW, "1"), ("3", NOW, "3")]),
        (",;1;", [("1", NOW, "1")]),
        (",;1;\r\n", [("1", NOW, "1")]),
        (",;", []),
        ("|#a|1#b|2", [("a", NOW, "1"), ("b", NOW, "2")]),
        ("，；温度，1；2", [("温度", NOW, "1"), ("2", NOW, "2")]),
        (",; a , 2015-03-22 22:31:12 , 7 ", [("a", THEN, "7")]),
        (",;a,,5", [("a", NOW, "5")]),
        (",;a,", [("a", NOW, '""')]),
        (",;a,on", [("a", NOW, '"on"')]),
        (",;a, on ", [("a", NOW, '" on "')]),
        (",;a,true", [("a", NOW, '"true"')]),
        (',;a,"', [("a", NOW, '"\\""')]),
        (",;a,007", [("a", NOW, '"007"')]),
        (",;a,.5", [("a", NOW, '".5"')]),
        (",;a,-0.50e+3", [("a", NOW, "-0.50e+3")]),
        (",;a,1e999", [("a", NOW, '"1e999"')]),
        (",;a,NaN", [("a", NOW, '"NaN"')]),
        (",;a,٣", [("a", NOW, '"٣"')]),
    ],
)
def test_delimited_text_at_its_borders(text: str, points: list[Triple]) -> None:
    """An empty record keeps its position; what is no JSON number is a string."""
    assert points_of(5, text) == points


@pytest.mark.parametrize(
    "text", ["", ",", ",,a,1", "te=22.5", "12", '{"t":22.5}', "[;1", ",;a,b,c,d", ",;,5", ",;a,yesterday,5", ",;a/b,1"]
)
def test_delimited_text_that_is_none(text: str) -> None:
    """No separators, twice the same, letters or JSON for them; too many fields; no id; no time."""
    with pytest.raises(Invalid):
        points_of(5, text)


@pytest.mark.parametrize(
    "written",
    [
        "22.50",
        "9223372036854775808",
        "-0",
        "0.1000",
        "1E30",
        "1e-400",
        "123456789012345678901234567890.5",
        '"95.2%"',
        "true",
        "false",
        "null",
        "[]",
        "{}",
        '[1.0,"a",null,{"b":[true]}]',
        '{"lon":116.40,"lat":39.90}',
        '"温度"',
        '"\\u0000\\n\\"\\\\"',
    ],
)
def test_values_are_kept_as_written(written: str) -> None:
    """No digit is lost or added, and the text is JSON of the same value."""
    assert value_of(written) == written
    assert json.loads(value_of(written)) == json.loads(written)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('{ "a" : [ 1 , 2.50 ] }', '{"a":[1,2.50]}'),
        ('"\\u6e29\\u5ea6"', '"温度"'),
        ('"\\ud83d\\ude00"', '"😀"'),
        ('"a\\/b"', '"a/b"'),
        ('{"a":1,"a":2}', '{"a":2}'),
    ],
)
def test_values_are_written_compactly(written: str, kept: str) -> None:
    """Spaces and escapes that say nothing go; of two members of one name the last counts."""
    assert value_of(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "1" + "0" * 400,
        "1" + "0" * 350,
        "0." + "1" * 400,
        '"\\ud800"',
        '{"\\udfff":1}',
        '["\\ud83d"]',
        "[" * VALUE_DEPTH_MAX + "[]" + "]" * VALUE_DEPTH_MAX,
        '"' + "a" * VALUE_BYTES_MAX + '"',
        '"' + "温" * (VALUE_BYTES_MAX // 3) + '"',
        "01",
        "+1",
        ".5",
        "1.",
        '"\n"',
        "'a'",
        "",
    ],
)
def test_values_that_are_refused(written: str) -> None:
    """No JSON, not finite, half a surrogate pair, too deep, too long."""
    with pytest.raises(Invalid):
        value_of(written)


def test_the_deepest_and_the_longest_value() -> None:
    """The bounds themselves are allowed."""
    deepest = "[" * VALUE_DEPTH_MAX + "]" * VALUE_DEPTH_MAX
    longest = '"' + "a" * (VALUE_BYTES_MAX - 2) + '"'

    assert value_of(deepest) == deepest
    assert value_of(longest) == longest


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (1, "[]"),
        (1, "{}"),
        (1, '{"datastreams":{}}'),
        (1, '{"datastreams":[1]}'),
        (1, '{"datastreams":[{"datapoints":[]}]}'),
        (1, '{"datastreams":[{"id":7,"datapoints":[]}]}'),
        (1, '{"datastreams":[{"id":"t"}]}'),
        (1, '{"datastreams":[{"id":"t","datapoints":[1]}]}'),
        (1, '{"datastreams":[{"id":"t","datapoints":[{}]}]}'),
        (1, '{"datastreams":[{"id":"t","datapoints":[{"at":1427034672,"value":1}]}]}'),
        (1, '{"datastreams":[{"id":"t","datapoints":[{"at":"2015-02-30 00:00:00","value":1}]}]}'),
        (3, ""),
        (3, "22.5"),
        (3, '["t"]'),
        (3, '{"":1}'),
        (3, '{"t":1} x'),
        (3, '{"t":1'),
        (4, '{"t":22.5}'),
        (4, '{"t":{"now":22.5}}'),
        (4, '{"a/b":{}}'),
    ],
)
def test_forms_that_are_refused(form: TextForm, text: str) -> None:
    """What is missing or of another kind is named."""
    with pytest.raises(Invalid) as raised:
        points_of(form, text)

    assert raised.value.field


def test_an_absent_time_may_be_null_or_empty() -> None:
    """Two SDKs write it so; it means now."""
    text = '{"datastreams":[{"id":"t","datapoints":[{"at":null,"value":1},{"at":"","value":null}]}]}'

    assert points_of(1, text) == [("t", NOW, "1"), ("t", NOW, "null")]


def test_a_byte_order_mark_is_skipped() -> None:
    """An editor on Windows writes one."""
    assert points_of(3, '\ufeff{"t":1}') == [("t", NOW, "1")]


@pytest.mark.parametrize("form", [3, 4, 5])
def test_ten_thousand_points_and_no_more(form: TextForm) -> None:
    """One report is one transaction."""

    def report(points: int) -> str:
        if form == 5:
            return ",;" + ";".join("1" for _ in range(points))
        if form == 4:
            minutes = (f'"2015-03-22 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}":1' for n in range(points))
            return '{"t":{' + ",".join(minutes) + "}}"
        return "{" + ",".join(f'"s{n}":1' for n in range(points)) + "}"

    assert len(points_of(form, report(POINTS_MAX))) == POINTS_MAX
    with pytest.raises(Invalid):
        points_of(form, report(POINTS_MAX + 1))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (3, '{"t":' + "9" * 1_000_000 + "}"),
        (3, '{"t":1' + "0" * 1_000_000 + ".5e1}"),
        (3, '{"t":' + "[" * 1_000_000),
        (3, '{"t":' * 200_000),
        (3, '{"t":"' + "\\u0001" * 170_000 + '"}'),
        (3, '{"t":[' + "[]," * 300_000 + "1]}"),
        (3, '{"t":"' + "a" * 1_000_000),
        (3, " " * 1_000_000),
        (5, ",;" + "9" * 1_000_000),
        (5, ",;" + ";" * 1_000_000 + "/,1"),
        (5, ",;" + "," * 1_000_000),
        (5, ",;a," + " " * 1_000_000 + "x"),
    ],
)
def test_a_hostile_megabyte_is_refused_in_no_time(form: TextForm, text: str) -> None:
    """Digits, brackets, escapes, separators, spaces: linear in size, whatever there is much of."""
    began = time.perf_counter()
    with pytest.raises(Invalid):
        points_of(form, text)

    # A quadratic reader would take minutes; a linear one takes some 50 ms on a slow machine.
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "stream_id",
    ["3303_0_5700", "温度", "pm2.5", "$OneNET_LBS", "temperature-1", "room 1", "a:b", "x" * STREAM_ID_CHARACTERS_MAX],
)
def test_stream_ids_of_real_devices_pass(stream_id: str) -> None:
    """Whatever can be seen."""
    assert check_stream_id(stream_id) == stream_id


@pytest.mark.parametrize(
    "stream_id",
    ["", "a/b", "a,b", " a", "a ", "a\n", "a\0", "\ud800", "\u200b", "a\u202eb", "x" * (STREAM_ID_CHARACTERS_MAX + 1)],
)
def test_stream_ids_that_could_not_be_named_are_refused(stream_id: str) -> None:
    """Separators of the API, spaces at an end, what cannot be seen, what cannot be written."""
    with pytest.raises(Invalid):
        check_stream_id(stream_id)


def test_floats_are_written_with_the_fewest_digits() -> None:
    """The bytes 66 66 A2 C1 mean -20.3, as the document says."""
    values = (34.0, -20.299999237060547, 22.5, 0.1, 16777216.0, 3.4028234663852886e38, 1e-45, -0.0)

    points = float_points(((number, value) for number, value in enumerate(values, 1)), at=THEN)

    assert [(point.stream_id, point.at) for point in points] == [(str(n), THEN) for n in range(1, 9)]
    assert [point.value for point in points][:4] == ["34.0", "-20.3", "22.5", "0.1"]
    assert [float(point.value) for point in points][4:] == [16777216.0, 3.4028235e38, 1e-45, -0.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e39])
def test_floats_that_are_no_number_are_refused(value: float) -> None:
    """JSON has no word for them."""
    with pytest.raises(Invalid):
        float_points([(1, 1.0), (2, value)], at=NOW)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (
            '{"ds_id":"img","at":"2015-03-22 22:31:12","desc":"front door"}',
            BinaryHeader("img", THEN, "front door"),
        ),
        ('{"ds_id":"img"}', BinaryHeader("img", NOW, "")),
        ('{"ds_id":"img","desc":{"w":640}}', BinaryHeader("img", NOW, '{"w":640}')),
        ('{"ds_id":"img","desc":7.0}', BinaryHeader("img", NOW, "7.0")),
    ],
)
def test_the_header_of_a_binary_report(text: str, header: BinaryHeader) -> None:
    """Stream, time and description."""
    assert binary_header(text, now=NOW, utc_offset_ms=OFFSET_MS) == header


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"ds_id":7}', '{"ds_id":"a/b"}', '{"ds_id":"a","at":"x"}', '{"ds_id":"a","desc":"\\ud800"}'],
)
def test_a_header_that_is_none(text: str) -> None:
    """No stream, no time, no text."""
    with pytest.raises(Invalid):
        binary_header(text, now=NOW, utc_offset_ms=OFFSET_MS)


def test_text_that_is_not_utf8_is_refused() -> None:
    """GBK, for one."""
    assert decode_text("温度".encode()) == "温度"
    with pytest.raises(Invalid):
        decode_text("温度".encode("gbk"))


def test_values_of_our_own_are_written_too() -> None:
    """What LwM2M reads becomes a datapoint as well."""
    assert [format_value(value) for value in (True, None, 7, -(2**63), 21.5, "a", JsonNumber("1.50"))] == [
        *("true", "null", "7", "-9223372036854775808", "21.5", '"a"', "1.50")
    ]
    for value in (float("nan"), float("inf"), 10**400):
        with pytest.raises(Invalid):
            format_value(value)


def test_a_stream_has_a_latest_value_with_its_time_or_neither() -> None:
    """And bounded words of its owner."""
    stream = Datastream(device_id=DeviceId(7), id="t", uuid="u", created_at=NOW, current_value="1", updated_at=NOW)

    assert stream.tags == ()
    with pytest.raises(ValueError, match="without a time"):
        Datastream(device_id=DeviceId(7), id="t", uuid="u", created_at=NOW, current_value="1")
    with pytest.raises(Invalid):
        Datastream(device_id=DeviceId(7), id="t", uuid="u", created_at=NOW, unit="x" * 65)
    with pytest.raises(Invalid):
        Datastream(device_id=DeviceId(7), id="t", uuid="u", created_at=NOW, unit_symbol="x" * 65)
    for tags in (("x",) * 65, ("x" * 65,)):
        with pytest.raises(Invalid):
            Datastream(device_id=DeviceId(7), id="t", uuid="u", created_at=NOW, tags=tags)
