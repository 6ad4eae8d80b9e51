"""What there is to tell: the lanes of all subscriptions, and how they hear of what lies in the outbox.

Two ways lead to it. What is told from now on is found by its place in the order of telling, for all subscriptions at
once; what lay there before, or found no room in memory, by a sweep over a subscription's queues.
"""

import asyncio

from commandpost.domain.errors import CommandpostError
from commandpost.domain.ports import Clock, EventSink, SecretBox
from commandpost.domain.push import Subscription, rest_s
from commandpost.domain.push_ports import PushReader, PushTarget
from commandpost.services.push.receiver_lane import ReceiverLane
from commandpost.services.push.settings import SWEEP_QUEUES, TOLD_PAGE


class OutboxWatch:
    """See the module."""

    def __init__(self, *, reader: PushReader, secrets: SecretBox, clock: Clock, events: EventSink) -> None:
        self._reader = reader
        self._secrets = secrets
        self._clock = clock
        self._events = events
        self._told_to = 0
        self.lanes: dict[int, ReceiverLane] = {}
        """By subscription."""

    async def load_lanes(self) -> None:
        """Take over which subscriptions there are."""
        if not self.lanes:
            # Before the lanes: what is told from here on is news, what was told before is found by their sweeps.
            self._told_to = await self._reader.last_told()
        found = {each.id: each for each in await self._reader.list_subscriptions(None)}
        for lane_id in [lane_id for lane_id in self.lanes if lane_id not in found]:
            self.lanes.pop(lane_id).is_removed = True
        for subscription in found.values():
            self._load_lane(subscription)

    def _load_lane(self, subscription: Subscription) -> None:
        lane = self.lanes.get(subscription.id)
        if lane is not None and lane.subscription == subscription:
            return
        try:
            target = open_target(subscription, self._secrets)
        except CommandpostError as error:  # its secrets were sealed with another key: the others go on
            self._events.emit("push_subscription_unusable", subscription_id=subscription.id, error=error.code)
            return
        if lane is None:
            self.lanes[subscription.id] = ReceiverLane(subscription, target)
        else:
            lane.subscription, lane.target = subscription, target

    async def find_news(self) -> None:
        """Hear of what was told since the last time."""
        while self.lanes:
            told = await self._reader.told_after(self._told_to, TOLD_PAGE)
            now, wall = self._clock.monotonic(), self._clock.wall_ms()
            for each in told:
                lane = self.lanes.get(each.subscription_id)
                if lane is not None:
                    until = now + rest_s(each.due_at, now=wall)
                    lane.note_news(each.device_id, failures=each.failures, until=until, now=now)
                self._told_to = each.seq
            if len(told) < TOLD_PAGE:
                return
            await asyncio.sleep(0)

    async def sweep(self, lane: ReceiverLane) -> bool:
        """Find a page of the queues on disk that a lane may not know; gives whether there may be more."""
        if not lane.can_learn:
            return False
        if not lane.swept_to:
            lane.begin_sweep()
        found = await self._reader.waiting_queues(lane.id, lane.swept_to, SWEEP_QUEUES)
        now, wall = self._clock.monotonic(), self._clock.wall_ms()
        for queue in found:
            until = now + rest_s(queue.due_at, now=wall)
            if not lane.note_waiting(queue.device_id, failures=queue.failures, until=until, now=now):
                # It is the first to be looked at when there is room: so each gets its turn, however many there are.
                return False
            lane.swept_to = queue.device_id
        if len(found) < SWEEP_QUEUES:
            lane.end_sweep()
        return lane.is_behind and lane.has_room


def open_target(subscription: Subscription, secrets: SecretBox) -> PushTarget:
    """Give where a subscription's messages go, with its secrets in the clear.

    Raises:
        StoreUnavailable: they were sealed with another key.
    """
    token, aes_key = subscription.sealed_token, subscription.sealed_aes_key
    return PushTarget(
        url=subscription.url,
        token=None if token is None else secrets.unseal(token).decode(),
        aes_key=None if aes_key is None else secrets.unseal(aes_key).decode(),
    )
