"""What a change of a product or a device leaves: one rule for every store."""

from dataclasses import fields, replace
from typing import Any

from commandpost.domain.device import IMSI_OLD_MAX, Device, DeviceChange, Product, ProductChange
from commandpost.domain.facts import ChangeDeviceKeys
from commandpost.domain.instant import Instant


def change_product(before: Product, change: ProductChange) -> Product:
    """Give the product after a change; an address for its bootstraps that is empty is none of its own."""
    given = _given(change)
    for name in ("bootstrap_uri", "bootstrap_secure_uri"):
        if name in given:
            given[name] = given[name] or None
    return replace(before, **given)


def change_device(before: Device, change: DeviceChange, *, at: Instant) -> Device:
    """Give the device after its owner's change; another IMSI leaves a trace of the one before."""
    given = _given(change)
    if change.imsi is not None:
        given["imsi"] = change.imsi or None
    if given.get("imsi", before.imsi) != before.imsi:
        old = (*before.imsi_old, before.imsi) if before.imsi else before.imsi_old
        given.update(imsi_old=old[-IMSI_OLD_MAX:], imsi_changed_at=at)
    return replace(before, **given)


def change_keys(before: Device, fact: ChangeDeviceKeys) -> Device:
    """Give the device with the keys that are named, and with what else was changed; what is not named stays."""
    return replace(
        before if fact.also is None else change_device(before, fact.also.change, at=fact.also.at),
        sealed_psk=before.sealed_psk if fact.sealed_psk is None else fact.sealed_psk,
        sealed_bootstrap_psk=(
            before.sealed_bootstrap_psk if fact.sealed_bootstrap_psk is None else fact.sealed_bootstrap_psk
        ),
        sealed_auth_code=before.sealed_auth_code if fact.sealed_auth_code is None else fact.sealed_auth_code,
        psk_identity=before.psk_identity if fact.psk_identity is None else fact.psk_identity,
    )


def claimed_imei(psk_identity: str) -> str:
    """Give the IMEI that an identity of the form `IMEI` or `IMEI;IMSI` would name (southbound reference 4.2)."""
    return psk_identity.partition(";")[0]


def _given(change: ProductChange | DeviceChange) -> dict[str, Any]:  # Any: each field has its own type
    values = ((each.name, getattr(change, each.name)) for each in fields(change))
    return {name: value for name, value in values if value is not None}
