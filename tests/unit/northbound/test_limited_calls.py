"""What a caller is told that is too quick, or whose credential is wrong again and again; headers of every answer."""

import asyncio

import msgspec
import pytest

from commandpost.northbound.messages import ApiRequest
from commandpost.northbound.settings import ErrnoProfile, NorthboundSettings
from commandpost.northbound.trail import CallTrail
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.rate_limits import RateLimits, RateSettings
from tests.event_loop import on_event_loop
from tests.fakes.services import IMEI, MASTER_KEY, OTHER_KEY, FakeClock
from tests.unit.northbound.house import DEVICE_ID, House
from tests.unit.northbound.test_asgi import scope, serve

READ = f"/nbiot?imei={IMEI}&obj_id=3&obj_inst_id=0&res_id=1"


def limited(profile: ErrnoProfile = ErrnoProfile.DOCUMENTED, **numbers: int) -> House:
    rates = RateLimits(clock=FakeClock(), settings=RateSettings(**numbers))
    return House(rates=rates, settings=NorthboundSettings(errno_profile=profile))


@pytest.mark.parametrize(
    ("profile", "target", "errno"),
    [
        (ErrnoProfile.DOCUMENTED, f"/devices/{DEVICE_ID}", 15),
        (ErrnoProfile.DOCUMENTED, READ, 7),
        (ErrnoProfile.OBSERVED, f"/devices/{DEVICE_ID}", 15),
        (ErrnoProfile.OBSERVED, READ, 1),
    ],
)
def test_a_product_that_calls_too_often_is_told_so(profile: ErrnoProfile, target: str, errno: int) -> None:
    """15, on /nbiot 7; other products go on, and nothing was done."""
    house = limited(profile, calls_per_s_per_product=2)

    answers = [house.envelope("GET", target)["errno"] for _ in range(3)]

    assert answers == [0, 0, errno]
    assert len(house.commands.ran) == (2 if target == READ else 0)
    assert house.envelope("GET", "/devices", key=OTHER_KEY)["errno"] == 0


def test_a_wrong_credential_takes_nobodys_calls_away() -> None:
    """Only who was recognised is counted."""
    house = limited(calls_per_s_per_product=1)
    for _ in range(10):
        assert house.envelope("GET", "/devices", key="wrong")["errno"] == 3

    assert house.envelope("GET", "/devices")["errno"] == 0


def test_instant_commands_to_one_device_keep_their_distance() -> None:
    """Reading what is known of a device, and cached commands, are no instant commands."""
    house = limited(instant_gap_ms=1_000)

    assert house.envelope("GET", READ)["errno"] == 0
    assert house.envelope("GET", READ) == {
        "errno": 7,
        "error": "internal server error: 1 instant command to a device in 1 s is the limit: try again in 1 s",
    }
    assert house.envelope("GET", f"/nbiot/resources?imei={IMEI}")["errno"] == 0
    cached = f"/nbiot/offline?imei={IMEI}&obj_id=3&expired_time=2030-01-01T00:00:00"
    assert house.envelope("GET", cached)["errno"] == 0


class Waits:
    """A sleep that remembers for how long, and takes no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


async def try_key(house: House, key: str, remote: str = "192.0.2.7") -> int:
    request = ApiRequest(
        method="GET", path="/devices", headers=[(b"api-key", key.encode())], trail=CallTrail(remote=remote)
    )
    response = await house.api.handle(request)
    errno = msgspec.json.decode(response.body)["errno"]
    assert isinstance(errno, int)
    return errno


@on_event_loop
async def test_brute_force_is_slowed_and_does_not_lock_out_the_right_key() -> None:
    """From the 10th wrong key in a minute on answers are late; a right one is answered at once, from there too."""
    waits = Waits()
    house = House(failed_logins=FailedLogins(clock=FakeClock(), sleep=waits))

    for number in range(30):
        assert await try_key(house, f"guess-{number}") == 3
    assert len(waits.seconds) == 21
    assert waits.seconds[:3] == [0.25, 0.5, 1.0]
    assert max(waits.seconds) == 5.0

    before = len(waits.seconds)
    assert await try_key(house, MASTER_KEY) == 0
    assert await try_key(house, "guess", "192.0.2.8") == 3
    assert len(waits.seconds) == before


async def for_ever(_seconds: float) -> None:
    """A wait that only a stop ends."""
    await asyncio.get_running_loop().create_future()


@on_event_loop
async def test_an_answer_that_is_late_comes_when_the_server_stops() -> None:
    """It is the same answer, and ends the connection."""
    failed_logins = FailedLogins(clock=FakeClock(), sleep=for_ever)
    house = House(failed_logins=failed_logins)
    for _ in range(9):
        failed_logins.note("192.0.2.9")
    asked = {**scope("GET", "/devices"), "headers": [(b"api-key", b"guess")], "client": ("192.0.2.9", 1)}
    call = asyncio.ensure_future(serve(house, asked))
    await asyncio.sleep(0.01)
    assert not call.done()

    call.cancel()
    sent = await call

    assert msgspec.json.decode(sent[1]["body"])["errno"] == 3
    assert (b"connection", b"close") in sent[0]["headers"]


@on_event_loop
async def test_no_credential_at_all_is_no_guess() -> None:
    """A browser that asks without a key is told so as often as it asks."""
    waits = Waits()
    house = House(failed_logins=FailedLogins(clock=FakeClock(), sleep=waits))

    for _ in range(30):
        assert await try_key(house, "") == 2
    assert waits.seconds == []


@on_event_loop
async def test_every_answer_has_the_headers_that_keep_browsers_out() -> None:
    """Successes, refusals and unknown paths; HSTS over TLS alone, a content policy on the page."""
    for path in ("/devices", "/nothing", "/docs", "/healthz"):
        plain = dict((await serve(House(), scope("GET", path)))[0]["headers"])
        secured = dict((await serve(House(), {**scope("GET", path), "scheme": "https"}))[0]["headers"])

        assert plain[b"x-content-type-options"] == b"nosniff"
        assert plain[b"cache-control"] == b"no-store"
        assert b"strict-transport-security" not in plain
        assert secured[b"strict-transport-security"].startswith(b"max-age=")
        assert (b"content-security-policy" in plain) is (path == "/docs")
