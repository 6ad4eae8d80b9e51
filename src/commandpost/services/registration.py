"""What a device says when it registers or updates, and whether it may.

Here: the requests, the refusals, and the comparison of who the device says it is with what its owner said. Not here:
what a session does with it (sessions), CoAP options and codes (southbound).
Source: southbound reference 1.2, 1.4, 1.5, 4.4.
"""

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from commandpost.domain.device import Device, DeviceSecurity, KeyLabel, Product
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import SECOND_MS, Instant, after
from commandpost.domain.ports import SecretBox
from commandpost.domain.resource import ObjectLinkEntry
from commandpost.domain.session import LIFETIME_MAX_S, LIFETIME_MIN_S, PeerIdentity, Remote, Session
from commandpost.services.setup import AUTO_OBSERVE_EXCLUDED, plan_objects, plan_setup

IMEI_CHARACTERS_MAX: Final = 17  # northbound reference 3.1; a location is an IMEI, so no location is longer
LINK_LISTS_SHARED_MAX: Final = 4_096  # models of devices in one fleet; one more only costs memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A REGISTER as it was understood; `auth_code` is private option 63."""

    endpoint_name: str | None
    """None: the device leaves it to its DTLS identity."""
    lifetime_s: int
    binding: str = "U"
    is_queue_mode: bool = False
    lwm2m_version: str = "1.0"
    links: tuple[ObjectLinkEntry, ...] = ()
    alternate_path: tuple[str, ...] = ()
    accepted_formats: tuple[int, ...] = ()
    auth_code: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationUpdate:
    """An UPDATE as it was understood; None means not given, so it stays."""

    location: str
    lifetime_s: int | None = None
    binding: str | None = None
    is_queue_mode: bool | None = None
    links: tuple[ObjectLinkEntry, ...] | None = None
    alternate_path: tuple[str, ...] | None = None
    accepted_formats: tuple[int, ...] | None = None
    auth_code: bytes | None = None


class SessionRefusal(Enum):
    """Why a REGISTER, UPDATE, de-register or bootstrap was refused; the values are CoAP response codes."""

    BAD_REQUEST = "4.00"
    FORBIDDEN = "4.03"
    NOT_FOUND = "4.04"
    UNAVAILABLE = "5.03"


class AddressFollowing(Enum):
    """Whether an UPDATE from elsewhere moves the session there; over DTLS it always does (southbound reference 4.4)."""

    ANY = "any"
    """Always: modules come back from elsewhere after every sleep, and most have nothing to prove themselves by."""
    SAME_IP = "same-ip"
    """From another port of the same address only."""
    AUTH_ONLY = "auth-only"
    """Only if the device has an auth code, and showed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Limits and times of sessions."""

    address_following: AddressFollowing = AddressFollowing.ANY

    lifetime_grace_ms: int = 0
    """Added to every lifetime (southbound reference 8: none by default)."""
    registrations_max: int = 256
    """At once; beyond, 5.03."""
    changes_max: int = 256
    """Updates that need the store, at once; beyond, 5.03. A plain update of a known session is never refused."""
    loads_max: int = 256
    """Sessions being read from the store at once; beyond, a notification is as if it had been lost."""
    load_waiters_max: int = 16
    """Notifications of one device waiting for its session to be read."""
    sweep_max: int = 200
    """Sessions looked at in one slice."""
    auto_observe_excluded: Collection[int] = field(default=AUTO_OBSERVE_EXCLUDED)


@lru_cache(maxsize=LINK_LISTS_SHARED_MAX)
def share_links(links: tuple[ObjectLinkEntry, ...]) -> tuple[ObjectLinkEntry, ...]:
    """Give the one object list that all sessions with an equal one hold: a fleet has a handful of models."""
    return links


def split_endpoint_name(endpoint_name: str) -> tuple[str, str]:
    """Cut `IMEI;IMSI` at the first semicolon; the IMSI is empty when there is none."""
    imei, _, imsi = endpoint_name.partition(";")
    return imei, imsi


def is_identity_known(device: Device, product: Product, imsi: str, *, is_proven: bool = False) -> bool:
    """Tell whether the device may register with this IMSI, empty: without one, which is enough for a proven one."""
    if not device.is_lwm2m:
        return False
    if device.imsi and imsi:
        return device.imsi == imsi
    return not device.imsi or product.allow_imei_only or is_proven


def may_come(
    device: Device,
    product: Product,
    *,
    endpoint_name: str | None,
    auth_code: bytes | None,
    identity: PeerIdentity | None,
    secrets: SecretBox,
    labels: Collection[KeyLabel] = (KeyLabel.ACCESS,),
) -> bool:
    """Tell whether a peer that says so is this device: its name, its key or none, and its auth code."""
    if endpoint_name is not None:
        imei, imsi = split_endpoint_name(endpoint_name)
        if imei != device.imei or not is_identity_known(device, product, imsi, is_proven=identity is not None):
            return False
    return (
        device.is_lwm2m
        and is_peer_right(device.id, product.device_security, identity, labels=labels)
        and is_auth_code_right(device.sealed_auth_code, auth_code, secrets, security=product.device_security)
    )


def is_peer_right(
    device_id: DeviceId,
    security: DeviceSecurity,
    identity: PeerIdentity | None,
    *,
    labels: Collection[KeyLabel] = (KeyLabel.ACCESS,),
) -> bool:
    """Tell whether a peer may speak for a device: over DTLS only the device itself, else where its product allows.

    Args:
        labels: the keys that open it; the bootstrap key opens a bootstrap alone.
    """
    if identity is None:
        return security.allows_nosec
    return security.allows_dtls and identity.device_id == device_id and identity.label in labels


def is_auth_code_right(
    sealed: bytes | None,
    given: bytes | None,
    secrets: SecretBox,
    *,
    security: DeviceSecurity = DeviceSecurity.MIXED,
) -> bool:
    """Compare option 63 with the record, in constant time; a record without a code asks for none.

    But where the product wants one of every device, a record without a code lets nobody in.
    """
    if sealed is None:
        return security is not DeviceSecurity.NOSEC_AUTH_CODE
    return hmac.compare_digest(secrets.unseal(sealed), given or b"")


def clamp_lifetime(lifetime_s: int) -> int:
    """Bring a lifetime into the range we keep (southbound reference 1.4)."""
    return min(max(lifetime_s, LIFETIME_MIN_S), LIFETIME_MAX_S)


def deadline_of(lifetime_s: int, now: Instant, settings: SessionSettings) -> Instant:
    """Give when a session goes offline that was renewed now."""
    return after(now, duration_ms=lifetime_s * SECOND_MS + settings.lifetime_grace_ms)


def new_session(
    registration: Registration,
    device: Device,
    product: Product,
    remote: Remote,
    *,
    now: Instant,
    start_id: StartId,
    settings: SessionSettings,
    identity: PeerIdentity | None = None,
) -> Session:
    """Make the session a REGISTER asks for; its epoch is the store's to give."""
    assert device.imei is not None, "a device that may register has an IMEI"
    lifetime_s = clamp_lifetime(registration.lifetime_s)
    deadline = deadline_of(lifetime_s, now, settings)
    return Session(
        device_id=device.id,
        product_id=device.product_id,
        epoch=0,
        endpoint_name=registration.endpoint_name or device.imei,
        location=device.imei,
        remote=remote,
        start_id=start_id,
        lifetime_s=lifetime_s,
        registered_at=now,
        last_heard_at=now,
        deadline=deadline,
        stored_deadline=deadline,
        binding=registration.binding,
        is_queue_mode=registration.is_queue_mode,
        lwm2m_version=registration.lwm2m_version,
        links=share_links(registration.links),
        alternate_path=registration.alternate_path,
        accepted_formats=registration.accepted_formats,
        pending_setup=plan_setup(
            registration.links,
            is_observing=device.is_auto_observed,
            is_discovering=product.is_auto_discovered,
            excluded=settings.auto_observe_excluded,
        ),
        identity_label=None if identity is None else identity.label,
    )


def is_plain(update: RegistrationUpdate, session: Session) -> bool:
    """Tell whether an update changes nothing but when, and from where, the device was heard."""
    return (
        (update.lifetime_s is None or clamp_lifetime(update.lifetime_s) == session.lifetime_s)
        and update.binding in (None, session.binding)
        and update.is_queue_mode in (None, session.is_queue_mode)
        and update.links in (None, session.links)
        and update.alternate_path in (None, session.alternate_path)
        and update.accepted_formats in (None, session.accepted_formats)
    )


def apply_update(
    session: Session, update: RegistrationUpdate, device: Device, product: Product, settings: SessionSettings
) -> None:
    """Change a session as its update says; of changed objects only the added ones get setup steps."""
    if update.lifetime_s is not None:
        session.lifetime_s = clamp_lifetime(update.lifetime_s)
    if update.binding is not None:
        session.binding = update.binding
    if update.is_queue_mode is not None:
        session.is_queue_mode = update.is_queue_mode
    if update.alternate_path is not None:
        session.alternate_path = update.alternate_path
    if update.accepted_formats is not None:
        session.accepted_formats = update.accepted_formats
    if update.links is not None and update.links != session.links:
        _replace_links(session, update.links, device, product, settings)


def _replace_links(
    session: Session,
    links: tuple[ObjectLinkEntry, ...],
    device: Device,
    product: Product,
    settings: SessionSettings,
) -> None:
    before = {(link.object_id, link.instance_id) for link in session.links}
    listed = {(link.object_id, link.instance_id) for link in links}
    objects = {link.object_id for link in links}

    def remains(object_id: int, instance_id: int | None) -> bool:
        if instance_id is None:
            return object_id in objects
        return (object_id, instance_id) in listed or (object_id, instance_id) not in before

    session.links = share_links(links)
    session.observations = tuple(
        kept for kept in session.observations if remains(kept.path.object_id, kept.path.instance_id)
    )
    pending = tuple(
        step
        for step in session.pending_setup
        if step.operation.path.object_id == 3 or remains(step.operation.path.object_id, step.operation.path.instance_id)
    )
    added = plan_objects(
        (link for link in links if (link.object_id, link.instance_id) not in before),
        is_observing=device.is_auto_observed,
        is_discovering=product.is_auto_discovered,
        excluded=settings.auto_observe_excluded,
    )
    session.pending_setup = pending + tuple(step for step in added if step not in pending)
