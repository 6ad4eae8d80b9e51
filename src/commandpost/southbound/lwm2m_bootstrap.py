"""The bootstrap server: answers `/bs`, writes what the device is to know, and always says that it is finished.

A module refuses nearly everything (southbound reference 1.3), so an error of any step is passed over; and it begins
anew when the whole takes more than 20 s. The finish therefore has time set aside that no step before it can use up.
Not here: whether the device may (services), the bytes (protocols/lwm2m/bootstrap).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, EventSink, IdSource, Scheduler, Timer
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codes import Code, format_code, is_success
from commandpost.protocols.coap.events import ReplyHandle
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.lwm2m.bootstrap import (
    BootstrapRequest,
    BootstrapStep,
    BootstrapStyle,
    PskCredential,
    ServerAccount,
    StepKind,
    plan_bootstrap,
)
from commandpost.services.bootstraps import BootstrapGrant
from commandpost.services.registration import SessionRefusal
from commandpost.southbound.coap_driver import CoapDriver, ExchangeEnd
from commandpost.southbound.remote import format_remote

SILENCES_MAX: Final = 2  # in a row, as in the setup of a registration: then only the finish is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """How long a bootstrap may take."""

    steps_s: float
    """From the answer to the request to the last moment of any step but the finish."""
    step_s: float
    """One step."""
    finish_s: float
    """Set aside for the finish."""


_PACES: Final = {
    # 20 s in all (southbound reference 1.3), less a second each way for the radio. A first retransmission after 5 to
    # 7.5 s can still be answered in either part.
    BootstrapStyle.MODULE: _Pace(steps_s=9.0, step_s=9.0, finish_s=9.0),
    # Clients of the standard wait 93 s or more for each message (RFC 7252 section 4.8.2: MAX_TRANSMIT_WAIT).
    BootstrapStyle.GENERIC: _Pace(steps_s=60.0, step_s=15.0, finish_s=15.0),
}
START_DELAY_S: Final = 0.25  # a request that overtakes the 2.04 is ignored by modules (southbound reference 1.6)


class BootstrapKeeper(Protocol):
    """What the bootstraps service does; see services.bootstraps."""

    async def grant(
        self, endpoint_name: str | None, auth_code: bytes | None, remote: Remote
    ) -> BootstrapGrant | SessionRefusal:
        """Say what a device that asks is to be told, or why it is told nothing."""
        ...


class BootstrapServer:
    """Runs the bootstraps that are going on: at most one per device, and a bounded number in all."""

    def __init__(
        self,
        *,
        driver: CoapDriver,
        bootstraps: BootstrapKeeper,
        ids: IdSource,
        clock: Clock,
        scheduler: Scheduler,
        events: EventSink,
        open_max: int,
        describe_remote: Callable[[Remote], str] = format_remote,
    ) -> None:
        """Serve nothing before `take` is called."""
        self._driver = driver
        self._bootstraps = bootstraps
        self._ids = ids
        self._clock = clock
        self._scheduler = scheduler
        self._events = events
        self._describe = describe_remote
        self._open_max = open_max
        self._open: dict[DeviceId, _Bootstrap] = {}

    def __len__(self) -> int:
        """Count the bootstraps that are going on."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return len(self._open) >= self._open_max

    async def take(self, request: BootstrapRequest, remote: Remote, reply_to: ReplyHandle) -> SessionRefusal | None:
        """Answer a request and begin; gives a refusal instead, which the caller answers."""
        grant = await self._bootstraps.grant(request.endpoint_name, request.auth_code, remote)
        if isinstance(grant, SessionRefusal):
            return grant
        under_way = self._open.get(grant.device_id)
        if under_way is None and self.is_full:
            return SessionRefusal.UNAVAILABLE
        if under_way is not None and under_way.is_proven and not grant.is_proven:
            return SessionRefusal.UNAVAILABLE  # whoever knows an IMEI could break off what a key has begun
        self._stop(grant.device_id)
        bootstrap = _Bootstrap(
            grant,
            request,
            remote,
            driver=self._driver,
            token=self._ids.new_coap_token,
            clock=self._clock,
            scheduler=self._scheduler,
            on_ended=self._ended,
        )
        self._open[grant.device_id] = bootstrap
        self._events.emit(
            "bootstrap_started", device_id=grant.device_id, remote=self._describe(remote), style=request.style.value
        )
        if not grant.is_proven:
            self._driver.doubt(remote, reply_to)
        self._driver.know(remote)
        self._driver.respond(reply_to, code=Code.CHANGED, then=bootstrap.start)
        return None

    def stop(self) -> None:
        """Stop every bootstrap: the devices begin anew with the next run of the server."""
        for device_id in tuple(self._open):
            self._stop(device_id)

    def _stop(self, device_id: DeviceId) -> None:
        bootstrap = self._open.pop(device_id, None)
        if bootstrap is not None:
            bootstrap.cancel()

    def _ended(self, bootstrap: "_Bootstrap", is_finished: bool) -> None:
        device_id = bootstrap.device_id
        if self._open.get(device_id) is bootstrap:
            del self._open[device_id]
        self._events.emit(
            "bootstrap_ended", device_id=device_id, is_finished=is_finished, refused=" ".join(bootstrap.refused)
        )


class _Bootstrap:
    """One bootstrap: hands out its steps one after another; one request is open at any time, never two."""

    def __init__(
        self,
        grant: BootstrapGrant,
        request: BootstrapRequest,
        remote: Remote,
        *,
        driver: CoapDriver,
        token: Callable[[DeviceId], bytes],
        clock: Clock,
        scheduler: Scheduler,
        on_ended: "Callable[[_Bootstrap, bool], None]",
    ) -> None:
        self.device_id = grant.device_id
        self.is_proven = grant.is_proven
        self.refused: list[str] = []
        """What the device said to steps it would not take; for the log."""
        self._driver = driver
        self._new_token = token
        self._clock = clock
        self._scheduler = scheduler
        self._on_ended = on_ended
        self._remote = remote
        self._pace = _PACES[request.style]
        self._steps = list(plan_bootstrap(_account(grant), request.style, request.content_format))
        self._silences = 0
        self._steps_end_at = 0.0
        self._exchange_id: int | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin a moment after the answer to the request has left."""
        self._steps_end_at = self._clock.monotonic() + self._pace.steps_s
        self._timer = self._scheduler.call_later(START_DELAY_S, self._go_on)

    def cancel(self) -> None:
        """Stop; nothing more is sent."""
        self._steps.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange_id is not None:
            self._driver.cancel(self._exchange_id)

    def _go_on(self) -> None:
        if not self._steps:
            return
        now = self._clock.monotonic()
        if self._silences >= SILENCES_MAX or now >= self._steps_end_at:
            del self._steps[:-1]
        step = self._steps.pop(0)
        is_finish = step.kind is StepKind.FINISH
        deadline = now + self._pace.finish_s if is_finish else min(now + self._pace.step_s, self._steps_end_at)
        self._exchange_id = self._driver.request(
            self._remote,
            step.request,
            token=self._new_token(self.device_id),
            deadline=deadline,
            then=lambda end: self._on_end(step, end),
        )

    def _on_end(self, step: BootstrapStep, end: ExchangeEnd) -> None:
        self._exchange_id = None
        is_answered = isinstance(end, CoapMessage)
        self._silences = 0 if is_answered else self._silences + 1
        if not isinstance(end, CoapMessage):
            self.refused.append(f"{step.kind.value}:{end.value}")
        elif not is_success(end.code):
            self.refused.append(f"{step.kind.value}:{format_code(end.code)}")
        if self._steps:
            self._go_on()
        else:
            self._on_ended(self, is_answered)


def _account(grant: BootstrapGrant) -> ServerAccount:
    identity = grant.psk_identity
    if identity is None or grant.access_key is None or grant.bootstrap_key is None:
        return ServerAccount(uri=grant.uri)
    return ServerAccount(
        uri=grant.uri,
        credential=PskCredential(identity=identity, key=grant.access_key),
        bootstrap_credential=PskCredential(identity=identity, key=grant.bootstrap_key),
    )
