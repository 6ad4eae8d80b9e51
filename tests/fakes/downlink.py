"""A driver that remembers what it was asked to send, and ends attempts as a test says."""

from dataclasses import dataclass, field

from commandpost.domain.command import Answer, AttemptEnd, Outcome
from commandpost.domain.ids import AttemptId, DeviceId
from commandpost.domain.operation import Lwm2mOperation
from commandpost.domain.ports import AttemptListener, PreparedOperation, Transmission, Unencodable
from commandpost.domain.resource import OperationResult
from commandpost.domain.session import Remote, Session
from tests.fakes.clock import ManualClock

CHANGED = 0x44
CONTENT = 0x45
METHOD_NOT_ALLOWED = 0x85


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What this driver holds between its two steps."""

    operation: Lwm2mOperation
    epoch: int


@dataclass
class FakeDownlink:
    """Has at most one open attempt per device, and says so loudly if it is asked for another (P4)."""

    clock: ManualClock
    sent: list[tuple[Lwm2mOperation, Transmission]] = field(default_factory=list)
    adopted: list[tuple[Lwm2mOperation, Transmission]] = field(default_factory=list)
    abandoned: list[AttemptId] = field(default_factory=list)
    forgotten: list[Remote] = field(default_factory=list)
    unencodable: list[Lwm2mOperation] = field(default_factory=list)
    open: dict[DeviceId, Transmission] = field(default_factory=dict)
    listener: AttemptListener | None = None

    def listen(self, listener: AttemptListener) -> None:
        assert self.listener is None
        self.listener = listener

    def prepare(self, operation: Lwm2mOperation, session: Session) -> PreparedOperation | Unencodable:
        if operation in self.unencodable:
            return Unencodable(reason="a test said so")
        return PreparedOperation(Prepared(operation=operation, epoch=session.epoch))

    def transmit(self, prepared: PreparedOperation, transmission: Transmission) -> None:
        assert isinstance(prepared, Prepared)
        assert transmission.device_id not in self.open, "two requests of one device in flight"
        assert transmission.deadline > self.clock.monotonic()
        self.open[transmission.device_id] = transmission
        self.sent.append((prepared.operation, transmission))

    def adopt(self, operation: Lwm2mOperation, transmission: Transmission) -> None:
        assert transmission.device_id not in self.open, "two requests of one device in flight"
        self.open[transmission.device_id] = transmission
        self.adopted.append((operation, transmission))

    def abandon(self, attempt_id: AttemptId) -> None:
        self.abandoned.append(attempt_id)
        for device_id, transmission in list(self.open.items()):
            if transmission.attempt_id == attempt_id:
                del self.open[device_id]

    def forget(self, remote: Remote) -> None:
        self.forgotten.append(remote)

    # --- what the device does -----------------------------------------------------------------------------------

    def last_operation(self) -> Lwm2mOperation:
        """Give what was sent last."""
        return self.sent[-1][0]

    def operations(self) -> list[Lwm2mOperation]:
        """Give everything that was sent, in order."""
        return [operation for operation, _ in self.sent]

    def answer(self, device_id: DeviceId, *, result: OperationResult | None = None) -> None:
        """The device answers well."""
        self.end(device_id, Outcome.SUCCESS, Answer(code=CONTENT if result else CHANGED, result=result))

    def answer_badly(self, device_id: DeviceId, outcome: Outcome = Outcome.METHOD_NOT_ALLOWED) -> None:
        """The device answers with an error."""
        self.end(device_id, outcome, Answer(code=METHOD_NOT_ALLOWED))

    def stay_silent(self, device_id: DeviceId) -> None:
        """The attempt ends without an answer."""
        self.end(device_id, Outcome.TIME_OUT, None)

    def end(self, device_id: DeviceId, outcome: Outcome, answer: Answer | None) -> None:
        """End the open attempt of a device."""
        assert self.listener is not None
        transmission = self.open.pop(device_id)
        end = AttemptEnd(attempt_id=transmission.attempt_id, outcome=outcome, at=self.clock.wall_ms(), answer=answer)
        self.listener.attempt_ended(end)
