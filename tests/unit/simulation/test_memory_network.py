"""The network in memory: what each condition does, where moved addresses lead, and one trace for one seed."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote
from commandpost.simulation import memory_network
from commandpost.simulation.datagram_trace import DatagramTrace, Passage
from commandpost.simulation.memory_network import (
    PERFECT,
    AddressTaken,
    MemoryLink,
    MemoryNetwork,
    NetworkConditions,
    memory_remote,
)
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually

SERVER = memory_remote("192.0.2.1", 5683)
DEVICE = memory_remote("10.1.0.1", 49_000)
STORM = NetworkConditions(loss=0.2, duplication=0.2, reordering=0.2, delay_min_s=0.1, delay_max_s=3.0)


@dataclass
class World:
    loop: VirtualLoop
    network: MemoryNetwork
    server: MemoryLink
    device: MemoryLink
    heard: list[tuple[str, Remote, bytes]] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)

    def hear(self, who: str, source: Remote, datagram: bytes) -> None:
        self.heard.append((who, source, datagram))
        self.heard_at.append(self.loop.time())


def in_world(
    act: Callable[[World], Coroutine[Any, Any, None]],
    *,
    conditions: NetworkConditions = PERFECT,
    seed: int = 1,
    entries_kept_max: int = 0,
) -> World:
    loop = VirtualLoop()
    network = MemoryNetwork(
        scheduler=loop,
        clock=VirtualClock(loop, start=Instant(0)),
        random=Random(seed),
        conditions=conditions,
        trace=DatagramTrace(entries_kept_max=entries_kept_max),
    )
    world = World(loop, network, network.bind(SERVER), network.bind(DEVICE))
    world.server.listen(lambda source, datagram: world.hear("server", source, datagram))
    world.device.listen(lambda source, datagram: world.hear("device", source, datagram))
    run_virtually(act(world), loop=loop)
    return world


def payload(number: int) -> bytes:
    return number.to_bytes(2, "big")


async def send_500(world: World) -> None:
    for number in range(500):
        world.device.send(SERVER, payload(number))
        await asyncio.sleep(0.01)
    await asyncio.sleep(10)


def arrived(world: World) -> list[bytes]:
    return [datagram for _, _, datagram in world.heard]


def test_a_perfect_network_brings_everything_once_in_order() -> None:
    world = in_world(send_500)

    assert world.heard == [("server", DEVICE, payload(number)) for number in range(500)]


def test_nothing_arrives_from_inside_send() -> None:
    async def act(world: World) -> None:
        world.device.send(SERVER, b"x")
        assert world.heard == []
        await asyncio.sleep(0)
        assert world.heard == [("server", DEVICE, b"x")]

    in_world(act)


def test_loss_loses_about_its_share() -> None:
    world = in_world(send_500, conditions=NetworkConditions(loss=0.2))

    assert 70 <= world.network.trace.counts[Passage.LOST] <= 130
    assert len(world.heard) == 500 - world.network.trace.counts[Passage.LOST]


def test_duplication_brings_some_twice_and_none_more_often() -> None:
    world = in_world(send_500, conditions=NetworkConditions(duplication=0.2))

    assert 570 <= len(world.heard) <= 630
    assert len(set(arrived(world))) == 500


def test_reordering_changes_the_order_and_loses_nothing() -> None:
    world = in_world(send_500, conditions=NetworkConditions(reordering=0.2))

    assert arrived(world) != sorted(arrived(world))
    assert sorted(arrived(world)) == [payload(number) for number in range(500)]


def test_delays_lie_between_least_and_most() -> None:
    async def act(world: World) -> None:
        for _ in range(200):
            began = world.loop.time()
            world.device.send(SERVER, b"x")
            await asyncio.sleep(5)
            assert 0.5 <= world.heard_at[-1] - began <= 2.0

    world = in_world(act, conditions=NetworkConditions(delay_min_s=0.5, delay_max_s=2.0))

    assert len(set(world.heard_at)) == 200


def test_a_datagram_over_the_path_s_size_is_lost() -> None:
    async def act(world: World) -> None:
        world.device.send(SERVER, bytes(128))
        world.device.send(SERVER, bytes(129))
        await asyncio.sleep(1)

    world = in_world(act, conditions=NetworkConditions(datagram_bytes_max=128))

    assert [len(datagram) for datagram in arrived(world)] == [128]


def test_each_direction_has_its_own_conditions() -> None:
    async def act(world: World) -> None:
        world.network.set_conditions(NetworkConditions(loss=1.0), destination=DEVICE)
        world.device.send(SERVER, b"up")
        world.server.send(DEVICE, b"down")
        await asyncio.sleep(1)

    assert arrived(in_world(act)) == [b"up"]


def test_the_closest_statement_about_conditions_holds() -> None:
    async def act(world: World) -> None:
        world.network.set_conditions(NetworkConditions(loss=1.0))
        world.network.set_conditions(NetworkConditions(loss=1.0), source=DEVICE)
        world.network.set_conditions(PERFECT, source=DEVICE, destination=SERVER)
        world.device.send(SERVER, b"up")
        world.server.send(DEVICE, b"down")
        await asyncio.sleep(1)

    assert arrived(in_world(act)) == [b"up"]


def test_after_a_rebind_the_old_address_is_dead_and_the_new_one_lives() -> None:
    async def act(world: World) -> None:
        world.device.send(SERVER, b"before")
        moved = world.device.rebind()
        world.device.send(SERVER, b"after")
        world.server.send(DEVICE, b"to the old")
        world.server.send(moved, b"to the new")
        await asyncio.sleep(1)
        assert moved != DEVICE
        assert world.heard == [
            ("server", DEVICE, b"before"),
            ("server", moved, b"after"),
            ("device", SERVER, b"to the new"),
        ]

    assert in_world(act).network.trace.counts[Passage.DEAD] == 1


def test_an_old_address_may_go_to_another_device() -> None:
    async def act(world: World) -> None:
        world.server.send(DEVICE, b"meant for the first")
        world.device.rebind()
        other = world.network.bind(DEVICE)
        other.listen(lambda source, datagram: world.hear("other", source, datagram))
        await asyncio.sleep(1)

    assert in_world(act, conditions=NetworkConditions(delay_min_s=0.5, delay_max_s=0.5)).heard == [
        ("other", SERVER, b"meant for the first")
    ]


def test_two_devices_may_trade_addresses() -> None:
    async def act(world: World) -> None:
        other = world.network.bind()
        other.listen(lambda source, datagram: world.hear("other", source, datagram))
        others_address = other.address
        world.network.swap(world.device, other)
        world.server.send(DEVICE, b"one")
        world.server.send(others_address, b"two")
        await asyncio.sleep(1)

    assert in_world(act).heard == [("other", SERVER, b"one"), ("device", SERVER, b"two")]


def test_an_address_that_is_held_cannot_be_taken() -> None:
    async def act(world: World) -> None:
        with pytest.raises(AddressTaken):
            world.network.bind(DEVICE)
        with pytest.raises(AddressTaken):
            world.server.rebind(DEVICE)
        world.device.rebind(world.device.address)

    in_world(act)


def test_a_cut_loses_both_ways_and_what_is_under_way_until_it_heals() -> None:
    async def act(world: World) -> None:
        world.server.send(DEVICE, b"under way")
        world.network.cut(DEVICE)
        world.server.send(DEVICE, b"down")
        world.device.send(SERVER, b"up")
        await asyncio.sleep(1)
        world.network.heal(DEVICE)
        world.device.send(SERVER, b"healed")
        await asyncio.sleep(1)

    assert arrived(in_world(act, conditions=NetworkConditions(delay_min_s=0.5, delay_max_s=0.5))) == [b"healed"]


def test_a_closed_link_neither_sends_nor_receives() -> None:
    async def act(world: World) -> None:
        world.device.close()
        world.device.close()
        world.device.send(SERVER, b"up")
        world.server.send(DEVICE, b"down")
        await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="closed"):
            world.device.rebind()
        with pytest.raises(RuntimeError, match="closed"):
            world.network.swap(world.device, world.server)

    assert in_world(act).heard == []


def test_what_is_under_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_network, "IN_FLIGHT_MAX", 3)

    async def act(world: World) -> None:
        for number in range(5):
            world.device.send(SERVER, payload(number))
        await asyncio.sleep(1)
        world.device.send(SERVER, payload(9))
        await asyncio.sleep(1)

    world = in_world(act)

    assert arrived(world) == [payload(0), payload(1), payload(2), payload(9)]
    assert world.network.trace.counts[Passage.OVERFLOWED] == 2


@pytest.mark.parametrize(
    "conditions",
    [
        PERFECT,
        NetworkConditions(loss=0.3),
        NetworkConditions(duplication=0.3),
        NetworkConditions(reordering=0.3),
        NetworkConditions(delay_min_s=0.1, delay_max_s=2.0),
        STORM,
    ],
)
def test_the_same_seed_leaves_the_same_trace(conditions: NetworkConditions) -> None:
    first = in_world(send_500, conditions=conditions, seed=7).network.trace
    second = in_world(send_500, conditions=conditions, seed=7).network.trace

    assert first.hexdigest() == second.hexdigest()
    assert first.counts == second.counts


def test_another_seed_leaves_another_trace() -> None:
    first = in_world(send_500, conditions=STORM, seed=7).network.trace
    second = in_world(send_500, conditions=STORM, seed=8).network.trace

    assert first.hexdigest() != second.hexdigest()


def test_a_storm_leaves_the_trace_it_always_left() -> None:
    """The hash is written down, so that a Python version that draws or schedules otherwise is noticed."""
    trace = in_world(send_500, conditions=STORM, seed=7).network.trace

    assert trace.hexdigest()[:16] == "e95d5d920d29d989"


def test_the_trace_keeps_as_many_entries_as_was_asked() -> None:
    trace = in_world(send_500, entries_kept_max=4).network.trace

    assert [entry.passage for entry in trace.entries] == [Passage.SENT, Passage.DELIVERED] * 2
    assert trace.entries[-1].datagram == payload(499)
    assert str(trace.entries[-1]).endswith(f"DELIVERED {DEVICE.hex()} > {SERVER.hex()} 01f3")


@pytest.mark.parametrize(
    "changes",
    [{"loss": 1.1}, {"duplication": -0.1}, {"reordering": 2.0}, {"delay_min_s": 2.0}, {"held_back_s": -1.0}],
)
def test_conditions_that_cannot_be_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"allowed|least"):
        replace(PERFECT, **changes)  # type: ignore[arg-type]  # every field above is a float


def test_fresh_addresses_differ_and_look_like_those_of_the_real_transport() -> None:
    async def act(world: World) -> None:
        addresses = [world.network.fresh_address() for _ in range(1_000)]
        assert len(set(addresses)) == 1_000
        assert {len(address) for address in addresses} == {7}

    in_world(act)
