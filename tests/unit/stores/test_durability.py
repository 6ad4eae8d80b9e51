"""P1 on a real file: what a process said it had taken is there after the process was killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from commandpost.stores.sqlite import SqliteStore
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

ROOT = Path(__file__).parents[3]

ACCEPT_FOR_EVER = """
import asyncio, sys, time
from pathlib import Path
from commandpost.stores.commit_drivers import InlineDriver
from commandpost.stores.group_commit import GroupCommit
from commandpost.stores.sqlite import Durability
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness
from tests.unit.stores.fakes import EventLog

class Clock:
    def wall_ms(self):
        return build.T0
    def monotonic(self):
        return time.monotonic()

async def main():
    harness = SqliteHarness(Path(sys.argv[1]), durability=Durability.FULL)
    device = harness.make_device()
    loop = asyncio.get_running_loop()
    writer = GroupCommit(
        InlineDriver(harness.store, monotonic=time.monotonic), clock=Clock(), scheduler=loop, events=EventLog(),
        on_broken=lambda error: None,
    )
    for number in range(1, 100_000):
        fact = build.accept(device, number)
        await writer.perform(type(fact)(command=fact.command, waiting_max=1_000_000))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 2, 50])
def test_an_acknowledged_command_survives_kill_9(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "commandpost.db"
    server = subprocess.Popen([sys.executable, "-c", ACCEPT_FOR_EVER, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    with server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(acknowledged)]
        server.kill()
        server.wait()

    store = SqliteStore(path)
    try:
        assert [int(line) for line in lines] == list(range(1, acknowledged + 1))
        for number in range(1, acknowledged + 1):
            assert StoreHarness.ask(store.find_command(build.command_id(number))) is not None
    finally:
        store.close()
