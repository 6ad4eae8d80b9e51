"""Kept payloads through kill -9 of the real server, over MQTT and EDP: none lost, qos 0 at most once, qos 1 again.

Statuses are looked up over HTTP at every point. Source: design section 2 (P1 to P5), 10.2; northbound reference 6.2.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.crash_world import CrashingServer, HttpCutOff
from tests.acceptance.edp_client import answer, edp_device
from tests.acceptance.mqtt_clients import packet, raw_device, text
from tests.acceptance.stream_house import (
    ANSWERED,
    CREATED,
    HOUR_S,
    SENT,
    TIMED_OUT,
    RawStream,
    StreamDevice,
    answer_to,
    create_device,
    door,
    payload_history,
    status_of,
    submit,
    wait_for_payload,
)

PUBACK = 0x40


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A payload as it came; `packet_id` if it wants an acknowledgement."""

    uuid: str
    payload: bytes
    packet_id: bytes = b""


class PayloadStream:
    """A logged-in device of either protocol, as far as payloads go."""

    def __init__(self, stream: RawStream, *, is_edp: bool) -> None:
        self.stream = stream
        self.is_edp = is_edp

    def next_arrival(self) -> Arrival:
        """Give the next payload."""
        came = self.stream.packet()
        while came[0] == PUBACK:
            came = self.stream.packet()
        return self._arrival(came)

    def _arrival(self, came: bytes) -> Arrival:
        if self.is_edp:
            assert came[:4].hex() == f"a0{len(came) - 2:02x}0024", came
            return Arrival(uuid=came[4:40].decode(), payload=came[44:])
        assert came[0] in (0x30, 0x32) and came[4:10] == b"$creq/", came
        id_bytes = 2 if came[0] == 0x32 else 0
        return Arrival(uuid=came[10:46].decode(), packet_id=came[46 : 46 + id_bytes], payload=came[46 + id_bytes :])

    def acknowledge(self, arrival: Arrival) -> None:
        """PUBACK; EDP has none."""
        if arrival.packet_id:
            self.stream.send(b"\x40\x02" + arrival.packet_id)

    def reply(self, uuid: str, payload: bytes) -> None:
        """Answer; over MQTT at QoS 1."""
        if self.is_edp:
            self.stream.send(answer(uuid, payload))
        else:
            self.stream.send(packet(0x32, text(f"$crsp/{uuid}") + b"\x00\x05" + payload))


class World:
    """A server that can die, and devices of both protocols."""

    def __init__(self, server: CrashingServer) -> None:
        self.server = server
        server.arguments = ("--mqtt", "127.0.0.1:0", "--edp", "127.0.0.1:0")

    def start(self, crash: str = "") -> None:
        """Kill -9, if it lives, and start; the next crash is armed."""
        if self.server.is_alive:
            self.server.kill()
        self.server.run(crash)

    def create(self, protocol: str, name: str = "secret") -> StreamDevice:
        """Make a device."""
        return create_device(self.server, protocol, f"{name} of {protocol}")

    @contextmanager
    def connected(self, device: StreamDevice) -> Iterator[PayloadStream]:
        """Log a device in."""
        is_edp = device.secret.endswith("EDP")
        enter = edp_device if is_edp else raw_device
        with enter(door(self.server, "edp" if is_edp else "mqtt"), device) as stream:
            yield PayloadStream(stream, is_edp=is_edp)

    def keep(self, device: StreamDevice, *payloads: tuple[bytes, int]) -> list[str]:
        """Have payloads kept for an hour, each with its qos; gives their uuids."""
        return [submit(self.server, device, payload, qos=qos, timeout_s=HOUR_S) for payload, qos in payloads]

    def expect_nothing_more(self, device: StreamDevice, client: PayloadStream) -> None:
        """Be sure that nothing waits: what is accepted last comes last (P5), and it is the next that comes."""
        submit(self.server, device, b"the last one")
        assert client.next_arrival().payload == b"the last one"

    def statuses(self, uuids: Sequence[str]) -> list[int]:
        """Look up how payloads stand."""
        return [status_of(self.server, uuid) for uuid in uuids]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server that was not started yet."""
    with CrashingServer(tmp_path / "data") as server:
        yield World(server)


THREE = ((b"0", 0), (b"1", 1), (b"2", 0))


def test_three_kept_payloads_survive_a_kill_between_accept_and_connect(world: World) -> None:
    """P1, P5: created, then sent in their order at the next connect, then answered."""
    world.start()
    devices = [world.create("MQTT"), world.create("EDP")]
    kept = {device: world.keep(device, *THREE) for device in devices}
    world.start()
    for device, uuids in kept.items():
        assert world.statuses(uuids) == [CREATED] * 3
        with world.connected(device) as client:
            arrivals = [client.next_arrival() for _ in uuids]
            for arrival in arrivals:
                client.acknowledge(arrival)
            for uuid in uuids:
                wait_for_payload(world.server, uuid, SENT)
                client.reply(uuid, b"done")
                wait_for_payload(world.server, uuid, ANSWERED)
            world.expect_nothing_more(device, client)

        assert [arrival.uuid for arrival in arrivals] == uuids
        assert [arrival.payload for arrival in arrivals] == [b"0", b"1", b"2"]
        assert answer_to(world.server, uuids[1]) == b"done"


def test_after_a_kill_between_send_and_answer_only_qos_1_is_sent_again(world: World) -> None:
    """P3: status 2 stays until the next connect, which ends every former attempt; what was never confirmed stands at 1.

    Whether or not the device has acknowledged: it has not answered.
    """
    world.start()
    silent, polite, edp = world.create("MQTT", "silent"), world.create("MQTT", "polite"), world.create("EDP")
    kept = {device: world.keep(device, *THREE) for device in (silent, polite, edp)}
    with world.connected(silent) as a, world.connected(polite) as b, world.connected(edp) as c:
        for device, client in ((silent, a), (polite, b), (edp, c)):
            arrivals = [client.next_arrival() for _ in THREE]
            assert [arrival.uuid for arrival in arrivals] == kept[device]
            if device is polite:
                client.acknowledge(arrivals[1])
            for uuid in kept[device]:
                wait_for_payload(world.server, uuid, CREATED if (device, uuid) == (silent, kept[silent][1]) else SENT)
        world.start()
    assert world.statuses(kept[silent]) == [SENT, CREATED, SENT]
    assert world.statuses(kept[polite]) == world.statuses(kept[edp]) == [SENT] * 3
    for device, uuids in kept.items():
        with world.connected(device) as client:
            again = client.next_arrival()
            client.acknowledge(again)
            wait_for_payload(world.server, uuids[1], SENT)
            after_connect = world.statuses(uuids)
            client.reply(again.uuid, b"done")
            wait_for_payload(world.server, again.uuid, ANSWERED)
            world.expect_nothing_more(device, client)

        assert (again.uuid, again.payload) == (uuids[1], b"1")
        assert after_connect == [TIMED_OUT, SENT, TIMED_OUT]


def test_killed_when_the_attempts_are_on_disk_and_nothing_has_left(world: World) -> None:
    """P3: for all we know they were sent, so qos 0 is never sent again; qos 1 is."""
    world.start("after_commit:Claim:1")
    device = world.create("MQTT")
    uuids = world.keep(device, (b"at most once", 0), (b"at least once", 1))
    with world.connected(device) as client:
        assert client.stream.rest() == b""
    world.server.wait_killed()
    world.start()
    stands = world.statuses(uuids)
    with world.connected(device) as client:
        arrival = client.next_arrival()
        client.acknowledge(arrival)
        wait_for_payload(world.server, uuids[1], SENT)
        after_connect = world.statuses(uuids)
        world.expect_nothing_more(device, client)

    assert stands == [CREATED, CREATED]
    assert arrival.payload == b"at least once"
    assert after_connect == [TIMED_OUT, SENT]


@pytest.mark.long
def test_killed_before_the_attempts_are_on_disk_they_go_out_once(world: World) -> None:
    """Nothing was written, nothing had left: qos 0 arrives after all."""
    world.start("before_commit:Claim:1")
    device = world.create("EDP")
    uuids = world.keep(device, (b"1", 0), (b"2", 1))
    with world.connected(device) as client:
        assert client.stream.rest() == b""
    world.server.wait_killed()
    world.start()
    with world.connected(device) as client:
        arrivals = [client.next_arrival() for _ in uuids]
        world.expect_nothing_more(device, client)

    assert [arrival.payload for arrival in arrivals] == [b"1", b"2"]


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["MQTT", "EDP"])
@pytest.mark.parametrize("crash", ["before_commit", "after_commit"])
def test_killed_around_the_commit_of_an_answer(world: World, protocol: str, crash: str) -> None:
    """On disk it stays, and a copy changes nothing; not on disk, the payload comes again (qos 1)."""
    world.start(f"{crash}:ReplyToPayload:1")
    device = world.create(protocol)
    (uuid,) = world.keep(device, (b"ask", 1))
    with world.connected(device) as client:
        client.acknowledge(client.next_arrival())
        wait_for_payload(world.server, uuid, SENT)
        client.reply(uuid, b"first")
        assert client.stream.rest() == b""
    world.server.wait_killed()
    world.start()
    stands = world.statuses([uuid])
    with world.connected(device) as client:
        again = [client.next_arrival()] if crash == "before_commit" else []
        client.reply(uuid, b"second")
        wait_for_payload(world.server, uuid, ANSWERED)

    assert [arrival.payload for arrival in again] == [b"ask"] * len(again)
    assert stands == [SENT if crash == "before_commit" else ANSWERED]
    assert answer_to(world.server, uuid) == (b"second" if crash == "before_commit" else b"first")


@pytest.mark.long
@pytest.mark.parametrize(("crash", "count"), [("before_commit", 0), ("after_commit", 1)])
def test_killed_while_accepting_the_caller_hears_nothing(world: World, crash: str, count: int) -> None:
    """P1, P2: not there, or there and delivered like any other."""
    world.start(f"{crash}:AcceptCommand:1")
    device = world.create("EDP")
    with pytest.raises(HttpCutOff):
        world.keep(device, (b"cut off", 0))
    world.server.wait_killed()
    world.start()
    items = payload_history(world.server, device)
    with world.connected(device) as client:
        arrived = [client.next_arrival().payload] if count else []
        world.expect_nothing_more(device, client)

    assert [item["status"] for item in items] == [CREATED] * count
    assert arrived == [b"cut off"] * count
