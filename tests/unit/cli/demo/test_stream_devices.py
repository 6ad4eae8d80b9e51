"""What the demo tells of a device on a stream comes from the device's own log."""

import asyncio

import pytest

from commandpost.cli.demo.narrator import DemoFailed
from commandpost.cli.demo.stream_devices import DemoStreamDevice, DemoStreams
from commandpost.config import ListenAddress
from commandpost.simulation.stream_device_settings import ReceivedCommand
from tests.unit.simulation.loop_clock import LoopClock


def command(payload: bytes) -> ReceivedCommand:
    return ReceivedCommand(at_s=1.0, command_id="1", payload=payload, was_done=True, is_repeated=False)


def test_what_it_heard_is_kept_in_order() -> None:
    device = DemoStreamDevice("pump")
    device.hear(command(b"ping"))
    device.hear(command("später".encode()))

    asyncio.run(device.until_heard(2, deadline_s=1.0))

    assert device.heard == ["ping", "später"]


@pytest.mark.parametrize("name", ["pump", "gauge"])
def test_a_payload_that_does_not_come_ends_the_story_with_the_log(name: str) -> None:
    nowhere = ListenAddress(host="127.0.0.1", port=1)

    async def story() -> None:
        async with DemoStreams(mqtt=nowhere, edp=nowhere, product_id="1", clock=LoopClock()) as streams:
            added = {"pump": lambda: streams.add_mqtt("pump", device_id="1", auth_info="a")}
            device = added.get(name, lambda: streams.add_edp("gauge", auth_info="a"))()
            device.start()
            device.hear(command(b"ping"))
            await device.until_heard(2, deadline_s=0.05)

    with pytest.raises(
        DemoFailed, match=rf"the {name} did not hear 2 payloads .* its log: \['ping'\]; .*no connection"
    ):
        asyncio.run(story())
