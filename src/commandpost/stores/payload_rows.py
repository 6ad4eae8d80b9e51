"""Row <-> record for connections, and what a filter of payloads asks, in the terms of the .sql files."""

import msgspec

from commandpost.domain.command import CommandState, Outcome
from commandpost.domain.connection import Connection
from commandpost.domain.payload_ports import PayloadFilter


def connection_to_row(connection: Connection) -> dict[str, object]:
    """Give the columns of a connection's row, by name."""
    return {
        "device_id": connection.device_id,
        "product_id": connection.product_id,
        "transport": connection.transport.value,
        "epoch": connection.epoch,
        "start_id": connection.start_id,
        "remote": connection.remote,
        "keepalive_s": connection.keepalive_s,
        "connected_at": connection.connected_at,
    }


def payload_filter_to_row(which: PayloadFilter) -> dict[str, object]:
    """Give a filter's conditions, by name; `stands` is a JSON array of what payloads.sql calls a stand."""
    stands = None if which.stands is None else msgspec.json.encode([_stand(*each) for each in which.stands]).decode()
    return {
        "device_id": which.device_id,
        "start": which.start,
        "end": which.end,
        "now": which.now,
        "stands": stands,
    }


def _stand(state: CommandState, outcome: Outcome | None) -> str:
    return f"{state.value}:{'' if outcome is None else int(outcome)}"
