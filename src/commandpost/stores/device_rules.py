"""What an update of a device may change: one rule for every store."""

from dataclasses import replace

from commandpost.domain.device import Device
from commandpost.domain.facts import ChangeDeviceKeys


def change_device(before: Device, given: Device) -> Device:
    """Give the device after its owner's change: what never changes, and what the device itself taught, stays.

    What was learned is written by facts of its own (StartSession, KeepIdentity, KeepSetup); a change that was begun
    before one of these must not undo it. Neither must it bring an old key back (ChangeDeviceKeys).
    """
    return replace(
        given,
        protocol=before.protocol,
        imei=before.imei,
        sealed_psk=before.sealed_psk,
        sealed_bootstrap_psk=before.sealed_bootstrap_psk,
        psk_identity=before.psk_identity,
        created_at=before.created_at,
        activated_at=before.activated_at,
        last_heard_at=before.last_heard_at,
        manufacturer=before.manufacturer,
        model=before.model,
        is_setup_done=before.is_setup_done,
    )


def change_keys(before: Device, fact: ChangeDeviceKeys) -> Device:
    """Give the device with the keys that are named; what is not named stays."""
    return replace(
        before,
        sealed_psk=before.sealed_psk if fact.sealed_psk is None else fact.sealed_psk,
        sealed_bootstrap_psk=(
            before.sealed_bootstrap_psk if fact.sealed_bootstrap_psk is None else fact.sealed_bootstrap_psk
        ),
        psk_identity=before.psk_identity if fact.psk_identity is None else fact.psk_identity,
    )


def claimed_imei(psk_identity: str) -> str:
    """Give the IMEI that an identity of the form `IMEI` or `IMEI;IMSI` would name (southbound reference 4.2)."""
    return psk_identity.partition(";")[0]
