"""What a platform does again and again by itself: expiring, sweeping, pruning.

Here: which duties there are, and how often each is done. Not here: what each does (services).
"""

from typing import Final

from commandpost.app.lwm2m_side import Lwm2mSide
from commandpost.app.streams import Streams
from commandpost.app.world import World
from commandpost.config import Settings
from commandpost.domain.instant import DAY_MS
from commandpost.domain.push_facts import TellSilences
from commandpost.services.audit import AuditKeeper, AuditLog
from commandpost.services.maintenance import (
    SLICE_DEFAULT,
    AddressKeeper,
    Duty,
    Expirer,
    Rescuer,
    SessionSweeper,
    Sweeper,
)
from commandpost.services.proof_keeper import ProofKeeper
from commandpost.services.retention import BrokerSweeper, Retention, prunings
from commandpost.southbound.mqtt.broker import Broker

TICKS_PER_PRUNING: Final = 60  # what is kept for months may stay a minute longer


def build_duties(
    settings: Settings, world: World, *, tick_s: float, lwm2m: Lwm2mSide, streams: Streams, audit: AuditLog
) -> tuple[Duty, ...]:
    """Build every duty, in the order they are begun."""
    return (
        *_watching(world, tick_s, lwm2m),
        ProofKeeper(connections=streams.connections, interval_s=tick_s),
        AuditKeeper(audit=audit, interval_s=tick_s),
        *_pruning(settings, world, tick_s * TICKS_PER_PRUNING, streams.broker),
    )


def _watching(world: World, tick_s: float, lwm2m: Lwm2mSide) -> tuple[Duty, ...]:
    return (
        Expirer(writer=world.writer, clock=world.clock, interval_s=tick_s),
        Rescuer(
            writer=world.writer,
            reader=world.reader,
            dispatcher=lwm2m.dispatcher,
            clock=world.clock,
            interval_s=tick_s,
        ),
        SessionSweeper(sessions=lwm2m.sessions, clock=world.clock, interval_s=tick_s),
        Sweeper(
            "tell_silences",
            lambda now: TellSilences(now=now, limit=SLICE_DEFAULT),
            writer=world.writer,
            clock=world.clock,
            interval_s=tick_s,
        ),
        AddressKeeper(sessions=lwm2m.sessions, interval_s=tick_s),
    )


def _pruning(settings: Settings, world: World, interval_s: float, broker: Broker) -> tuple[Duty, ...]:
    retention = Retention(
        commands_ms=settings.store.retention_days * DAY_MS,
        data_ms=settings.data.retention_days * DAY_MS,
        audit_ms=settings.audit.retention_days * DAY_MS,
        audit_rows_max=settings.audit.rows_max,
    )
    return (
        *(
            Sweeper(name, slice_at, writer=world.writer, clock=world.clock, interval_s=interval_s)
            for name, slice_at in prunings(retention).items()
        ),
        BrokerSweeper(sweep=broker.sweep, interval_s=interval_s),
    )
