"""Write sequence numbers reserved ahead, so that no nonce is used twice across a restart.

Numbers below `reserved_upto` may be used: whatever is on disk says at least that much. When half a block is left, or
enough has been read since the last save, the owner is asked to save and to confirm. Without a reservation block all
of this is idle.
"""

from commandpost.protocols.dtls.association import Association
from commandpost.protocols.dtls.events import ReservationWanted
from commandpost.protocols.dtls.outlet import Outlet
from commandpost.protocols.dtls.registries import SEQUENCE_MAX


def has_number(association: Association, outlet: Outlet) -> bool:
    """Tell whether a sequence number may be used now."""
    if association.traffic.is_exhausted:
        return False
    is_persisted = outlet.parameters.reservation_block is not None
    return not is_persisted or association.traffic.write_sequence < association.reserved_upto


def want_if_low(association: Association, outlet: Outlet) -> None:
    """Ask for more when half a block or less is left."""
    block = outlet.parameters.reservation_block
    if block is not None and association.reserved_upto - association.traffic.write_sequence <= block // 2:
        want_next(association, outlet)


def note_read(association: Association, outlet: Outlet) -> None:
    """Ask for a save when much has been read since the last: after a crash it could be replayed."""
    if association.traffic.window.newest - association.saved_read >= outlet.parameters.reservation_read_step:
        want_next(association, outlet)


def want_next(association: Association, outlet: Outlet) -> None:
    """Ask the owner to put a block from here on to disk, unless it has been asked."""
    block = outlet.parameters.reservation_block
    if block is None or association.wanted_upto is not None:
        return
    upto = min(association.traffic.write_sequence + block, SEQUENCE_MAX + 1)
    association.wanted_upto = max(association.reserved_upto, upto)
    outlet.tell(ReservationWanted(association.number, association.wanted_upto))


def confirm(association: Association, upto: int) -> None:
    """Take over what is on disk now."""
    association.reserved_upto = min(max(association.reserved_upto, upto), SEQUENCE_MAX + 1)
    confirm_read(association, association.exported_read)
    if association.wanted_upto is not None and upto >= association.wanted_upto:
        association.wanted_upto = None


def confirm_read(association: Association, newest: int) -> None:
    """Note that the disk knows of the records up to this one."""
    association.saved_read = max(association.saved_read, newest)
