"""Operations on their way to LwM2M devices, and what their answers mean for the attempt.

Here: one attempt from its first request to its only end. An attempt is one or more requests, one after another, under
one deadline; which ones is `protocols.lwm2m.operations`' matter, retransmission and blocks are `protocols.coap`'s.
Not here: when an attempt is made and what follows from its end (services.dispatcher).

Source: southbound reference 1.7, 1.9, 2.2 and 2.5.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

from commandpost.domain.command import Answer, AttemptEnd, DeliveryPolicy, Outcome
from commandpost.domain.ids import AttemptId, DeviceId
from commandpost.domain.object_model import ObjectModel
from commandpost.domain.operation import Lwm2mOperation, Observe
from commandpost.domain.ports import AttemptListener, Clock, PreparedOperation, Transmission, Unencodable
from commandpost.domain.resource import OperationResult
from commandpost.domain.session import Remote, Session
from commandpost.protocols.coap.codes import Code, is_success
from commandpost.protocols.coap.events import EndReason
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.dialect import DeviceDialect
from commandpost.protocols.lwm2m.operations import (
    Done,
    OperationPlan,
    OperationRun,
    RequestPurpose,
    decode_answer,
    encode_operation,
)
from commandpost.southbound.coap_driver import CoapDriver, ExchangeEnd
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.settings import CoapSettings

UNREADABLE_CODE: Final = 0
"""The code of an answer that came, but in blocks that do not fit together: it has no code that could be shown."""

OUTCOME_OF_CODE: Final[Mapping[int, Outcome]] = {
    Code.BAD_REQUEST: Outcome.BAD_REQUEST,
    Code.UNAUTHORIZED: Outcome.UNAUTHORIZED,
    Code.BAD_OPTION: Outcome.BAD_REQUEST,
    Code.FORBIDDEN: Outcome.FORBIDDEN,
    Code.NOT_FOUND: Outcome.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: Outcome.METHOD_NOT_ALLOWED,
    Code.NOT_ACCEPTABLE: Outcome.NOT_ACCEPTABLE,
    Code.UNSUPPORTED_CONTENT_FORMAT: Outcome.UNSUPPORTED_CONTENT_FORMAT,
}
"""Southbound reference 1.9; 2.xx is SUCCESS, whatever else is missing here INTERNAL_SERVER_ERROR."""

_SILENCES: Final[Mapping[EndReason, Outcome]] = {
    EndReason.TIMED_OUT: Outcome.TIME_OUT,
    EndReason.OVERFLOW: Outcome.TIME_OUT,  # nothing left us, so nothing can come: as if the device slept (design 5)
    EndReason.RESET: Outcome.OFFLINE,  # southbound reference 8: it has lost its state; the session stays
}
_TOKEN_DEVICE_BYTES: Final = 4


class HeardDevices(Protocol):
    """What an answer tells the sessions."""

    def find(self, device_id: DeviceId) -> Session | None:
        """Give the session in memory."""
        ...

    def hear_answer(self, device_id: DeviceId) -> None:
        """The device was heard."""
        ...


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt in flight; `run` None for one that an earlier run of the server sent."""

    transmission: Transmission
    plan: OperationPlan
    run: OperationRun | None
    exchange_id: int


class Lwm2mDownlink:
    """The Downlink port over one CoAP driver."""

    def __init__(
        self,
        *,
        driver: CoapDriver,
        sessions: HeardDevices,
        model: ObjectModel,
        clock: Clock,
        settings: CoapSettings,
        reports: Lwm2mReports | None = None,
    ) -> None:
        """Make one without attempts. Without `reports` the values of answers are not kept."""
        self._driver = driver
        self._sessions = sessions
        self._model = model
        self._clock = clock
        self._settings = settings
        self._reports = reports
        self._listener: AttemptListener | None = None
        self._attempts: dict[AttemptId, _Attempt] = {}
        self._watches: OrderedDict[AttemptId, int] = OrderedDict()

    @property
    def attempts_open(self) -> int:
        """How many attempts await their end."""
        return len(self._attempts)

    @property
    def watches_open(self) -> int:
        """How many ended attempts may still be answered late."""
        return len(self._watches)

    def listen(self, listener: AttemptListener) -> None:
        """Say who hears of the ends; once, before the first transmission."""
        assert self._listener is None, "a downlink has one listener"
        self._listener = listener

    def prepare(self, operation: Lwm2mOperation, session: Session) -> PreparedOperation | Unencodable:
        """Encode for the dialect the device registered with; nothing is sent."""
        dialect = DeviceDialect(
            accepted_formats=session.accepted_formats,
            lwm2m_version=session.lwm2m_version,
            alternate_path=session.alternate_path,
            tlv_number=self._settings.tlv_number,
            strict_execute_arguments=self._settings.has_strict_execute_arguments,
        )
        try:
            return PreparedOperation(encode_operation(operation, dialect=dialect, model=self._model))
        except EncodeError as error:
            return Unencodable(reason=str(error))

    def transmit(self, prepared: PreparedOperation, transmission: Transmission) -> None:
        """Send the first request; its answer decides what follows. The end comes through the listener, later."""
        plan = cast(OperationPlan, prepared)  # only `prepare` makes them, and services cannot look inside
        if transmission.delivery is DeliveryPolicy.AT_MOST_ONCE:
            # Another spelling after a refusal would be another datagram.
            plan = replace(plan, steps=tuple(replace(step, retry_on=None, retry_with=None) for step in plan.steps))
        self._driver.know(transmission.remote)
        if not transmission.is_setup:
            self._driver.trust(transmission.remote)
        self._send(transmission, plan, OperationRun(plan, model=self._model))

    def adopt(self, operation: Lwm2mOperation, transmission: Transmission) -> None:
        """Await the answer to what an earlier run of the server sent; nothing is sent (P9)."""
        session = self._sessions.find(transmission.device_id)
        plan = OperationPlan(
            operation=operation, steps=(), alternate_path=() if session is None else session.alternate_path
        )
        self._driver.know(transmission.remote)
        exchange_id = self._driver.adopt(
            transmission.remote,
            token=transmission.coap_token,
            deadline=transmission.deadline,
            then=lambda end: self._on_end(transmission.attempt_id, end),
        )
        self._open(_Attempt(transmission, plan, None, exchange_id))

    def abandon(self, attempt_id: AttemptId) -> None:
        """Stop an attempt without an end; what arrives later is a late answer."""
        attempt = self._attempts.pop(attempt_id, None)
        if attempt is not None:
            self._driver.cancel(attempt.exchange_id)
            self._watch(attempt)

    def forget(self, remote: Remote) -> None:
        """Let a peer become a stranger."""
        self._driver.forget(remote)

    # --- one attempt ---

    def _send(self, transmission: Transmission, plan: OperationPlan, run: OperationRun) -> None:
        exchange_id = self._driver.request(
            transmission.remote,
            run.request,
            token=_token_for(run.purpose, transmission.coap_token),
            deadline=transmission.deadline,
            may_retransmit=transmission.delivery is not DeliveryPolicy.AT_MOST_ONCE,
            then=lambda end: self._on_end(transmission.attempt_id, end),
        )
        self._open(_Attempt(transmission, plan, run, exchange_id))

    def _open(self, attempt: _Attempt) -> None:
        attempt_id = attempt.transmission.attempt_id
        assert attempt_id not in self._attempts, f"attempt {attempt_id} is in flight already"
        self._attempts[attempt_id] = attempt

    def _on_end(self, attempt_id: AttemptId, end: ExchangeEnd) -> None:
        attempt = self._attempts.pop(attempt_id)
        if isinstance(end, EndReason):
            silence = _SILENCES.get(end)
            if silence is not None:
                self._finish(attempt, silence, None)
                if end is EndReason.TIMED_OUT:
                    self._watch(attempt)
            else:
                # The device did answer, so it is awake; but in blocks that do not fit, or with an option that must
                # be understood and is not.
                self._sessions.hear_answer(attempt.transmission.device_id)
                self._finish(attempt, Outcome.RESP_ERROR, Answer(code=UNREADABLE_CODE))
            return
        if attempt.run is None:
            outcome, answer = self._read(attempt.plan, end)
            self._hear(attempt, end, answer.result)
            self._finish(attempt, outcome, answer)
        else:
            self._go_on(attempt, attempt.run, end)

    def _hear(self, attempt: _Attempt, message: CoapMessage, result: OperationResult | None) -> None:
        """Note that the device was heard; and what it measured, whatever becomes of the attempt."""
        device_id = attempt.transmission.device_id
        self._sessions.hear_answer(device_id)
        session = self._sessions.find(device_id)
        if self._reports is not None and session is not None:
            self._reports.keep_answer(session, attempt.plan.operation, message, result=result)

    def _go_on(self, attempt: _Attempt, run: OperationRun, message: CoapMessage) -> None:
        answer = _answer_of(message)
        try:
            step = run.on_answer(code=answer.code, content_format=answer.content_format, payload=answer.payload)
        except DecodeError:
            self._hear(attempt, message, None)
            self._finish(attempt, Outcome.RESP_ERROR, answer)
            return
        self._hear(attempt, message, step.result if isinstance(step, Done) else None)
        if isinstance(step, Done):
            self._finish(attempt, outcome_of(step.code), replace(answer, result=step.result))
        else:
            self._send(attempt.transmission, attempt.plan, run)

    def _finish(self, attempt: _Attempt, outcome: Outcome, answer: Answer | None) -> None:
        assert self._listener is not None, "nobody listens"
        self._listener.attempt_ended(
            AttemptEnd(
                attempt_id=attempt.transmission.attempt_id, outcome=outcome, at=self._clock.wall_ms(), answer=answer
            )
        )

    def _read(self, plan: OperationPlan, message: CoapMessage) -> tuple[Outcome, Answer]:
        """Read an answer for which there is no run: an adopted attempt's, or a late one."""
        answer = _answer_of(message)
        try:
            result = decode_answer(
                plan.operation,
                code=answer.code,
                content_format=answer.content_format,
                payload=answer.payload,
                model=self._model,
                alternate_path=plan.alternate_path,
            )
        except DecodeError:
            return Outcome.RESP_ERROR, answer
        return outcome_of(answer.code), replace(answer, result=result)

    # --- late answers ---

    def _watch(self, attempt: _Attempt) -> None:
        """Listen on for the answer to an attempt that has ended, so that it can be recorded (P7).

        Not for an Observe: its token is the observation's, and what comes with it is a notification.
        """
        if isinstance(attempt.plan.operation, Observe):
            return
        attempt_id = attempt.transmission.attempt_id
        if len(self._watches) >= self._settings.late_answers_max:
            _, oldest = self._watches.popitem(last=False)
            self._driver.cancel(oldest)
        self._watches[attempt_id] = self._driver.adopt(
            attempt.transmission.remote,
            token=attempt.transmission.coap_token,
            deadline=self._clock.monotonic() + self._settings.late_answer_s,
            then=lambda end: self._on_late(attempt, end),
        )

    def _on_late(self, attempt: _Attempt, end: ExchangeEnd) -> None:
        attempt_id = attempt.transmission.attempt_id
        self._watches.pop(attempt_id, None)
        if end in (EndReason.TIMED_OUT, EndReason.OVERFLOW, EndReason.RESET):
            return
        assert self._listener is not None, "nobody listens"
        if isinstance(end, CoapMessage):
            answer = self._read(attempt.plan, end)[1]
            self._hear(attempt, end, answer.result)
            self._listener.late_answer(attempt_id, answer)
        else:
            self._sessions.hear_answer(attempt.transmission.device_id)
            self._listener.late_answer(attempt_id, None)


def outcome_of(code: int) -> Outcome:
    """Give what a response code means for the attempt (southbound reference 1.9)."""
    if is_success(code):
        return Outcome.SUCCESS
    return OUTCOME_OF_CODE.get(code, Outcome.INTERNAL_SERVER_ERROR)


def _answer_of(message: CoapMessage) -> Answer:
    return Answer(code=message.code, content_format=message.content_format, payload=message.payload)


def _token_for(purpose: RequestPurpose, coap_token: bytes) -> bytes:
    """Give the token of one request of an attempt.

    The attempt's own belongs to the request whose answer ends it: that is the one an adopted attempt waits for, and
    for an Observe the observation's. Writing attributes comes before it, under a token derived from it.
    """
    if purpose is not RequestPurpose.WRITE_ATTRIBUTES:
        return coap_token
    device, rest = coap_token[:_TOKEN_DEVICE_BYTES], coap_token[_TOKEN_DEVICE_BYTES:]
    return device + bytes(byte ^ 0xFF for byte in rest)
