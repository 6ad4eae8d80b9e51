"""A simulated LwM2M device: registers, updates, sleeps, wakes, notifies, and answers as well or ill as it was told.

Here: the device's life. Everything it uses is given (link, scheduler, clock, randomness), so the same class lives on
the memory network in virtual time and on a real socket. It polls nothing: a sleeping device costs one timer.
Not here: its radio (device_channel), its requests (own_exchange), its notifications (device_notifications), its answers
(request_answerer, object_server), its objects (objects).

Source: OMA LwM2M 1.1 core section 6; southbound reference 1.4 to 1.8, 2.1 and 2.2 for how modules do it.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Final

from commandpost.domain.ports import Clock, Scheduler, Timer
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codes import Code, format_code
from commandpost.protocols.coap.events import (
    Event,
    ExchangeEnded,
    MessageDelivered,
    MessageReset,
    MessageUndelivered,
    RequestReceived,
    ResponseReceived,
    UnmatchedResponse,
)
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.lwm2m.lifetime import renewal_delay_s
from commandpost.simulation.behaviours import CONDUCTS
from commandpost.simulation.bootstrap_client import PENDING_S, BootstrapClient
from commandpost.simulation.device_channel import DeviceChannel, DeviceLink
from commandpost.simulation.device_notifications import DeviceNotifications
from commandpost.simulation.device_settings import DeviceCounters, DeviceSettings, ServedRequest
from commandpost.simulation.object_server import ObjectServer
from commandpost.simulation.objects import ObjectTree
from commandpost.simulation.own_exchange import OwnExchange, Purpose
from commandpost.simulation.registration_path import location_of
from commandpost.simulation.request_answerer import RequestAnswerer

SERVED_KEPT_DEFAULT: Final = 10_000  # entries of the log; a fleet keeps none
BOOT_S: Final = 2.0
_DOUBLINGS_MAX: Final = 16  # of the back-off; retry_max_s ends it long before


class DeviceState(Enum):
    """Where the device stands with its server, as far as it knows."""

    OFF = "off"
    """Not started, stopped, or de-registered."""
    UNREGISTERED = "unregistered"
    """It has no location, and registers at its next wake-up or after its back-off."""
    REGISTERED = "registered"


class SimulatedDevice:
    """One device. `start` switches it on; from then on it lives by its timers and by what it receives."""

    def __init__(
        self,
        *,
        settings: DeviceSettings,
        server: Remote,
        link: DeviceLink,
        scheduler: Scheduler,
        clock: Clock,
        random: Random,
        counters: DeviceCounters | None = None,
        served_kept_max: int = SERVED_KEPT_DEFAULT,
        on_served: Callable[[ServedRequest], object] | None = None,
    ) -> None:
        """Build a device that is off.

        Args:
            random: its own; two devices that share one are not independent.
            counters: shared with other devices, or its own.
            served_kept_max: how many of the newest entries `served` keeps.
            on_served: hears of each request before its answer leaves.
        """
        self.settings = settings
        self.counters = counters if counters is not None else DeviceCounters()
        self.served: deque[ServedRequest] = deque(maxlen=served_kept_max)
        """What the server asked, oldest first: also what was not carried out, and what was carried out again."""
        self.tree = ObjectTree(serial_number=settings.imei, wall_s=lambda: clock.wall_ms() // 1000)
        self.state = DeviceState.OFF
        self.location: str | None = None
        """What the server gave, `rd/…`; None while it is not registered."""
        self.bootstrap = None if settings.bootstrap is None else BootstrapClient(settings.bootstrap)
        self._scheduler = scheduler
        self._random = random
        self._moves_on_uplink = CONDUCTS[settings.behaviour].moves_on_uplink
        self._objects = ObjectServer(
            self.tree,
            tlv_number=settings.tlv_number,
            honours_accept=settings.honours_accept,
            answers_observe_with_value=settings.answers_observe_with_value,
        )
        self._channel = DeviceChannel(
            server=server,
            link=link,
            scheduler=scheduler,
            clock=clock,
            random=random,
            counters=self.counters,
            deduplicates=settings.deduplicates,
            on_event=self._on_event,
        )
        self._answerer = RequestAnswerer(
            settings=settings,
            channel=self._channel,
            objects=self._objects,
            scheduler=scheduler,
            random=random,
            counters=self.counters,
            served=self.served,
            on_reboot=self.reboot,
            on_idle=self._plan,
            on_served=on_served,
        )
        self._exchange = OwnExchange(settings=settings, channel=self._channel, tree=self.tree, random=random)
        self._notifications = DeviceNotifications(
            settings=settings,
            channel=self._channel,
            objects=self._objects,
            tree=self.tree,
            random=random,
            counters=self.counters,
        )
        self._failures_in_a_row = 0
        self._was_let_in = False
        self._renew_at = 0.0
        self._life: Timer | None = None

    # What its owner may see and do.

    @property
    def is_awake(self) -> bool:
        """Whether its radio is on."""
        return self._channel.is_on

    @property
    def observed(self) -> tuple[str, ...]:
        """The paths the server observes, in the order of its requests."""
        return tuple(str(observation.path) for observation in self._objects.observations)

    def start(self, *, delay_s: float = 0.0) -> None:
        """Switch on after a delay; harmless when it is on."""
        if self.state is DeviceState.OFF:
            self.state = DeviceState.UNREGISTERED
            self._live_at(self._channel.now() + delay_s)

    def stop(self) -> None:
        """Switch off at once without a word, as when the battery is taken out."""
        self._restart()
        self.state = DeviceState.OFF
        if self._life is not None:
            self._life.cancel()
            self._life = None

    def deregister(self) -> None:
        """Say good-bye to the server, then be off; at once off when it was not registered."""
        if self.location is None:
            self.stop()
            return
        self._channel.turn_on()
        self._exchange.deregister(self.location)
        self._channel.drive()

    def wake(self) -> None:
        """Turn the radio on and do what it does at every wake-up, now."""
        if self.state is DeviceState.OFF:
            return
        self._channel.turn_on()
        if not self._exchange.is_open:
            if self._moves_on_uplink:
                self._channel.rebind()
            if self.location is None or self.settings.updates_on_wake or self._channel.now() >= self._renew_at:
                self._renew()
            elif self.settings.notify_s is not None:
                self._notifications.send()
        self._channel.drive()
        self._plan()

    def sleep(self) -> None:
        """Turn the radio off now, whatever is open; it wakes `sleep_s` later."""
        if self.state is not DeviceState.OFF:
            self._sleep()

    def update(self) -> None:
        """Send an Update now, or a Register when it has no registration."""
        if self.state is not DeviceState.OFF and not self._exchange.is_open:
            self._channel.turn_on()
            self._renew()
            self._channel.drive()

    def notify(self) -> None:
        """Measure, and notify everything that is observed, now."""
        if self.state is DeviceState.REGISTERED:
            self._channel.turn_on()
            self._notifications.send()
            self._channel.drive()
            self._plan()

    def move(self) -> None:
        """Take a new source address without telling anybody."""
        self._channel.rebind()

    def reboot(self) -> None:
        """Restart: registration, observations and open exchanges are gone, the objects' values stay."""
        if self.state is not DeviceState.OFF:
            self.counters.reboots += 1
            self._restart()
            self._live_at(self._channel.now() + BOOT_S)

    # Its life: one timer, set to the next thing it does by itself.

    def _live(self) -> None:
        self._life = None
        now = self._channel.now()
        if not self.is_awake:
            self.wake()
        elif self._exchange.is_open:
            return  # its end plans anew
        elif self.bootstrap is not None and self.bootstrap.is_pending:
            self.bootstrap.give_up()
            self._fail("bootstrap: not finished in time")
            self._channel.takes_requests = False
            self._back_off()
        elif self.location is None or now >= self._renew_at:
            self.wake()
        elif self._notifications.are_regular and now >= self._notifications.due_at:
            self.notify()
        elif self._may_sleep and now >= self._channel.traffic_at + self.settings.awake_s:
            self._sleep()
        else:
            self._plan()

    def _plan(self) -> None:
        """Set the timer to the next thing; nothing while an exchange is open or none led to a registration."""
        if self.location is None or not self.is_awake or self._exchange.is_open:
            return
        at = self._renew_at
        if self._notifications.are_regular:
            at = min(at, self._notifications.due_at)
        if self._may_sleep:
            at = min(at, self._channel.traffic_at + self.settings.awake_s)
        self._live_at(at)

    @property
    def _may_sleep(self) -> bool:
        is_settled = self._notifications.are_delivered and not self._answerer.is_busy
        return self.settings.sleep_s > 0 and is_settled

    def _live_at(self, at: float) -> None:
        if self._life is not None:
            self._life.cancel()
        self._life = self._scheduler.call_later(max(0.0, at - self._channel.now()), self._live)

    def _sleep(self) -> None:
        self._channel.turn_off()
        jitter = 1.0 + self.settings.sleep_jitter * (2.0 * self._random.random() - 1.0)
        at = self._channel.now() + self.settings.sleep_s * jitter
        self._live_at(at if self.location is None else min(at, self._renew_at))

    def _restart(self) -> None:
        self._lose_registration()
        self._answerer.forget()
        self._exchange.forget()
        self._notifications.forget()
        self._channel.restart()

    # Registration.

    def _renew(self) -> None:
        if self.bootstrap is not None and not self.bootstrap.is_finished:
            self._exchange.bootstrap()
        elif self.location is None:
            self._exchange.register()
        else:
            self._exchange.update(self.location)

    def _on_own_end(self, exchange_id: int, message: CoapMessage | None) -> None:
        purpose = self._exchange.take_end(exchange_id)
        if purpose is None:
            return
        match purpose, message.code if message is not None else None:
            case Purpose.BOOTSTRAP, Code.CHANGED if self.bootstrap is not None:
                self.bootstrap.begin()
                self._channel.takes_requests = True
                self._live_at(self._channel.now() + PENDING_S)
            case Purpose.REGISTER, Code.CREATED if message is not None and (location := location_of(message)):
                self._become_registered(location)
            case Purpose.UPDATE, Code.CHANGED:
                self.counters.updates += 1
                self._renewed()
            case Purpose.DEREGISTER, _:
                self.counters.deregistrations += message is not None and message.code == Code.DELETED
                self.stop()
            case Purpose.UPDATE, int():
                # Whatever else it says, the client drops to a new registration (southbound reference 1.5).
                self._fail_own(purpose, message)
                self._lose_registration()
                self._renew()
            case _:
                self._fail_own(purpose, message)
                self._lose_registration()
                self._back_off()

    def _fail_own(self, purpose: Purpose, message: CoapMessage | None) -> None:
        self._fail(f"{purpose.value}: {'no answer' if message is None else format_code(message.code)}")

    def _fail(self, why: str) -> None:
        self.counters.failures += 1
        self.counters.last_failure = why

    def _on_bootstrap_request(self, bootstrap: BootstrapClient, event: RequestReceived) -> None:
        code = bootstrap.answer(event.message)
        self._channel.endpoint.respond(event.reply_to, code=code, now=self._channel.now())
        if bootstrap.is_finished:
            self._channel.takes_requests = False
            self._renew()

    def _become_registered(self, location: str) -> None:
        self.counters.registrations += 1
        self.counters.registered_now += 1
        self.counters.let_in += not self._was_let_in
        self._was_let_in = True
        self.location = location
        self.state = DeviceState.REGISTERED
        self._channel.takes_requests = True
        self._objects.forget_server()
        self._renewed()

    def _renewed(self) -> None:
        now = self._channel.now()
        self._failures_in_a_row = 0
        self._renew_at = now + renewal_delay_s(self.settings.lifetime_s)
        if self.settings.notify_s is not None and now >= self._notifications.due_at:
            self._notifications.send()
        self._plan()

    def _lose_registration(self) -> None:
        if self.location is not None:
            self.counters.registered_now -= 1
        self.location = None
        self.state = DeviceState.UNREGISTERED
        self._channel.takes_requests = False
        self._objects.forget_server()

    def _back_off(self) -> None:
        """Try again later; a device that sleeps turns its radio off meanwhile."""
        doublings = min(self._failures_in_a_row, _DOUBLINGS_MAX)
        self._failures_in_a_row += 1
        delay_s = min(self.settings.retry_max_s, self.settings.retry_min_s * 2**doublings)
        if self.settings.sleep_s:
            self._channel.turn_off()
        self._live_at(self._channel.now() + delay_s * (1.0 + self._random.random() / 2))

    # Events.

    def _on_event(self, event: Event) -> None:
        match event:
            case RequestReceived() if self.bootstrap is not None and self.bootstrap.is_pending:
                self._on_bootstrap_request(self.bootstrap, event)
            case RequestReceived():
                self._answerer.take(event)
                if self.settings.notify_s:
                    self._plan()  # an observation may have begun
            case ResponseReceived():
                self._on_own_end(event.exchange_id, event.message)
            case ExchangeEnded():
                self._on_own_end(event.exchange_id, None)
            case MessageDelivered():
                self._on_notified()
            case MessageUndelivered():
                self.counters.failures += 1
                self._on_notified()
            case MessageReset():
                self.counters.resets += 1
                self._objects.drop_observation(event.delivery_id)
                self._on_notified()
            case UnmatchedResponse():
                self._channel.endpoint.reset(event.handle, now=self._channel.now())
            case _:
                pass

    def _on_notified(self) -> None:
        self._notifications.ended()
        self._plan()
