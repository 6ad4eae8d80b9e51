"""Any text: points or Invalid, and every value is JSON that can be written as UTF-8."""

import json
from typing import NoReturn, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.domain.data_forms import TextForm, binary_header, float_points, parse_form
from commandpost.domain.datapoint import STREAM_ID_CHARACTERS_MAX, VALUE_BYTES_MAX
from commandpost.domain.errors import Invalid
from commandpost.domain.instant import HOUR_MS, Instant

NOW = Instant(1_600_000_000_000)
FORMS = st.sampled_from(get_args(TextForm))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["2015-03-22 22:31:12", "\ud800", "a/b"]),
)
NAMES = st.sampled_from(["datastreams", "datapoints", "id", "at", "value", "ds_id", "desc", "t", "2015-03-22 22:31:12"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
STREAMS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["t", "温度", "", "a/b"]),
            "datapoints": st.lists(st.fixed_dictionaries({"value": VALUES}, optional={"at": SCALARS}), max_size=3),
        }
    ),
    max_size=3,
).map(lambda streams: {"datastreams": streams})
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(',;{}[]":.0123456789eE+-truefalsnN \ud800温', max_size=60),
    st.text(",;a0123456789.-: ", max_size=60).map(",;".__add__),
    st.one_of(VALUES, STREAMS).map(json.dumps),
    st.one_of(VALUES, STREAMS).map(lambda value: json.dumps(value, ensure_ascii=False)),
)


@settings(max_examples=300)
@given(FORMS, TEXTS)
def test_any_text_gives_points_or_is_refused(form: TextForm, text: str) -> None:
    """Nothing else is raised, and what comes out can be stored and sent."""
    try:
        points = parse_form(form, text, now=NOW, utc_offset_ms=8 * HOUR_MS)
    except Invalid:
        return

    for point in points:
        json.loads(point.value, parse_constant=_refuse)
        assert len(point.value.encode()) <= VALUE_BYTES_MAX
        assert 0 < len(point.stream_id) <= STREAM_ID_CHARACTERS_MAX and point.stream_id.isprintable()


@given(VALUES)
def test_a_value_means_what_its_device_wrote(value: object) -> None:
    """The oracle is the standard library's own reader."""
    text = json.dumps({"t": value})
    try:
        (point,) = parse_form(3, text, now=NOW, utc_offset_ms=0)
    except Invalid:
        return

    assert json.loads(point.value) == json.loads(text)["t"]


@settings(max_examples=200)
@given(TEXTS)
def test_any_header_is_read_or_refused(text: str) -> None:
    """The bytes behind it may still be of use to nobody."""
    try:
        header = binary_header(text, now=NOW, utc_offset_ms=0)
    except Invalid:
        return

    header.description.encode()


@given(st.lists(st.tuples(st.integers(1, 65_535), st.floats(width=32)), max_size=20))
def test_floats_are_points_that_mean_the_same_float(pairs: list[tuple[int, float]]) -> None:
    """The shortest digits are still enough."""
    try:
        points = float_points(pairs, at=NOW)
    except Invalid:
        assert any(value != value or abs(value) == float("inf") for _, value in pairs)
        return

    assert [_float32(point.value) for point in points] == [value for _, value in pairs]


def _refuse(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON number")


def _float32(text: str) -> float:
    cell = memoryview(bytearray(4)).cast("f")
    cell[0] = float(text)
    return cell[0]
