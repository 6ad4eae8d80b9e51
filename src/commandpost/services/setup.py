"""The steps after a registration: which there are, and how far a device has come with them.

Here: the plan for a registration or for changed objects, and the progress of one pass over it. Not here: sending
(lane). What is still to do stands in the session, so that a restart resumes it.
Source: southbound reference 1.6; design section 3.
"""

from collections.abc import Collection, Iterable
from typing import Final

from commandpost.domain.operation import Discover, Observe, Read
from commandpost.domain.resource import (
    UNLISTED_OBJECTS,
    ObjectLinkEntry,
    ObjectValues,
    OperationResult,
    ResourcePath,
)
from commandpost.domain.session import Session, SetupKind, SetupStep

AUTO_OBSERVE_EXCLUDED: Final = (0, 1, 2, 3, 4, 5, 6, 7, 21)
"""Modules refuse to observe the standard objects with 4.05; 21 is OSCORE (southbound reference 1.4, 1.6)."""
SETUP_STEPS_MAX: Final = 256
"""A registration's payload is at most 512 bytes on modules, 30 to 50 links; generic clients may have a few more."""
MODEL_TEXT_MAX: Final = 32  # northbound reference 3.2: manu_id and model

READ_DEVICE: Final = SetupStep(SetupKind.READ_DEVICE, Read(path=ResourcePath(object_id=3, instance_id=0)))


def plan_setup(
    links: Iterable[ObjectLinkEntry], *, is_observing: bool, is_discovering: bool, excluded: Collection[int]
) -> tuple[SetupStep, ...]:
    """Give the steps of a registration: those for its objects, then read /3/0, which devices take for the end."""
    steps = plan_objects(links, is_observing=is_observing, is_discovering=is_discovering, excluded=excluded)
    return (*steps, READ_DEVICE)


def plan_objects(
    links: Iterable[ObjectLinkEntry], *, is_observing: bool, is_discovering: bool, excluded: Collection[int]
) -> tuple[SetupStep, ...]:
    """Give the steps for these objects: observe each instance, then discover each object.

    An object that is listed without instance has none, so there is nothing to observe.
    """
    listed = tuple(link for link in links if link.object_id not in UNLISTED_OBJECTS)
    steps: list[SetupStep] = []
    if is_observing:
        paths = dict.fromkeys(
            ResourcePath(object_id=link.object_id, instance_id=link.instance_id)
            for link in listed
            if link.instance_id is not None and link.object_id not in excluded
        )
        steps += [SetupStep(SetupKind.OBSERVE, Observe(path=path)) for path in paths]
    if is_discovering:
        objects = dict.fromkeys(ResourcePath(object_id=link.object_id) for link in listed)
        steps += [SetupStep(SetupKind.DISCOVER, Discover(path=path)) for path in objects]
    return tuple(steps[:SETUP_STEPS_MAX])


def read_identity(result: OperationResult | None) -> tuple[str, str] | None:
    """Give manufacturer and model from what a Read of /3/0 brought; None when it brought neither."""
    if not isinstance(result, ObjectValues):
        return None
    texts = {0: "", 1: ""}
    for path, value in result.leaves():
        if path.resource_id in texts and isinstance(value.value, str):
            texts[path.resource_id] = value.value[:MODEL_TEXT_MAX]
    return (texts[0], texts[1]) if texts[0] or texts[1] else None


class SetupPass:
    """One pass over a session's pending steps.

    An answer, well or ill, ends a step. A step that met silence is passed over; if the device answers a later one, or
    there is no later one, the passed one is given up (a device may ignore one request for ever). Two silences in a row
    end the pass, and everything unanswered is kept for the next uplink.
    """

    def __init__(self, *, silences_max: int) -> None:
        self._silences_max = silences_max
        self._passed: list[SetupStep] = []
        self._first_until = 0.0
        self.is_active = False

    def start(self, *, first_until: float) -> None:
        """Begin a pass that goes before cached commands until a time on the monotonic clock."""
        self._passed.clear()
        self._first_until = first_until
        self.is_active = True

    def stop(self) -> None:
        """Leave what is pending to the next uplink."""
        self.is_active = False

    def is_first(self, now: float) -> bool:
        """Tell whether steps go before cached commands now."""
        return self.is_active and now < self._first_until

    def next_step(self, session: Session) -> SetupStep | None:
        """Give the step to do now; None ends the pass."""
        if not self.is_active:
            return None
        for step in session.pending_setup:
            if step not in self._passed:
                return step
        self.is_active = False
        return None

    def note_answer(self, session: Session, step: SetupStep) -> None:
        """The device answered: the step is done, and so is one it passed over in silence before."""
        self._settle(session, (step, *self._passed))
        self._passed.clear()

    def note_silence(self, session: Session, step: SetupStep) -> None:
        """The device said nothing."""
        self._passed.append(step)
        if len(self._passed) >= self._silences_max:
            self.is_active = False
        elif self.is_active and all(pending in self._passed for pending in session.pending_setup):
            self._settle(session, self._passed)

    def _settle(self, session: Session, done: Collection[SetupStep]) -> None:
        session.pending_setup = tuple(pending for pending in session.pending_setup if pending not in done)
        if not session.pending_setup:
            self.is_active = False
