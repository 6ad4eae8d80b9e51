"""The virtual loop: time jumps, nothing real is reachable, and a run that cannot go on says why."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from commandpost.domain.instant import Instant
from commandpost.simulation import virtual_loop
from commandpost.simulation.virtual_loop import (
    CallbackFailed,
    DeadlockError,
    RealWorldError,
    SpinningError,
    VirtualClock,
    VirtualLoop,
    run_virtually,
)

NOW = Instant(1_700_000_000_000)


def test_a_sleep_of_two_days_takes_two_virtual_days() -> None:
    loop = VirtualLoop()

    async def main() -> float:
        began = loop.time()
        await asyncio.sleep(172_800)
        return loop.time() - began

    assert run_virtually(main(), loop=loop) == 172_800


def test_timers_of_one_instant_fire_in_the_order_they_were_set() -> None:
    """A heap alone would not promise it."""
    loop = VirtualLoop()
    fired: list[int] = []

    async def main() -> None:
        for number in range(100):
            loop.call_at(loop.time() + 5, fired.append, number)
        await asyncio.sleep(6)

    run_virtually(main(), loop=loop)

    assert fired == list(range(100))


def test_cancelled_timers_do_not_fire_however_many_there_are() -> None:
    loop = VirtualLoop()
    fired: list[int] = []

    async def main() -> None:
        timers = [loop.call_later(1 + number, fired.append, number) for number in range(1_000)]
        for timer in timers[:990]:
            timer.cancel()
            timer.cancel()
        await asyncio.sleep(2_000)
        for timer in timers:
            timer.cancel()

    run_virtually(main(), loop=loop)

    assert fired == list(range(990, 1_000))


def test_a_timer_that_is_due_comes_before_what_was_made_ready_by_it() -> None:
    loop = VirtualLoop()
    seen: list[str] = []

    async def main() -> None:
        def first() -> None:
            seen.append("first")
            loop.call_soon(seen.append, "after first")

        loop.call_later(1, first)
        loop.call_later(1, seen.append, "second")
        await asyncio.sleep(2)

    run_virtually(main(), loop=loop)

    assert seen == ["first", "second", "after first"]


def test_a_wait_with_a_timeout_ends_at_the_timeout() -> None:
    loop = VirtualLoop()

    async def main() -> float:
        began = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(25):
                await asyncio.Event().wait()
        return loop.time() - began

    assert run_virtually(main(), loop=loop) == 25


def test_waiting_for_nothing_is_a_deadlock_that_names_who_waits() -> None:
    loop = VirtualLoop()

    async def wait_for_the_device() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        waiting = asyncio.create_task(wait_for_the_device(), name="device 7")
        await asyncio.sleep(3)
        await waiting

    with pytest.raises(DeadlockError, match=r"at 1003\.0 s .* device 7 .*wait_for_the_device at .*\.py:\d+"):
        run_virtually(main(), loop=loop)


def test_a_task_that_never_lets_time_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "TURNS_PER_INSTANT_MAX", 500)
    loop = VirtualLoop()

    async def main() -> None:
        while True:  # noqa: ASYNC110  # spinning is the point
            await asyncio.sleep(0)

    with pytest.raises(SpinningError, match="500 turns"):
        run_virtually(main(), loop=loop)


def test_a_failing_callback_ends_the_run() -> None:
    loop = VirtualLoop()

    def fail() -> None:
        raise LookupError("no such device")

    async def main() -> None:
        loop.call_later(1, fail)
        await asyncio.sleep(10)

    with pytest.raises(CallbackFailed, match="no such device") as caught:
        run_virtually(main(), loop=loop)

    assert isinstance(caught.value.__cause__, LookupError)


def test_a_failing_task_nobody_asks_ends_the_run() -> None:
    loop = VirtualLoop()

    async def fail() -> None:
        raise LookupError("no such device")

    async def main() -> None:
        loop.create_task(fail())
        await asyncio.sleep(10)

    with pytest.raises(CallbackFailed, match="no such device"):
        run_virtually(main(), loop=loop)


def test_a_failed_task_is_named_instead_of_the_deadlock_it_causes() -> None:
    loop = VirtualLoop()

    async def main() -> None:
        done = asyncio.Event()

        async def fail() -> None:
            raise LookupError("no such device")

        loop.create_task(fail())
        await done.wait()

    with pytest.raises(CallbackFailed, match=r"fail at .*no such device"):
        run_virtually(main(), loop=loop)


def test_failures_that_somebody_sees_are_no_failures_of_the_run() -> None:
    loop = VirtualLoop()

    async def fail() -> None:
        raise LookupError("no such device")

    async def main() -> int:
        tasks = [loop.create_task(fail()) for _ in range(1_000)]
        return len([error for error in await asyncio.gather(*tasks, return_exceptions=True) if error])

    assert run_virtually(main(), loop=loop) == 1_000


def test_a_stall_makes_timers_late_and_none_is_lost() -> None:
    loop = VirtualLoop()
    fired_at: list[float] = []

    async def main() -> None:
        began = loop.time()
        loop.call_later(1, lambda: fired_at.append(loop.time() - began))
        loop.stall(30)
        await asyncio.sleep(1)

    run_virtually(main(), loop=loop)

    assert fired_at == [30]
    with pytest.raises(ValueError, match="time does not go back"):
        loop.stall(-1)


async def _to_thread() -> object:
    return await asyncio.to_thread(print)


async def _subprocess() -> object:
    return await asyncio.create_subprocess_exec("true")


async def _shell() -> object:
    return await asyncio.create_subprocess_shell("true")


async def _open_connection() -> object:
    return await asyncio.open_connection("127.0.0.1", 1)


async def _server() -> object:
    return await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)


async def _datagram_endpoint() -> object:
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))


async def _name_lookup() -> object:
    return await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def _signal() -> object:
    asyncio.get_running_loop().add_signal_handler(15, print)
    return None


async def _reader() -> object:
    with socket.socket() as real:
        asyncio.get_running_loop().add_reader(real, print)
    return None


async def _other_thread() -> object:
    return asyncio.get_running_loop().call_soon_threadsafe(print)


async def _executor() -> object:
    return await asyncio.get_running_loop().run_in_executor(None, print)


@pytest.mark.parametrize(
    "reach_out",
    [
        _to_thread,
        _executor,
        _other_thread,
        _subprocess,
        _shell,
        _open_connection,
        _server,
        _datagram_endpoint,
        _name_lookup,
        _signal,
        _reader,
    ],
)
def test_the_real_world_cannot_be_reached(reach_out: Callable[[], Any]) -> None:
    with pytest.raises(RealWorldError):
        run_virtually(reach_out(), loop=VirtualLoop())


def test_tasks_left_behind_are_cancelled_and_generators_closed() -> None:
    loop = VirtualLoop()
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("generator")

    async def linger() -> None:
        try:
            await asyncio.sleep(1_000_000)
        finally:
            closed.append("task")

    async def main() -> None:
        loop.create_task(linger())
        await asyncio.sleep(0)
        async for _ in numbers():
            break
        await asyncio.sleep(1)

    run_virtually(main(), loop=loop)

    assert closed == ["generator", "task"]
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)


def test_wall_time_follows_the_loop_and_jumps_alone() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, start=NOW)

    async def main() -> None:
        assert clock.wall_ms() == NOW
        began = clock.monotonic()
        await asyncio.sleep(1.5)
        clock.jump_wall(-3_600_000)
        assert clock.wall_ms() == NOW + 1_500 - 3_600_000
        assert clock.monotonic() - began == 1.5

    run_virtually(main(), loop=loop)


def test_a_timer_for_a_wall_instant_never_fires_a_millisecond_early() -> None:
    """Delays are sums of floats; the wall must not show one millisecond less than was asked for."""
    loop = VirtualLoop()
    clock = VirtualClock(loop, start=NOW)

    async def main() -> None:
        for step_ms in range(1, 2_000):
            due = clock.wall_ms() + step_ms
            await asyncio.sleep(step_ms / 1_000)
            assert clock.wall_ms() == due

    run_virtually(main(), loop=loop)
