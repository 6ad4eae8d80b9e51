"""The subcommand: where the demo keeps its data, and how it ends."""

import asyncio
import tempfile
from pathlib import Path

from commandpost.cli.failures import CliFailure
from commandpost.cli.options import DataDirOption


def demo(data_dir: DataDirOption = None) -> None:
    """Show the main job step by step, with a real server and simulated devices: three LwM2M, one MQTT, one EDP.

    Takes less than half a minute, and uses a temporary directory and free ports of the loopback interface. Every
    answer is checked: a wrong one ends the demo with exit code 1.
    """
    if data_dir is not None:
        _run(data_dir)
        return
    with tempfile.TemporaryDirectory(prefix="commandpost-demo-") as folder:
        _run(Path(folder) / "data")


def _run(data_dir: Path) -> None:
    from commandpost.cli.demo.narrator import DemoFailed
    from commandpost.cli.demo.story import tell

    try:
        asyncio.run(tell(data_dir))
    except DemoFailed as error:
        raise CliFailure(f"the demo failed: {error}") from error
