"""What an update of a device may change: one rule for every store."""

from dataclasses import replace

from commandpost.domain.device import Device


def change_device(before: Device, given: Device) -> Device:
    """Give the device after its owner's change: what never changes, and what the device itself taught, stays.

    What was learned is written by facts of its own (StartSession, KeepIdentity, KeepSetup); a change that was begun
    before one of these must not undo it.
    """
    return replace(
        given,
        protocol=before.protocol,
        imei=before.imei,
        created_at=before.created_at,
        activated_at=before.activated_at,
        last_heard_at=before.last_heard_at,
        manufacturer=before.manufacturer,
        model=before.model,
        is_setup_done=before.is_setup_done,
    )
