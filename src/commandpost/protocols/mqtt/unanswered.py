"""SUBSCRIBE and UNSUBSCRIBE that their owner has not answered, by packet id."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from commandpost.protocols.mqtt.packets import SubscriptionEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commandpost.protocols.mqtt.reason_codes import ReasonCode

_Filter = TypeVar("_Filter", SubscriptionEntry, str)


def take_request(
    requests: dict[int, tuple[_Filter, ...]] | None, packet_id: int, codes: Sequence[ReasonCode]
) -> tuple[_Filter, ...]:
    """Take out what the owner answers: one code for each filter.

    Raises:
        ValueError: no such request waits, or the codes are not as many as its filters.
    """
    filters = (requests or {}).get(packet_id)
    if requests is None or filters is None or len(filters) != len(codes):
        raise ValueError(f"no request with packet id {packet_id} and {len(codes)} filters waits for an answer")
    del requests[packet_id]
    return filters
