"""Notifications of known observations: stored first, acknowledged then.

An acknowledgement says that the points are on disk (design section 4). What cannot be written now is not answered: the
device repeats it, and the repetition is a new notification. What can never be written is acknowledged and logged,
because repeating it would change nothing. The uplink is told after the acknowledgement; a notification that asks for
none counts as accepted once its points are on disk.

Here: that order, the rest of a notification that comes in blocks, and the end of an observation. Not here: whose
notification it is (services.sessions), what it says (lwm2m_reports).
Source: southbound reference 1.7, 1.8; RFC 7641 sections 3.4 and 4.2; RFC 7959 section 3.4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from commandpost.domain.errors import CommandpostError, NotFound, PortError
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, EventSink, IdSource
from commandpost.domain.session import Observation, Remote, Session
from commandpost.protocols.coap.blockwise import is_partial
from commandpost.protocols.coap.budget import Budget
from commandpost.protocols.coap.codes import Code, is_success
from commandpost.protocols.coap.events import EndReason, ResponseHandle
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.operations import encode_path
from commandpost.services.observations import Reading
from commandpost.southbound.coap_driver import CoapDriver, ExchangeEnd
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.open_tasks import OpenTasks

FETCH_S: Final = 40.0
"""For all further blocks; a device repeats its notification for the last time after 31 to 45 s (RFC 7252 section
4.8.2: MAX_TRANSMIT_SPAN), and that one should find us ready to begin again."""
FAULTS_LOGGED_PER_S: Final = 10.0  # enough to see who and why; a fleet that sends rubbish must not fill the disk
FAULTS_LOGGED_BURST: Final = 100

_SILENCES: Final = (EndReason.TIMED_OUT, EndReason.OVERFLOW, EndReason.RESET)


class ObservationKeeper(Protocol):
    """What the sessions service does for an observation that has ended."""

    async def drop_observation(self, session: Session, coap_token: bytes) -> object:
        """Forget an observation that the device has ended."""
        ...


@dataclass(frozen=True, slots=True)
class _Arrival:
    """One notification, when it was measured, and whose it is."""

    remote: Remote
    message: CoapMessage
    handle: ResponseHandle
    session: Session
    observation: Observation
    at: Instant


class ReportLog:
    """What went wrong with reports of devices, so much of it as an operator can read. Never a payload."""

    def __init__(self, *, events: EventSink, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._budget = Budget(per_s=FAULTS_LOGGED_PER_S, burst=FAULTS_LOGGED_BURST)

    def tell(self, event: str, device_id: DeviceId, **fields: object) -> None:
        """Tell the log, unless it has been told enough."""
        if self._budget.take(now=self._clock.monotonic()):
            self._events.emit(event, device_id=device_id, **fields)


class NotificationReceiver:
    """Takes notifications whose observation is known."""

    def __init__(
        self,
        *,
        driver: CoapDriver,
        observations: ObservationKeeper,
        reports: Lwm2mReports | None,
        on_accepted: Callable[[Session], object],
        ids: IdSource,
        clock: Clock,
        log: ReportLog,
        work: OpenTasks,
        open_max: int,
    ) -> None:
        """Begin with nothing at work.

        Args:
            reports: None keeps no values: every notification is acknowledged at once.
            on_accepted: hears of each notification that was accepted, once its acknowledgement has left.
            work: shared with others whose work a stop has to await; `open_max` bounds all of it.
        """
        self._driver = driver
        self._observations = observations
        self._reports = reports
        self._on_accepted = on_accepted
        self._ids = ids
        self._clock = clock
        self._log = log
        self._work = work
        self._open_max = open_max
        self._fetches = 0

    def take(
        self,
        remote: Remote,
        message: CoapMessage,
        handle: ResponseHandle,
        session: Session,
        observation: Observation,
    ) -> None:
        """Take a notification."""
        self._driver.know(remote)
        if not is_success(message.code):
            # RFC 7641 section 4.2: a notification with an error code is the last one of its observation.
            self._accept(handle, session)
            self._work.start(self._drop(session, observation))
        elif self._reports is None or message.code != Code.CONTENT:
            self._accept(handle, session)
        elif len(self._work) + self._fetches >= self._open_max:
            self._log.tell("notification_declined", session.device_id, reason="too many reports at work")
            self._driver.decline(handle)
        else:
            at = self._reports.date_notification(message)
            arrival = _Arrival(remote, message, handle, session, observation, at)
            if is_partial(message):
                self._fetch(arrival)
            else:
                self._read(self._reports, arrival, message)

    def _accept(self, handle: ResponseHandle, session: Session) -> None:
        self._driver.acknowledge(handle, then=partial(self._on_accepted, session))

    # --- storing ---

    def _read(self, reports: Lwm2mReports, arrival: _Arrival, message: CoapMessage) -> None:
        try:
            readings = reports.read_notification(message, path=arrival.observation.path, at=arrival.at)
        except DecodeError as error:
            self._log.tell(
                "notification_undecodable",
                arrival.session.device_id,
                path=str(arrival.observation.path),
                content_format=message.content_format,
                payload_bytes=len(message.payload),
                offset=error.offset,
            )
            self._accept(arrival.handle, arrival.session)
            return
        self._work.start(self._keep(reports, arrival, readings))

    async def _keep(self, reports: Lwm2mReports, arrival: _Arrival, readings: tuple[Reading, ...]) -> None:
        session = arrival.session
        try:
            left_out = await reports.keep(session, readings)
        except NotFound:
            self._driver.reset(arrival.handle)  # deleted meanwhile: as if it had never been (southbound reference 1.8)
            return
        except PortError as error:
            self._log.tell("notification_declined", session.device_id, reason=error.code)
            self._driver.decline(arrival.handle)
            return
        except CommandpostError as error:
            self._log.tell("notification_refused", session.device_id, reason=error.code)
        else:
            if left_out:
                self._log.tell("values_left_out", session.device_id, count=left_out)
        self._accept(arrival.handle, session)

    async def _drop(self, session: Session, observation: Observation) -> None:
        try:
            await self._observations.drop_observation(session, observation.coap_token)
        except CommandpostError as error:
            self._log.tell("observation_not_dropped", session.device_id, reason=error.code)

    # --- the rest of one that came in blocks ---

    def _fetch(self, arrival: _Arrival) -> None:
        """Ask for the blocks after the first; the device serves them while it waits for its acknowledgement."""
        options = encode_path(arrival.observation.path, alternate_path=arrival.session.alternate_path)
        content_format = arrival.message.find_option(Option.CONTENT_FORMAT)
        if content_format is not None:  # the same representation, or the blocks would not fit together
            options = (*options, (int(Option.ACCEPT), content_format))
        self._fetches += 1
        self._driver.fetch_rest(
            arrival.remote,
            Request(code=Code.GET, options=options),
            arrival.message,
            # Nobody can guess it: without DTLS it is the only proof that a block is the device's.
            token=self._ids.new_coap_token(arrival.session.device_id),
            deadline=self._clock.monotonic() + FETCH_S,
            then=partial(self._on_fetched, arrival),
        )

    def _on_fetched(self, arrival: _Arrival, end: ExchangeEnd) -> None:
        self._fetches -= 1
        assert self._reports is not None, "nothing is fetched that nobody keeps"
        if isinstance(end, CoapMessage):
            self._read(self._reports, arrival, end)
            return
        device_id, path = arrival.session.device_id, str(arrival.observation.path)
        if end in _SILENCES:
            self._log.tell("notification_declined", device_id, reason=f"blocks {end.value}", path=path)
            self._driver.decline(arrival.handle)
        else:
            self._log.tell("notification_undecodable", device_id, reason=end.value, path=path)
            self._accept(arrival.handle, arrival.session)
