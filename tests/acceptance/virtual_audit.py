"""Watches the promises while a virtual world runs: what the store took, and what crossed the server's own link.

It is told of every fact with its result in the order of commits, and of every datagram as the server sent or got it.
What breaks a promise is noted with its number; `violations` is empty after a good run.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from commandpost.domain.command import Attempt, Command, CommandState, Outcome
from commandpost.domain.command_state import FailedTooLate, Succeeded
from commandpost.domain.facts import Accepted, Claim, Fact, FinishAndClaim
from commandpost.domain.ids import CommandId, DeviceId, format_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import decode
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.registration import RegisterRequest, parse_registration

UNRECORDED_WAIT_S = 5.0  # the least an unanswered instant command or setup step is waited for
_TOKEN_BYTES = 8
_REQUEST_CODES = range(1, 32)


@dataclass(slots=True, kw_only=True)
class Trail:
    """One command from its acceptance on."""

    command: Command
    states: list[CommandState]
    attempts: list[Attempt] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class OpenRequest:
    """The newest request to a device that is neither answered nor given up."""

    coap_token: bytes
    message_id: int
    remote: Remote
    sent_at_s: float
    attempt: Attempt | None


class Audit:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.violations: list[str] = []
        self.trails: dict[CommandId, Trail] = {}
        self.datagrams_of: Counter[bytes] = Counter()
        """How often each token of a request left, retransmissions included."""
        self.first_sent_ms: dict[bytes, Instant] = {}
        self.device_of_imei: dict[str, DeviceId] = {}
        self._attempts: dict[bytes, Attempt] = {}
        self._flying: dict[DeviceId, Attempt] = {}
        self._open: dict[DeviceId, OpenRequest] = {}
        self._registered_ms: dict[DeviceId, Instant] = {}
        self.open_commands = 0
        """How many have no final state yet."""
        self.clock_jumped = False
        """Set by who moves wall time: then deadlines on it cannot be compared."""

    # --- the store ----------------------------------------------------------------------------------------------------

    def note_fact(self, fact: Fact[Any], result: object) -> None:  # Any: each fact has its own result type
        """A fact was committed with this result."""
        match result:
            case Accepted(command=command):
                self.open_commands += 1
                self.trails[command.id] = Trail(command=command, states=[command.state])
                return
            case Command():
                results: tuple[object, ...] = (result,)
            case tuple():
                results = result
            case _:
                return
        if isinstance(fact, FinishAndClaim) and isinstance(results[0], Command):
            self._note_end(fact, results[0])
        for each in results:
            if isinstance(each, Command) and each.id in self.trails:
                self._note_state(each)
        claim = fact if isinstance(fact, Claim) else fact.next_claim if isinstance(fact, FinishAndClaim) else None
        if claim is not None and isinstance(results[-1], Command):
            self._note_claim(claim.attempt)

    def _note_state(self, command: Command) -> None:
        trail = self.trails[command.id]
        if trail.states[-1].is_final and command.state is not trail.states[-1]:
            self._blame("P7", command.id, f"{trail.states[-1].value} became {command.state.value}")
        if command.state is not trail.states[-1]:
            trail.states.append(command.state)
            self.open_commands -= command.state.is_final
        trail.command = command

    def _note_claim(self, attempt: Attempt) -> None:
        trail = self.trails[attempt.command_id]
        command = trail.command
        trail.attempts.append(attempt)
        if command.retry is not None and len(trail.attempts) > 1 + command.retry:
            self._blame("P3", command.id, f"attempt {len(trail.attempts)} with retry {command.retry}")
        if not command.valid_from <= attempt.sent_at < command.expires_at:
            self._blame("P6", command.id, f"claimed at {attempt.sent_at}")
        flying = self._flying.get(attempt.device_id)
        if flying is not None:
            self._blame("P4", command.id, f"claimed while {format_command_id(flying.command_id)} was in flight")
        self._flying[attempt.device_id] = attempt
        self._attempts[attempt.coap_token] = attempt

    def _note_end(self, fact: FinishAndClaim, command: Command) -> None:
        end = fact.event.end
        attempt = self._flying.pop(command.device_id, None)
        if attempt is None or attempt.id != end.attempt_id:
            self._blame("P4", command.id, "an attempt ended that was not in flight")
            return
        is_well = end.answer is not None and end.answer.code >> 5 == 2
        if isinstance(fact.event, Succeeded) and not is_well:
            self._blame("P8", command.id, f"succeeded with {end.answer}")
        registered = self._registered_ms.get(command.device_id)
        was_cut = registered is not None and registered >= attempt.sent_at
        was_cut |= isinstance(fact.event, FailedTooLate) and attempt.coap_token not in self.first_sent_ms
        if end.outcome is Outcome.TIME_OUT and end.at < attempt.deadline and not was_cut and not self.clock_jumped:
            self._blame("P9", command.id, f"timed out {attempt.deadline - end.at} ms early")

    # --- the wire -----------------------------------------------------------------------------------------------------

    def note_sent(self, remote: Remote, datagram: bytes) -> None:
        """The server handed a datagram to the network."""
        message = _read(datagram)
        if message is None or message.code not in _REQUEST_CODES or len(message.token) != _TOKEN_BYTES:
            return
        token = message.token
        self.datagrams_of[token] += 1
        if token not in self.first_sent_ms:
            self._note_first_sent(remote, message)

    def _note_first_sent(self, remote: Remote, message: CoapMessage) -> None:
        now, token = self._clock.wall_ms(), message.token
        device_id = DeviceId(int.from_bytes(token[:4], "big"))
        attempt = self._attempts.get(token)
        self.first_sent_ms[token] = now
        if attempt is not None:
            command = self.trails[attempt.command_id].command
            if not command.valid_from <= now < command.expires_at:
                self._blame("P6", command.id, f"first sent at {now}, window {command.valid_from} {command.expires_at}")
        before = self._open.get(device_id)
        if before is not None and self._is_in_flight(before):
            self.violations.append(f"P4: {token.hex()} left while {before.coap_token.hex()} was in flight")
        self._open[device_id] = OpenRequest(
            coap_token=token,
            message_id=message.message_id,
            remote=remote,
            sent_at_s=self._clock.monotonic(),
            attempt=attempt,
        )

    def _is_in_flight(self, request: OpenRequest) -> bool:
        if request.attempt is not None:
            flying = self._flying.get(request.attempt.device_id)
            return flying is not None and flying.id == request.attempt.id
        return self._clock.monotonic() - request.sent_at_s < UNRECORDED_WAIT_S

    def note_received(self, remote: Remote, datagram: bytes) -> None:
        """The server got a datagram."""
        message = _read(datagram)
        if message is None:
            return
        if message.code in _REQUEST_CODES:
            registration = parse_registration(message)
            if isinstance(registration, RegisterRequest):
                self._note_register(registration)
        elif message.type is MessageType.RST:
            for device_id, request in list(self._open.items()):
                if request.remote == remote and request.message_id == message.message_id:
                    del self._open[device_id]
        elif message.code and len(message.token) == _TOKEN_BYTES:
            device_id = DeviceId(int.from_bytes(message.token[:4], "big"))
            open_request = self._open.get(device_id)
            if open_request is not None and open_request.coap_token == message.token:
                del self._open[device_id]

    def _note_register(self, registration: RegisterRequest) -> None:
        device_id = self.device_of_imei.get((registration.endpoint_name or "").partition(";")[0])
        if device_id is not None:
            self._registered_ms[device_id] = self._clock.wall_ms()
            self._open.pop(device_id, None)

    # --- now and then -------------------------------------------------------------------------------------------------

    def note_restart(self) -> None:
        """The server died; what it had not recorded is nobody's any more."""
        self._open = {device_id: request for device_id, request in self._open.items() if request.attempt is not None}

    def check_ends(self) -> None:
        """Every command has exactly one final state (P2)."""
        for trail in self.trails.values():
            finals = [state for state in trail.states if state.is_final]
            if len(finals) != 1 or not trail.states[-1].is_final:
                self._blame("P2", trail.command.id, " ".join(state.value for state in trail.states))

    def check_first_attempts_in_order(self) -> None:
        """P5, where every command may go at every uplink from its acceptance on."""
        last: dict[DeviceId, int] = {}
        firsts = sorted(
            (trail.attempts[0].sent_at, trail.command.seq, trail.command)
            for trail in self.trails.values()
            if trail.attempts
        )
        for _, seq, command in firsts:
            if seq < last.get(command.device_id, 0):
                self._blame("P5", command.id, f"seq {seq} after {last[command.device_id]}")
            last[command.device_id] = seq

    def check_tokens_seen(self, tokens_by_device: dict[DeviceId, list[bytes]]) -> None:
        """P3 and P8 at the device: it saw no more than was recorded, and success only of what it saw."""
        for trail in self.trails.values():
            seen = set(tokens_by_device[trail.command.device_id])
            recorded = [attempt.coap_token for attempt in trail.attempts]
            if trail.command.state is CommandState.SUCCEEDED and not any(token in seen for token in recorded):
                self._blame("P8", trail.command.id, "succeeded, and its device never saw it")
        for device_id, tokens in tokens_by_device.items():
            for token in tokens:
                if token not in self.first_sent_ms:
                    self.violations.append(f"device {device_id} saw {token.hex()}, which nobody sent")

    @property
    def outcomes(self) -> Counter[str]:
        """How many commands stand in each state."""
        return Counter(trail.command.state.value for trail in self.trails.values())

    def _blame(self, promise: str, command_id: CommandId, what: str) -> None:
        self.violations.append(f"{promise}: command {format_command_id(command_id)}: {what}")


def _read(datagram: bytes) -> CoapMessage | None:
    try:
        return decode(datagram)
    except DecodeError:
        return None
