"""The side of a platform that tells the users' servers: subscriptions, deliveries, triggers.

Here: building and connecting those objects. Not here: the rest of the platform (assembly), HTTP itself
(northbound.push_client).
"""

from dataclasses import dataclass

from commandpost.app.world import World
from commandpost.config import Settings
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.push import GiveUpRule
from commandpost.northbound.onenet.call import PushServices
from commandpost.services.push.deliveries import Deliveries
from commandpost.services.push.settings import PushSettings
from commandpost.services.push.subscriptions import Subscriptions
from commandpost.services.triggers import Triggers


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushing:
    """The connected objects."""

    deliveries: Deliveries
    subscriptions: Subscriptions
    triggers: Triggers

    @property
    def services(self) -> PushServices:
        """What the northbound side serves of it."""
        return PushServices(subscriptions=self.subscriptions, triggers=self.triggers)


def build_pushing(settings: Settings, world: World, *, tick_s: float) -> Pushing:
    """Build every object; nothing is sent before `deliveries.start`."""
    limits = _push_settings(settings, poll_s=tick_s / 10)
    deliveries = Deliveries(
        writer=world.writer,
        reader=world.reader,
        commands=world.reader,
        sender=world.sender,
        secrets=world.secrets,
        ids=world.ids,
        clock=world.clock,
        events=world.events,
        settings=limits,
    )
    subscriptions = Subscriptions(
        writer=world.writer,
        reader=world.reader,
        sender=world.sender,
        secrets=world.secrets,
        clock=world.clock,
        settings=limits,
        on_change=deliveries.refresh,
    )
    triggers = Triggers(
        writer=world.writer,
        reader=world.reader,
        devices=world.reader,
        sender=world.sender,
        clock=world.clock,
        on_change=deliveries.refresh,
    )
    return Pushing(deliveries=deliveries, subscriptions=subscriptions, triggers=triggers)


def _push_settings(settings: Settings, *, poll_s: float) -> PushSettings:
    push = settings.push
    return PushSettings(
        poll_s=poll_s,
        timeout_s=push.timeout_s,
        subscriptions_max=push.subscriptions_max,
        requests_max=push.requests_max,
        requests_per_subscription_max=push.requests_per_subscription_max,
        give_up=GiveUpRule(failures_max=push.failures_max, failing_max_ms=push.failing_max_s * SECOND_MS),
    )
