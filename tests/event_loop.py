"""Tests that are coroutines."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec

ArgumentsT = ParamSpec("ArgumentsT")


def on_event_loop(test: Callable[ArgumentsT, Coroutine[object, object, None]]) -> Callable[ArgumentsT, None]:
    """Run the test on a real event loop of its own; fixtures are passed as usual."""

    @wraps(test)
    def run(*args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
