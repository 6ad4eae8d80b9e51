"""Those who wait for the end of an instant command: one future each, a limit for all.

Source: northbound reference 4; design section 3.
"""

import asyncio
from dataclasses import dataclass

from commandpost.domain.command import Outcome
from commandpost.domain.errors import DeviceOffline, Overloaded
from commandpost.domain.ids import CommandId
from commandpost.domain.resource import OperationResult
from commandpost.services.lane_events import AnswerCaller, InstantTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantResult:
    """What became of an instant command."""

    command_id: CommandId
    outcome: Outcome
    result: OperationResult | None


class InstantCallers:
    """The callers, by ticket."""

    def __init__(self, *, callers_max: int) -> None:
        self._callers_max = callers_max
        self._callers: dict[InstantTicket, asyncio.Future[InstantResult]] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def check_room(self) -> None:
        """Raise Overloaded when no further caller is taken."""
        if len(self._callers) >= self._callers_max:
            raise Overloaded(f"{self._callers_max} instant commands are under way: no more are taken at once")

    def add(self, ticket: InstantTicket) -> "asyncio.Future[InstantResult]":
        """Give the future a caller waits for."""
        future: asyncio.Future[InstantResult] = asyncio.get_running_loop().create_future()
        self._callers[ticket] = future
        return future

    async def wait(self, timeout_s: float) -> None:
        """Wait until every one of them has his answer, but no longer than that."""
        if self._callers:
            await asyncio.wait(self._callers.values(), timeout=timeout_s)

    def leave(self, ticket: InstantTicket) -> bool:
        """Forget a caller; False when he has his answer."""
        return self._callers.pop(ticket, None) is not None

    def answer(self, answer: AnswerCaller) -> None:
        """Tell a caller, if he is still there; offline before anything was sent is said as such (design 3)."""
        future = self._callers.pop(answer.ticket, None)
        if future is None or future.done():
            return
        if answer.outcome is Outcome.OFFLINE and not answer.ticket.is_sent:
            future.set_exception(DeviceOffline("the device went offline before anything was sent"))
        else:
            command_id = answer.ticket.command.id
            future.set_result(InstantResult(command_id=command_id, outcome=answer.outcome, result=answer.result))
