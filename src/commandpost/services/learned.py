"""What an answer teaches about its device, beyond what it means for the command.

Source: southbound reference 1.6; northbound reference 4.4, 4.6.
"""

from commandpost.domain.command import AttemptEnd, Outcome
from commandpost.domain.operation import CancelObserve, Discover, Observe
from commandpost.domain.resource import DiscoveredObject, ResourcePath
from commandpost.domain.session import Session, SetupKind
from commandpost.domain.session_facts import KeepIdentity, KeepResources
from commandpost.services.flight import Flight
from commandpost.services.lane_events import DropToken, LaneEffect, Write
from commandpost.services.setup import read_identity


def what_was_learned(flight: Flight, end: AttemptEnd, session: Session) -> list[LaneEffect]:
    """Give what to keep or to forget after an attempt.

    An observation stays known after silence: the device may have taken it. After an error answer it does not exist.
    """
    if end.answer is None:
        return []
    is_success = end.outcome is Outcome.SUCCESS
    match flight.operation:
        case Observe() if not is_success:
            return [DropToken(session, flight.coap_token)]
        case CancelObserve(path=path) if is_success:
            return _drop(session, path)
        case Discover(path=path) if is_success and path.instance_id is None:
            if isinstance(end.answer.result, DiscoveredObject):
                return [Write(KeepResources(device_id=session.device_id, objects=(end.answer.result,)))]
            return []
        case _ if is_success and flight.step is not None and flight.step.kind is SetupKind.READ_DEVICE:
            identity = read_identity(end.answer.result)
            if identity is None:
                return []
            manufacturer, model = identity
            return [Write(KeepIdentity(device_id=session.device_id, manufacturer=manufacturer, model=model))]
        case _:
            return []


def _drop(session: Session, path: ResourcePath) -> list[LaneEffect]:
    return [DropToken(session, known.coap_token) for known in session.observations if known.path == path]
