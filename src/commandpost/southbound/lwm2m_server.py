"""What LwM2M devices begin: Register, Update, De-register, Notify, Send.

Here: from the request to our reply, and the uplink told after the reply has left. Not here: whether a device is known
and its auth code right (services.sessions), what an uplink releases (services.dispatcher), what is reported
(lwm2m_notifications, lwm2m_send), bootstraps (lwm2m_bootstrap), duplicates (protocols/coap: they never come this far).

A reply to a peer that is no device of ours carries no payload and comes out of a budget, because its address may be
spoofed. An accepted uplink is always answered.

Source: southbound reference 1.4, 1.5, 1.8, 2.2 and 4.4.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final, Protocol

from commandpost.domain.command import Trigger
from commandpost.domain.errors import CommandpostError
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, EventSink, IdSource
from commandpost.domain.session import OBSERVATION_TOKEN_BYTES, Observation, Remote, Session
from commandpost.protocols.coap.budget import Budget
from commandpost.protocols.coap.codes import Code, format_code
from commandpost.protocols.coap.events import ReplyHandle, ResponseHandle
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.lwm2m.bootstrap import BootstrapRequest, parse_bootstrap
from commandpost.protocols.lwm2m.registration import (
    REGISTRATION_PATH,
    DeregisterRequest,
    RegisterRequest,
    Rejected,
    UpdateRequest,
    parse_registration,
)
from commandpost.protocols.lwm2m.reports import find_send
from commandpost.services.sessions import Registration, RegistrationUpdate, SessionRefusal
from commandpost.southbound.coap_driver import CoapDriver
from commandpost.southbound.lwm2m_bootstrap import BootstrapServer
from commandpost.southbound.lwm2m_notifications import NotificationReceiver, ReportLog
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.lwm2m_send import SendReceiver
from commandpost.southbound.open_tasks import OpenTasks
from commandpost.southbound.refusals import RefusalBudget
from commandpost.southbound.remote import format_remote, host_of
from commandpost.southbound.settings import CoapSettings

_TOKEN_DEVICE_BYTES: Final = 4
_LWM2M_VERSION_DEFAULT: Final = "1.0"  # OMA LwM2M 1.0 clients leave `lwm2m=` out

REFUSALS_LOGGED_PER_S: Final = 10.0  # enough to see who and why; a storm must not fill the disk
REFUSALS_LOGGED_BURST: Final = 100

_CODE_OF_REFUSAL: Final = {
    SessionRefusal.BAD_REQUEST: Code.BAD_REQUEST,
    SessionRefusal.FORBIDDEN: Code.FORBIDDEN,
    SessionRefusal.NOT_FOUND: Code.NOT_FOUND,
    SessionRefusal.UNAVAILABLE: Code.SERVICE_UNAVAILABLE,
}

SessionOutcome = Session | SessionRefusal


class SessionKeeper(Protocol):
    """What the sessions service does for a device that speaks first; see services.sessions."""

    async def register(self, registration: Registration, remote: Remote) -> SessionOutcome:
        """Begin a session; committed when it returns."""
        ...

    def update(self, update: RegistrationUpdate, remote: Remote, then: Callable[[SessionOutcome], object]) -> None:
        """Go on with a session; `then` may be called inside the call."""
        ...

    async def deregister(self, location: str, auth_code: bytes | None, remote: Remote) -> SessionOutcome:
        """End a session; gives it as it was."""
        ...

    def hear_notification(
        self,
        coap_token: bytes,
        remote: Remote,
        then: Callable[[tuple[Session, Observation] | None], object],
        otherwise: Callable[[], object],
    ) -> None:
        """Find the observation a token belongs to; either may be called inside the call, `otherwise` without answer."""
        ...

    def hear_sender(
        self, remote: Remote, then: Callable[[Session | None], object], otherwise: Callable[[], object]
    ) -> None:
        """Find the online session whose address this is; either may be called inside the call."""
        ...

    def find(self, device_id: DeviceId) -> Session | None:
        """Give the session in memory."""
        ...

    async def drop_observation(self, session: Session, coap_token: bytes) -> object:
        """Forget an observation that the device has ended."""
        ...


class UplinkListener(Protocol):
    """Hears of uplinks: the dispatcher."""

    def uplink(self, session: Session, trigger: Trigger) -> None:
        """The device has shown itself, and our reply has been sent."""
        ...


class Lwm2mServer:
    """Answers devices; a CoapHandler."""

    def __init__(
        self,
        *,
        driver: CoapDriver,
        sessions: SessionKeeper,
        uplinks: UplinkListener,
        ids: IdSource,
        before_keeping: Callable[[Remote], object],
        clock: Clock,
        events: EventSink,
        settings: CoapSettings,
        reports: Lwm2mReports | None = None,
        bootstraps: BootstrapServer | None = None,
        describe_remote: Callable[[Remote], str] = format_remote,
    ) -> None:
        """Serve nothing before `start`.

        Without `reports` no values are kept, and a Send finds nothing here; without `bootstraps` neither does `/bs`.
        `before_keeping` is told whose request or report may change something on disk, before anything is written.
        """
        self._driver = driver
        self._sessions = sessions
        self._uplinks = uplinks
        self._before_keeping = before_keeping
        self._clock = clock
        self._events = events
        self._describe = describe_remote
        self._settings = settings
        self._bootstraps = bootstraps
        self._refusals = RefusalBudget(
            per_s=settings.refusals_per_s,
            burst=settings.refusals_burst,
            host_per_s=settings.host_refusals_per_s,
            host_burst=settings.host_refusals_burst,
            hosts_max=settings.refused_hosts_max,
        )
        self._refusal_log = Budget(per_s=REFUSALS_LOGGED_PER_S, burst=REFUSALS_LOGGED_BURST)
        self._requests = OpenTasks()
        self._reports = OpenTasks()
        log = ReportLog(events=events, clock=clock)
        self._notifications = NotificationReceiver(
            driver=driver,
            observations=sessions,
            reports=reports,
            on_accepted=self._on_report,
            ids=ids,
            clock=clock,
            log=log,
            work=self._reports,
            open_max=settings.reports_open_max,
        )
        self._sends = None
        if reports is not None:
            self._sends = SendReceiver(
                driver=driver,
                reports=reports,
                on_accepted=self._on_report,
                log=log,
                work=self._reports,
                open_max=settings.reports_open_max,
                retry_after_s=settings.retry_after_s,
            )
        self._is_stopping = False
        self.answers_from_elsewhere = 0
        """Answers of registered devices that came from another address than the one asked, or long after it."""

    @property
    def refusals_suppressed(self) -> int:
        """How many refusals were swallowed by the budget."""
        return self._refusals.suppressed

    def start(self) -> None:
        """Begin to receive."""
        self._driver.serve(self)

    async def drain(self, timeout_s: float) -> None:
        """Take nothing new, and wait until what is at work has been answered; what takes longer is cancelled.

        Devices that speak meanwhile get no reply, not even 5.03: they repeat themselves, and reach the next run of the
        server. Any answer but 2.04 would make them register anew.
        """
        self._is_stopping = True
        if self._bootstraps is not None:
            self._bootstraps.stop()
        # A cancelled report is not acknowledged, so it comes again.
        await asyncio.gather(self._requests.drain(timeout_s), self._reports.drain(timeout_s))

    # --- requests ---

    def request_received(self, remote: Remote, message: CoapMessage, reply_to: ReplyHandle) -> None:
        """Answer a request, now or when the store has it."""
        if self._is_stopping:
            return
        match parse_registration(message):
            case UpdateRequest() as request:  # first, because nearly every request is one
                update = RegistrationUpdate(
                    location=request.location,
                    lifetime_s=request.lifetime_s,
                    binding=request.binding,
                    is_queue_mode=request.is_queue_mode,
                    links=request.links,
                    alternate_path=request.alternate_path,
                    accepted_formats=request.accepted_formats,
                    auth_code=request.auth_code,
                )
                self._sessions.update(update, remote, partial(self._answer_update, remote, reply_to))
            case RegisterRequest() as request:
                self._work(remote, reply_to, self._register(request, remote, reply_to))
            case DeregisterRequest() as request:
                self._work(remote, reply_to, self._deregister(request, remote, reply_to))
            case Rejected(code=code, reason=reason):
                self._refuse(remote, reply_to, code, reason)
            case None:
                self._take_other(remote, message, reply_to)

    def _take_other(self, remote: Remote, message: CoapMessage, reply_to: ReplyHandle) -> None:
        asked = None if self._bootstraps is None else parse_bootstrap(message)
        if isinstance(asked, BootstrapRequest):
            self._work(remote, reply_to, self._bootstrap(asked, remote, reply_to))
        elif isinstance(asked, Rejected):
            self._refuse(remote, reply_to, asked.code, asked.reason)
        else:
            self._take_send(remote, message, reply_to)

    async def _bootstrap(self, request: BootstrapRequest, remote: Remote, reply_to: ReplyHandle) -> None:
        assert self._bootstraps is not None, "else the request was not read"
        refusal = await self._bootstraps.take(request, remote, reply_to)
        if refusal is not None:
            self._refuse_session(remote, reply_to, refusal, "bootstrap")

    def _take_send(self, remote: Remote, message: CoapMessage, reply_to: ReplyHandle) -> None:
        found = find_send(message)
        if isinstance(found, Rejected):
            self._refuse(remote, reply_to, found.code, found.reason)
        elif not found or self._sends is None:
            self._refuse(remote, reply_to, Code.NOT_FOUND, "unknown path")
        else:
            self._sessions.hear_sender(
                remote,
                partial(self._found_sender, self._sends, remote, message, reply_to),
                partial(self._refuse, remote, reply_to, Code.SERVICE_UNAVAILABLE, "send: its session cannot be read"),
            )

    def _found_sender(
        self, sends: SendReceiver, remote: Remote, message: CoapMessage, reply_to: ReplyHandle, session: Session | None
    ) -> None:
        if session is None:
            self._refuse(remote, reply_to, Code.NOT_FOUND, "send: nobody is registered at this address")
        elif not self._is_stopping:
            self._before_keeping(remote)
            sends.take(remote, message, reply_to, session)

    async def _register(self, request: RegisterRequest, remote: Remote, reply_to: ReplyHandle) -> None:
        registration = Registration(
            endpoint_name=request.endpoint_name,
            lifetime_s=request.lifetime_s,
            binding=request.binding,
            is_queue_mode=request.is_queue_mode,
            lwm2m_version=request.lwm2m_version or _LWM2M_VERSION_DEFAULT,
            links=request.links,
            alternate_path=request.alternate_path,
            accepted_formats=request.accepted_formats,
            auth_code=request.auth_code,
        )
        outcome = await self._sessions.register(registration, remote)
        if isinstance(outcome, SessionRefusal):
            self._refuse_session(remote, reply_to, outcome, "register")
            return
        self._events.emit("device_registered", device_id=outcome.device_id, remote=self._describe(remote))
        location = (
            (int(Option.LOCATION_PATH), REGISTRATION_PATH.encode()),
            (int(Option.LOCATION_PATH), outcome.location.encode()),
        )
        self._accept(remote, reply_to, outcome, Code.CREATED, options=location, trigger=Trigger.REGISTER)

    def _answer_update(self, remote: Remote, reply_to: ReplyHandle, outcome: SessionOutcome) -> None:
        if isinstance(outcome, SessionRefusal):
            self._refuse_session(remote, reply_to, outcome, "update")
        else:
            self._accept(remote, reply_to, outcome, Code.CHANGED, trigger=Trigger.UPDATE)

    async def _deregister(self, request: DeregisterRequest, remote: Remote, reply_to: ReplyHandle) -> None:
        outcome = await self._sessions.deregister(request.location, request.auth_code, remote)
        if isinstance(outcome, SessionRefusal):
            self._refuse_session(remote, reply_to, outcome, "deregister")
            return
        self._events.emit("device_deregistered", device_id=outcome.device_id, remote=self._describe(remote))
        self._driver.respond(reply_to, code=Code.DELETED)
        self._driver.forget(remote)

    def _accept(
        self,
        remote: Remote,
        reply_to: ReplyHandle,
        session: Session,
        code: Code,
        *,
        trigger: Trigger,
        options: tuple[tuple[int, bytes], ...] = (),
    ) -> None:
        if session.identity_label is None:
            self._driver.doubt(remote, reply_to)  # what the setup sends there must not be more than a forger's due
        self._driver.know(remote)
        self._driver.respond(reply_to, code=code, options=options, then=partial(self._uplinks.uplink, session, trigger))

    def _refuse_session(self, remote: Remote, reply_to: ReplyHandle, refusal: SessionRefusal, what: str) -> None:
        self._refuse(remote, reply_to, _CODE_OF_REFUSAL[refusal], f"{what}: {refusal.name.lower()}")

    def _refuse(self, remote: Remote, reply_to: ReplyHandle, code: int, reason: str) -> None:
        """Answer without a payload; or not at all, once the budget of the host or of the house is spent."""
        if not self._refusals.take(host_of(remote), now=self._clock.monotonic()):
            return
        if self._refusal_log.take(now=self._clock.monotonic()):
            self._events.emit(
                "coap_request_refused", remote=self._describe(remote), code=format_code(code), reason=reason
            )
        options: tuple[tuple[int, bytes], ...] = ()
        if code == Code.SERVICE_UNAVAILABLE:
            options = ((int(Option.MAX_AGE), encode_uint(self._settings.retry_after_s)),)
        self._driver.respond(reply_to, code=code, options=options)

    def _work(self, remote: Remote, reply_to: ReplyHandle, work: Coroutine[None, None, None]) -> None:
        """Let something run that waits for the store; refused early when too much of it does."""
        if len(self._requests) >= self._settings.requests_open_max:
            work.close()
            self._refuse(remote, reply_to, Code.SERVICE_UNAVAILABLE, "too many registrations at work")
            return
        self._before_keeping(remote)
        self._requests.start(self._finish(remote, reply_to, work))

    async def _finish(self, remote: Remote, reply_to: ReplyHandle, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except CommandpostError as error:
            # The store is full or gone. The device keeps what it has and asks again.
            self._refuse(remote, reply_to, Code.SERVICE_UNAVAILABLE, str(error))

    # --- responses to no open exchange ---

    def response_unmatched(self, remote: Remote, message: CoapMessage, handle: ResponseHandle) -> None:
        """Take a notification, or find out what else it is."""
        if self._is_stopping:
            return
        self._sessions.hear_notification(
            message.token,
            remote,
            partial(self._take_notification, remote, message, handle),
            partial(self._driver.decline, handle),
        )

    def _take_notification(
        self,
        remote: Remote,
        message: CoapMessage,
        handle: ResponseHandle,
        found: tuple[Session, Observation] | None,
    ) -> None:
        if found is None:
            self._answer_unknown(remote, message, handle)
        elif not self._is_stopping:
            self._before_keeping(remote)
            self._notifications.take(remote, message, handle, *found)

    def _on_report(self, session: Session) -> None:
        self._uplinks.uplink(session, Trigger.NOTIFY)

    def _answer_unknown(self, remote: Remote, message: CoapMessage, handle: ResponseHandle) -> None:
        """Stop the sender of a notification nobody wants; keep quiet about a late answer.

        An answer from another address than the one we asked does not count (NoSec; southbound reference 2.2), but a
        OneNET device restarts on any RST, so one that carries a registered device's number is acknowledged.
        """
        is_notification = message.find_option(Option.OBSERVE) is not None
        if not is_notification and self._names_known_device(message.token):
            self.answers_from_elsewhere += 1
            self._driver.acknowledge(handle)
        elif self._refusals.take(host_of(remote), now=self._clock.monotonic()):
            self._driver.reset(handle)

    def _names_known_device(self, coap_token: bytes) -> bool:
        if len(coap_token) != OBSERVATION_TOKEN_BYTES:
            return False
        device_id = DeviceId(int.from_bytes(coap_token[:_TOKEN_DEVICE_BYTES], "big"))
        return self._sessions.find(device_id) is not None
