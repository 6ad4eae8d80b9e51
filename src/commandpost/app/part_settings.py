"""What each part of a platform is told of the settings: from `config`'s records to the parts' own."""

from typing import Final

from commandpost.config import LimitsProfile, Settings, Synchronous
from commandpost.domain.device import KeyLabel
from commandpost.domain.instant import SECOND_MS
from commandpost.northbound.settings import ErrnoProfile, NorthboundSettings
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.services.bootstraps import BootstrapSettings
from commandpost.services.datapoints import DatapointSettings
from commandpost.services.dispatcher import DispatcherSettings
from commandpost.services.payloads import PayloadSettings
from commandpost.services.rate_limits import RateSettings
from commandpost.services.registration import AddressFollowing
from commandpost.services.sessions import SessionSettings
from commandpost.southbound.settings import CoapSettings

RESERVATION_BLOCK: Final = 1_024  # a burst to one device hardly ever waits for the disk
# How far a device's records were read is written behind, unless they change something. Where the disk cannot keep up,
# so many of them make a save that goes before other work: as many as the replay window of RFC 6347 section 4.1.2.6 has.
READS_BEHIND_MAX: Final = 64


def session_settings(settings: Settings) -> SessionSettings:
    """Registrations."""
    return SessionSettings(
        lifetime_grace_ms=settings.lwm2m.lifetime_grace_s * SECOND_MS,
        registrations_max=settings.limits.registrations_max,
        auto_observe_excluded=frozenset(settings.lwm2m.auto_observe_excluded),
        address_following=AddressFollowing(settings.lwm2m.address_following.value),
    )


def bootstrap_settings(settings: Settings) -> BootstrapSettings:
    """Where devices are sent."""
    return BootstrapSettings(uri=settings.lwm2m.bootstrap_uri, secure_uri=settings.lwm2m.bootstrap_secure_uri)


def dispatcher_settings(settings: Settings) -> DispatcherSettings:
    """Lanes."""
    return DispatcherSettings(
        setup_timeout_ms=int(settings.lwm2m.setup_timeout_s * SECOND_MS),
        setup_budget_ms=int(settings.lwm2m.setup_budget_s * SECOND_MS),
        setup_delay_ms=int(settings.lwm2m.setup_delay_s * SECOND_MS),
        cached_before_setup=settings.lwm2m.cached_before_setup,
        instants_max=settings.limits.instants_max,
        instants_per_device_max=settings.limits.instant_waiting_max_per_device,
    )


def coap_settings(settings: Settings) -> CoapSettings:
    """The CoAP endpoint and what drives it."""
    return CoapSettings(
        ack_timeout_s=settings.coap.ack_timeout_s,
        ack_random_factor=settings.coap.ack_random_factor,
        block_bytes=settings.coap.block_bytes,
        has_strict_execute_arguments=settings.lwm2m.strict_execute_arguments,
        receive_buffer_bytes=settings.coap.receive_buffer_bytes,
    )


def keeps_associations(settings: Settings) -> bool:
    """Whether DTLS associations outlive a restart: only where a commit outlives a power cut, or numbers come twice."""
    return settings.dtls.persist and settings.store.synchronous is Synchronous.FULL


def dtls_parameters(settings: Settings) -> DtlsParameters:
    """What a DTLS listener agrees to."""
    return DtlsParameters(
        allows_mac_then_encrypt=settings.dtls.mac_then_encrypt,
        connection_id_bytes=settings.dtls.connection_id_bytes,
        candidates=len(KeyLabel),
        idle_timeout_s=settings.dtls.idle_timeout_s,
        reservation_block=RESERVATION_BLOCK if keeps_associations(settings) else None,
        reservation_read_step=READS_BEHIND_MAX,
    )


def dtls_limits(settings: Settings) -> DtlsLimits:
    """How much a DTLS listener holds."""
    return DtlsLimits(
        associations_max=settings.dtls.associations_max,
        half_open_max=settings.dtls.half_open_max,
        half_open_per_source_max=settings.dtls.half_open_max_per_address,
    )


def northbound_settings(settings: Settings) -> NorthboundSettings:
    """The OneNET dialect."""
    return NorthboundSettings(
        errno_profile=ErrnoProfile(settings.errno_profile.value),
        utc_offset_minutes=int(settings.utc_offset.total_seconds() // 60),
        is_nbiot_for_master_only=settings.keys.nbiot_master_only,
        has_strict_key_methods=settings.keys.strict_methods,
    )


def payload_settings(settings: Settings) -> PayloadSettings:
    """`/cmds` payloads."""
    return PayloadSettings(
        open_max=settings.limits.payloads_open_max_per_device,
        answer_window_ms=settings.limits.payload_answer_window_s * SECOND_MS,
    )


def datapoint_settings(settings: Settings) -> DatapointSettings:
    """Reported data."""
    return DatapointSettings(streams_max=settings.data.streams_max_per_device)


def rate_settings(settings: Settings) -> RateSettings:
    """How often applications may call: what is set, else what the profile says (design 10.6)."""
    limits = settings.limits
    profile = RateSettings()
    if limits.profile is LimitsProfile.ONENET:
        profile = RateSettings(calls_per_s_per_product=300, instant_gap_ms=SECOND_MS)

    def either(given: int | None, of_profile: int) -> int:
        return of_profile if given is None else given

    return RateSettings(
        calls_per_s_per_product=either(limits.calls_per_s_per_product, profile.calls_per_s_per_product),
        calls_per_s_per_key=either(limits.calls_per_s_per_key, profile.calls_per_s_per_key),
        instant_gap_ms=either(limits.instant_gap_ms, profile.instant_gap_ms),
    )
