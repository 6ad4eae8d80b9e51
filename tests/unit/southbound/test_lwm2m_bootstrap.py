"""The bootstrap server on a network in memory: what goes out, in which order, in what time, whatever comes back."""

import asyncio
from collections.abc import Callable

import pytest

from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.services.bootstraps import BootstrapGrant
from commandpost.services.sessions import SessionRefusal
from commandpost.southbound.lwm2m_bootstrap import BootstrapServer
from commandpost.southbound.lwm2m_server import Lwm2mServer
from commandpost.southbound.settings import CoapSettings
from tests.fakes.ids import CountingIds
from tests.unit.southbound.bench import SERVER, Bench, RawDevice, RecordingUplinks
from tests.unit.southbound.test_lwm2m_server import FakeSessions

MODULE = "ep=865820031234567;460040427001234"
GENERIC = "ep=865820031234567"
GRANT = BootstrapGrant(device_id=DeviceId(7), uri="coap://192.0.2.1:5683")
PROVEN = BootstrapGrant(
    device_id=DeviceId(7),
    uri="coaps://192.0.2.1:5684",
    psk_identity=b"865820031234567",
    access_key=b"access-key",
    bootstrap_key=b"bootstrap-key",
)
NARROW = ["PUT /0/0", "POST /bs"]
FULL = ["DELETE /", "PUT /0/0", "PUT /0/1", "PUT /1/0", "POST /bs"]


class FakeBootstraps:
    """Grants what it is told to."""

    def __init__(self) -> None:
        self.answer: BootstrapGrant | SessionRefusal = GRANT
        self.asked: list[tuple[str | None, bytes | None]] = []

    async def grant(
        self, endpoint_name: str | None, auth_code: bytes | None, remote: Remote
    ) -> BootstrapGrant | SessionRefusal:
        self.asked.append((endpoint_name, auth_code))
        return self.answer


class BootstrapBench(Bench):
    """A bench with a server that bootstraps."""

    def __init__(self, *, open_max: int = 100, is_served: bool = True, settings: CoapSettings | None = None) -> None:
        super().__init__(settings=settings)
        self.keeper = FakeBootstraps()
        self.bootstraps = BootstrapServer(
            driver=self.driver,
            bootstraps=self.keeper,
            ids=CountingIds(),
            clock=self.clock,
            scheduler=self.loop,
            events=self.events,
            open_max=open_max,
        )
        self.server = Lwm2mServer(
            driver=self.driver,
            sessions=FakeSessions(),
            uplinks=RecordingUplinks(),
            ids=CountingIds(),
            before_keeping=lambda _: None,
            clock=self.clock,
            events=self.events,
            settings=self.settings,
            bootstraps=self.bootstraps if is_served else None,
        )
        self.server.start()

    def told(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events.events if name == event]


def ask(*queries: str, code: int = Code.POST, message_id: int = 0x2000, token: bytes = b"tokn") -> CoapMessage:
    return CoapMessage(
        type=MessageType.CON,
        code=code,
        message_id=message_id,
        token=token,
        options=((int(Option.URI_PATH), b"bs"), *((int(Option.URI_QUERY), query.encode()) for query in queries)),
    )


def name_of(message: CoapMessage) -> str:
    """Method and path of a request."""
    return f"{Code(message.code).name} /{'/'.join(message.uri_path)}"


async def take_part(device: RawDevice, answer: Callable[[CoapMessage], int | None], *, until_s: float) -> list[str]:
    """Answer what comes for a while; None is silence. Gives the requests, repeated ones once."""
    heard: dict[int, str] = {}
    ends_at = asyncio.get_running_loop().time() + until_s
    while (left := ends_at - asyncio.get_running_loop().time()) > 0:
        try:
            message = await asyncio.wait_for(device.receive(), left)
        except TimeoutError:
            break
        heard.setdefault(message.message_id, name_of(message))
        code = answer(message)
        if code is not None:
            device.send(
                CoapMessage(type=MessageType.ACK, code=code, message_id=message.message_id, token=message.token)
            )
    return list(heard.values())


def bootstrap(
    bench: BootstrapBench, *queries: str, answer: Callable[[CoapMessage], int | None], until_s: float = 120.0
) -> list[str]:
    """Ask for a bootstrap and take part in it; gives what the server asked."""

    async def scenario() -> list[str]:
        device = bench.device()
        device.send(ask(*queries))
        assert (await device.receive()).code == Code.CHANGED
        return await take_part(device, answer, until_s=until_s)

    return bench.run(scenario())


def as_module(message: CoapMessage) -> int:
    """Answer as CIS does: southbound reference 1.3."""
    return Code.CHANGED if name_of(message) in NARROW else Code.BAD_REQUEST


@pytest.mark.parametrize(("query", "expected"), [(MODULE, NARROW), (GENERIC, FULL)])
def test_sequence_is_the_one_the_client_takes(query: str, expected: list[str]) -> None:
    """One request after another, the finish last."""
    bench = BootstrapBench()

    assert bootstrap(bench, query, answer=lambda _: Code.CHANGED) == expected
    assert bench.told("bootstrap_ended") == [{"device_id": 7, "is_finished": True, "refused": ""}]
    assert len(bench.bootstraps) == 0


@pytest.mark.parametrize(
    "code",
    [Code.BAD_REQUEST, Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED, Code.NOT_ACCEPTABLE, Code.NOT_IMPLEMENTED],
)
@pytest.mark.parametrize(("query", "expected"), [(MODULE, NARROW), (GENERIC, FULL)])
def test_errors_are_harmless_and_the_finish_is_sent(query: str, expected: list[str], code: int) -> None:
    """A server that stopped at an error would never complete a module."""
    bench = BootstrapBench()

    assert bootstrap(bench, query, answer=lambda _: code) == expected
    (ended,) = bench.told("bootstrap_ended")
    assert str(ended["refused"]).count(":") == len(expected)


def test_a_module_that_is_asked_in_the_usual_order_still_gets_its_finish() -> None:
    """It refuses all of the usual order but the account, and is finished all the same."""
    bench = BootstrapBench()

    assert bootstrap(bench, GENERIC, answer=as_module) == FULL
    assert bench.told("bootstrap_ended")[0]["refused"] == "delete:4.00 write:4.00 write:4.00"


def test_a_silent_module_is_left_within_twenty_seconds() -> None:
    """SB 1.3: the whole ends in 20 s, the finish has its share of them, and nothing is kept."""
    bench = BootstrapBench()

    heard = bootstrap(bench, MODULE, answer=lambda _: None, until_s=19.0)

    assert heard == NARROW
    assert len(bench.bootstraps) == 0
    assert bench.driver.exchanges_open == 0
    assert bench.told("bootstrap_ended")[0]["is_finished"] is False


def test_the_finish_comes_although_the_write_was_never_answered() -> None:
    """The module may have taken it, and its answer was lost."""
    bench = BootstrapBench()

    heard = bootstrap(bench, MODULE, answer=lambda message: Code.CHANGED if message.uri_path == ("bs",) else None)

    assert heard == NARROW
    assert bench.told("bootstrap_ended")[0]["is_finished"] is True


def test_two_silences_leave_only_the_finish() -> None:
    """As in a setup: who does not answer twice is not asked three more things."""
    bench = BootstrapBench()

    heard = bootstrap(bench, GENERIC, answer=lambda message: Code.DELETED if message.code == Code.DELETE else None)

    assert heard == ["DELETE /", "PUT /0/0", "PUT /0/1", "POST /bs"]


def test_never_two_requests_are_open() -> None:
    """SB 4.4: at most one towards an address that has not answered."""
    bench = BootstrapBench()
    open_ones: list[int] = []

    def answer(message: CoapMessage) -> int:
        open_ones.append(bench.driver.exchanges_open)
        return Code.CHANGED

    bootstrap(bench, GENERIC, answer=answer)

    assert open_ones == [1] * len(FULL)


@pytest.mark.parametrize("query", [MODULE, GENERIC, "ep=1"])
def test_amplification_stays_below_three_times_what_was_sent(query: str) -> None:
    """A forged source makes us send less than three times the forger's bytes, counted on the wire."""
    bench = BootstrapBench()
    request = encode(ask(query))

    sizes: list[int] = []

    async def scenario() -> None:
        link = bench.network.bind()
        link.listen(lambda _, datagram: sizes.append(len(datagram)))
        link.send(SERVER, request)
        await asyncio.sleep(300.0)

    bench.run(scenario())

    assert len(sizes) > 1  # the answer, and something of what follows it
    assert sum(sizes) <= 3 * len(request)


def test_a_repeated_request_is_answered_again_and_begins_nothing_twice() -> None:
    """The same message id within 247 s."""
    bench = BootstrapBench()

    async def scenario() -> tuple[int, list[str]]:
        device = bench.device()
        device.send(ask(MODULE))
        await device.receive()
        device.send(ask(MODULE))
        again = await device.receive()
        return again.code, await take_part(device, lambda _: Code.CHANGED, until_s=60.0)

    code, heard = bench.run(scenario())

    assert code == Code.CHANGED
    assert heard == NARROW
    assert len(bench.keeper.asked) == 1


def test_a_new_request_of_the_device_takes_the_place_of_the_one_going_on() -> None:
    """It has restarted; the old sequence says nothing more."""
    bench = BootstrapBench()

    async def scenario() -> list[str]:
        first, second = bench.device(), bench.device()
        first.send(ask(MODULE))
        await first.receive()
        await first.receive()  # the write
        second.send(ask(MODULE, message_id=0x3000))
        await second.receive()
        heard = await take_part(second, lambda _: Code.CHANGED, until_s=60.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(first.receive(), 60.0)
        return heard

    assert bench.run(scenario()) == NARROW
    assert len(bench.bootstraps) == 0


def test_what_a_key_has_begun_is_not_broken_off_by_one_who_shows_none() -> None:
    """Whoever merely knows an IMEI could keep a device from its bootstrap; he is told to come later."""
    bench = BootstrapBench()
    bench.keeper.answer = PROVEN

    async def scenario() -> tuple[int, list[str]]:
        first, second = bench.device(), bench.device()
        first.send(ask(MODULE))
        await first.receive()
        bench.keeper.answer = GRANT
        second.send(ask(MODULE, message_id=0x3000))
        refusal = await second.receive()
        return refusal.code, await take_part(first, lambda _: Code.CHANGED, until_s=60.0)

    assert bench.run(scenario()) == (Code.SERVICE_UNAVAILABLE, NARROW)
    assert len(bench.bootstraps) == 0


def test_a_key_breaks_off_what_was_begun_without_one() -> None:
    """Else a stranger could keep the device waiting by asking first."""
    bench = BootstrapBench()

    async def scenario() -> list[str]:
        first, second = bench.device(), bench.device()
        first.send(ask(MODULE))
        await first.receive()
        bench.keeper.answer = PROVEN
        second.send(ask(MODULE, message_id=0x3000))
        await second.receive()
        return await take_part(second, lambda _: Code.CHANGED, until_s=60.0)

    assert bench.run(scenario()) == NARROW
    assert len(bench.bootstraps) == 0


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (SessionRefusal.FORBIDDEN, Code.FORBIDDEN),
        (SessionRefusal.BAD_REQUEST, Code.BAD_REQUEST),
        (SessionRefusal.UNAVAILABLE, Code.SERVICE_UNAVAILABLE),
    ],
)
def test_refusals_have_their_code_no_payload_and_leave_nothing(refusal: SessionRefusal, code: int) -> None:
    """No state for whoever may not, and an answer smaller than the question."""
    bench = BootstrapBench()
    bench.keeper.answer = refusal

    async def scenario() -> CoapMessage:
        device = bench.device()
        device.send(ask(MODULE))
        return await device.receive()

    answer = bench.run(scenario())

    assert (answer.code, answer.payload) == (code, b"")
    assert len(encode(answer)) < len(encode(ask(MODULE)))
    assert len(bench.bootstraps) == bench.driver.known_peers == bench.driver.exchanges_open == 0


def test_refused_bootstraps_have_a_budget_per_address() -> None:
    """Then they get nothing; those of another address still do."""
    bench = BootstrapBench(settings=CoapSettings(host_refusals_per_s=0.001, host_refusals_burst=3))
    bench.keeper.answer = SessionRefusal.FORBIDDEN

    async def scenario() -> int:
        device = bench.device()
        for number in range(10):
            device.send(ask(MODULE, message_id=number))
        answers = 0
        with pytest.raises(TimeoutError):
            while True:
                await asyncio.wait_for(device.receive(), 5.0)
                answers += 1
        return answers

    assert bench.run(scenario()) == 3
    assert bench.server.refusals_suppressed == 7


def test_bootstraps_at_one_time_are_bounded() -> None:
    """One more is told to come later."""
    bench = BootstrapBench(open_max=1)

    async def scenario() -> int:
        first, second = bench.device(), bench.device()
        first.send(ask(MODULE))
        await first.receive()
        bench.keeper.answer = BootstrapGrant(device_id=DeviceId(8), uri=GRANT.uri)
        second.send(ask(GENERIC, message_id=0x3000))
        return (await second.receive()).code

    assert bench.run(scenario()) == Code.SERVICE_UNAVAILABLE


def test_switched_off_there_is_no_bootstrap() -> None:
    """4.04, as for any path that is not served."""
    bench = BootstrapBench(is_served=False)

    async def scenario() -> int:
        device = bench.device()
        device.send(ask(MODULE))
        return (await device.receive()).code

    assert bench.run(scenario()) == Code.NOT_FOUND
    assert bench.keeper.asked == []


def test_stopping_the_server_stops_what_is_going_on() -> None:
    """No timer fires afterwards."""
    bench = BootstrapBench()

    async def scenario() -> None:
        device = bench.device()
        device.send(ask(MODULE))
        await device.receive()
        await bench.server.drain(1.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(device.receive(), 60.0)

    bench.run(scenario())

    assert len(bench.bootstraps) == bench.driver.exchanges_open == 0
