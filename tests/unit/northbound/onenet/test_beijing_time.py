"""Text times: every format of northbound reference 1.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.instant import Instant
from commandpost.northbound.onenet.beijing_time import ParsedTime, TextTimes

BEIJING = TextTimes(utc_offset_minutes=480, zone_name="CST")
AT = Instant(1_606_870_944_185)


def test_the_three_formats_of_an_instant() -> None:
    """Second, argument with a colon before the milliseconds, Java date."""
    assert BEIJING.format_second(AT) == "2020-12-02 09:02:24"
    assert BEIJING.format_argument(AT) == "2020-12-02 09:02:24:185"
    assert BEIJING.format_java(AT) == "Wed Dec 02 09:02:24 CST 2020"


@pytest.mark.parametrize(
    ("at", "java"),
    [
        (0, "Thu Jan 01 08:00:00 CST 1970"),
        (-1, "Thu Jan 01 07:59:59 CST 1970"),
        (951_782_400_000, "Tue Feb 29 08:00:00 CST 2000"),
        (1_609_430_399_999, "Thu Dec 31 23:59:59 CST 2020"),
        (1_609_430_400_000, "Fri Jan 01 00:00:00 CST 2021"),
    ],
)
def test_java_date_text_knows_no_locale(at: int, java: str) -> None:
    """English names, two digits, the zone's name."""
    assert BEIJING.format_java(Instant(at)) == java


def test_the_zone_can_be_another() -> None:
    """The name is written, the offset counts."""
    assert TextTimes(utc_offset_minutes=-330, zone_name="XST").format_java(Instant(0)) == (
        "Wed Dec 31 18:30:00 XST 1969"
    )


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("2020-12-02T09:02:24", ParsedTime(Instant(1_606_870_944_000), 1000)),
        ("2020-12-02 09:02:24", ParsedTime(Instant(1_606_870_944_000), 1000)),
        ("2020-12-02T09:02:24.185", ParsedTime(AT, 1)),
        ("2020-12-02T09:02:24:185", ParsedTime(AT, 1)),
        ("2020-12-02T09:02:24.1", ParsedTime(Instant(1_606_870_944_100), 1)),
        ("2020-12-02T09:02:24.185999999", ParsedTime(AT, 1)),
        ("1970-01-01T08:00:00", ParsedTime(Instant(0), 1000)),
        ("2024-02-29T00:00:00", ParsedTime(Instant(1_709_136_000_000), 1000)),
    ],
)
def test_what_is_read(text: str, parsed: ParsedTime) -> None:
    """A space for the T, and a fraction after a point or a colon."""
    assert BEIJING.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-12-02",
        "2020-12-02T09:02",
        "2020-12-02T09:02:60",
        "2020-12-02T09:60:00",
        "2020-12-02T24:00:00",
        "2020-02-30T00:00:00",
        "0000-01-01T00:00:00",
        "2020/12/02T09:02:24",
        "2020-12-02X09:02:24",
        "2020-12-02T09-02-24",
        "2020-12-02T09:02:24Z",
        "2020-12-02T09:02:24+08:00",
        "2020-12-02T09:02:24.",
        "2020-12-02T09:02:24.x",
        "2020-12-02T09:02:24.1234567890",
        "-020-12-02T09:02:24",
        "+020-12-02T09:02:24",
        " 2020-12-02T09:02:24",
        "２０２０-12-02T09:02:24",
        "2020-12-02T 9:02:24",
    ],
)
def test_what_is_not_a_time(text: str) -> None:
    """No zone is ever written, and nothing is guessed."""
    assert BEIJING.parse(text) is None


def test_a_date_is_the_start_of_its_day() -> None:
    """And its last millisecond is known."""
    parsed = BEIJING.parse_date("2019-10-01")

    assert parsed is not None
    assert (BEIJING.format_argument(parsed.at), BEIJING.format_argument(parsed.last)) == (
        "2019-10-01 00:00:00:000",
        "2019-10-01 23:59:59:999",
    )
    assert BEIJING.parse_date("2019-10-01T") is None
    assert BEIJING.parse_date("2019-1-01") is None


@given(st.integers(min_value=-62_135_596_800_000 + 86_400_000, max_value=253_402_214_399_999))
def test_what_is_written_is_read_again(at: int) -> None:
    """Every instant of the years 1 to 9999."""
    assert BEIJING.parse(BEIJING.format_argument(Instant(at))) == ParsedTime(Instant(at), 1)


@given(st.integers())
def test_any_instant_can_be_shown(at: int) -> None:
    """What lies outside of four digits of year is shown at the edge."""
    assert len(BEIJING.format_second(Instant(at))) == 19
    assert len(BEIJING.format_java(Instant(at))) == 28


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Never raises."""
    BEIJING.parse(text)
    BEIJING.parse_date(text)
