"""Instant commands that wait for their device's lane, and how their record is written.

Source: southbound reference 2.6; northbound reference 4.
"""

from collections import deque
from dataclasses import replace

from commandpost.domain.command import Attempt, AttemptEnd, DeliveryPolicy, Outcome
from commandpost.domain.command_state import Claimed, FailedForGood, FailedForNow, Refused, Succeeded, advance
from commandpost.domain.instant import Instant
from commandpost.services.lane_events import InstantTicket


class InstantQueue:
    """The instant commands of one device that wait for their turn, in order of arrival."""

    def __init__(self) -> None:
        self._tickets: deque[InstantTicket] = deque()

    def __len__(self) -> int:
        return len(self._tickets)

    def next_deadline(self) -> float | None:
        """Give the earliest end of a budget, None when nothing waits."""
        return min((ticket.deadline for ticket in self._tickets), default=None)

    def put(self, ticket: InstantTicket) -> None:
        """Let it wait behind the others."""
        self._tickets.append(ticket)

    def put_back(self, ticket: InstantTicket) -> None:
        """Let it be the next again."""
        self._tickets.appendleft(ticket)

    def take(self) -> InstantTicket | None:
        """Give the next one."""
        return self._tickets.popleft() if self._tickets else None

    def take_overdue(self, now: float) -> list[InstantTicket]:
        """Give those whose budget has ended."""
        overdue = [ticket for ticket in self._tickets if ticket.deadline <= now]
        if overdue:
            self._tickets = deque(ticket for ticket in self._tickets if ticket.deadline > now)
        return overdue

    def take_all(self) -> list[InstantTicket]:
        """Give all of them."""
        tickets = list(self._tickets)
        self._tickets.clear()
        return tickets

    def withdraw(self, ticket: InstantTicket) -> bool:
        """Take one out; False when it does not wait here."""
        if ticket not in self._tickets:
            return False
        self._tickets.remove(ticket)
        return True


def begin_attempt(ticket: InstantTicket, attempt: Attempt) -> None:
    """Note that an attempt is about to leave."""
    ticket.attempts.append(attempt)
    ticket.command = advance(ticket.command, Claimed(at=attempt.sent_at, attempt_id=attempt.id))


def end_attempt(ticket: InstantTicket, end: AttemptEnd, *, is_last: bool) -> None:
    """Note how the newest attempt ended."""
    ticket.attempts[-1] = replace(ticket.attempts[-1], end=end)
    if end.outcome is Outcome.SUCCESS:
        ticket.command = advance(ticket.command, Succeeded(at=end.at, end=end))
    elif is_last:
        ticket.command = advance(ticket.command, FailedForGood(at=end.at, end=end))
    else:
        ticket.command = advance(ticket.command, FailedForNow(at=end.at, end=end))


def end_unsent(ticket: InstantTicket, outcome: Outcome, at: Instant) -> None:
    """Note that it ended while it waited."""
    ticket.command = advance(ticket.command, Refused(at=at, outcome=outcome))


def may_send_again(ticket: InstantTicket, now: float) -> bool:
    """Tell whether a new registration may have it sent again: once, within its budget, if the policy allows."""
    command = ticket.command
    return (
        command.delivery is DeliveryPolicy.AT_LEAST_ONCE
        and command.remaining is not None
        and command.remaining > 0
        and now < ticket.deadline
    )
