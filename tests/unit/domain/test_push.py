"""The rules of pushing: what may be configured, how long a queue rests, when an event is given up."""

import pytest

from commandpost.domain.errors import Invalid
from commandpost.domain.events import EventKind
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import DAY_MS, Instant
from commandpost.domain.push import (
    Batch,
    GiveUpRule,
    after_failure,
    after_giving_up,
    back_off_s,
    check_aes_key,
    check_kinds,
    check_token,
    check_url,
    kind_bits,
    kinds_of,
    rest_s,
)

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"


def test_pauses_double_from_one_second_to_five_minutes() -> None:
    """Without chance in it."""
    pauses = [back_off_s(failures, unit=0) for failures in range(1, 12)]

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@pytest.mark.parametrize("failures", [1, 5, 10, 2_000, 10**9])
def test_chance_shortens_a_pause_by_a_fifth_at_most(failures: int) -> None:
    """So that it never exceeds five minutes."""
    longest = back_off_s(failures, unit=0)

    assert back_off_s(failures, unit=0.999_999) == pytest.approx(longest * 0.8, rel=1e-3)
    assert longest <= 300


def test_an_event_is_given_up_after_so_many_failures_or_a_day() -> None:
    """Whichever comes first; the day of an event begins when it was told, that of a queue when it began to fail."""
    rule = GiveUpRule()
    day = Instant(DAY_MS)
    start = Instant(0)

    def is_given_up(head_failures: int, now: int, *, told_at: int = 0) -> bool:
        return rule.is_given_up(
            head_failures=head_failures, failing_since=start, told_at=Instant(told_at), now=Instant(now)
        )

    assert not is_given_up(1_999, day - 1)
    assert is_given_up(2_000, 1)
    assert is_given_up(2, day)
    assert not is_given_up(2, day, told_at=1)


def test_another_head_counts_anew_and_the_queue_goes_on_counting() -> None:
    """The back-off is the queue's, the chances are the event's."""
    first = after_failure(None, device_id=DeviceId(1), head_seq=5, now=Instant(10), unit=0)
    again = after_failure(first, device_id=DeviceId(1), head_seq=5, now=Instant(20), unit=0)
    other = after_failure(again, device_id=DeviceId(1), head_seq=6, now=Instant(30), unit=0)

    assert (again.failures, again.head_failures, again.failing_since) == (2, 2, 10)
    assert (other.failures, other.head_failures, other.failing_since) == (3, 1, 10)
    assert (first.due_at, again.due_at, other.due_at) == (1_010, 2_020, 4_030)


def test_the_first_that_is_given_up_lets_the_next_go_at_once() -> None:
    """The fault may have been its own; when the next one goes as well, the queue rests."""
    failed = after_failure(None, device_id=DeviceId(1), head_seq=5, now=Instant(10), unit=0)
    first = after_giving_up(failed, 1, now=Instant(10))
    again = after_failure(first, device_id=DeviceId(1), head_seq=6, now=Instant(20), unit=0)
    second = after_giving_up(again, 3, now=Instant(20))

    assert (first.given_up, first.due_at) == (1, 10)
    assert (second.given_up, second.due_at) == (4, 2_020)


@pytest.mark.parametrize(("due_at", "left_s"), [(0, 0), (1_000, 0), (1_500, 0.5), (10**12, 300)])
def test_a_rest_is_over_in_five_minutes_whatever_the_clock_did(due_at: int, left_s: float) -> None:
    """Nor is it ever less than none."""
    assert rest_s(Instant(due_at), now=Instant(1_000)) == left_s


def test_a_set_of_kinds_is_a_number_and_back() -> None:
    """The bits are those the schema asks for."""
    kinds = (EventKind.DATA, EventKind.ONLINE_STATE, EventKind.COMMAND_ENDED)

    assert kind_bits(kinds) == 2 + 4 + 128
    assert kinds_of(134) == kinds
    assert kind_bits(()) == 0


@pytest.mark.parametrize("numbers", [[], [3], [1, 32], [0], [-1], [1, 2, 7, 8]])
def test_other_kinds_are_refused(numbers: list[int]) -> None:
    """That of alarms, too: they go to their trigger's url."""
    with pytest.raises(Invalid, match="kinds"):
        check_kinds(numbers)


def test_kinds_are_taken_once_and_in_order() -> None:
    """Whatever order they come in."""
    assert check_kinds([7, 1, 7]) == (EventKind.DATA, EventKind.COMMAND_ENDED)


@pytest.mark.parametrize("token", ["", "ab", "x" * 33, "with space", "tab\t", "schlüssel"])
def test_a_bad_token_is_refused_and_never_shown(token: str) -> None:
    """It may be a good one of somewhere else."""
    with pytest.raises(Invalid, match="token") as refused:
        check_token(token)
    assert not token or token not in str(refused.value)


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "A", KEY[:-1] + "=", KEY[:-1] + "-", KEY[:-1] + "é"])
def test_a_bad_aes_key_is_refused_and_never_shown(key: str) -> None:
    """43 characters of base64."""
    with pytest.raises(Invalid, match="aes_key") as refused:
        check_aes_key(key)
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/in",
        "ftp://example.com/in",
        "file:///etc/passwd",
        "http://",
        "http:///in",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:port/",
        "http://[::1/",
        "http://example.com/#part",
        "http://example.com\\@evil.example/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://exämple.com/",
        "http://example.com/" + "a" * 1_100,
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(url: str) -> None:
    """Each names the field; a password is not shown."""
    with pytest.raises(Invalid, match="url") as refused:
        check_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://example.com", "HTTPS://example.com:8443/in?a=1&b=%20", "http://[2001:db8::1]:80/"]
)
def test_a_plain_url_is_given_back(url: str) -> None:
    """As it was written."""
    assert check_url(url) == url


@pytest.mark.parametrize(("count", "interval_ms"), [(0, 500), (101, 500), (5, 99), (5, 60_001)])
def test_a_batch_out_of_range_is_refused(count: int, interval_ms: int) -> None:
    """The error names which."""
    with pytest.raises(Invalid, match=r"batch\.(count|interval_ms)"):
        Batch(count=count, interval_ms=interval_ms)
