"""From the messages of LwM2M devices to what they measured and when: notifications, Sends, and answers.

Here: decoding, and the time each value gets. Not here: what is acknowledged when (lwm2m_notifications, lwm2m_send), or
the points that values make (services.observations).
Source: southbound reference 1.7, 3; northbound reference 7.
"""

from collections.abc import Iterable
from math import isfinite
from typing import Final

from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.object_model import ObjectModel
from commandpost.domain.operation import CancelObserve, Lwm2mOperation, Observe, Read
from commandpost.domain.ports import Clock
from commandpost.domain.resource import DiscoveredObject, ObjectValues, OperationResult, ResourcePath
from commandpost.domain.session import Session
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.reports import TimedValues, decode_notification, decode_send
from commandpost.services.observations import Observations, Reading
from commandpost.southbound.notification_order import NotificationOrder

AT_MAX_S: Final = 253_370_764_800  # 9999-01-01: no zone shows a year of five digits, and no device is there yet


class Lwm2mReports:
    """One for everything that hears LwM2M devices, so that there is one order among what they say."""

    def __init__(self, *, observations: Observations, model: ObjectModel, clock: Clock) -> None:
        self._observations = observations
        self._model = model
        self._clock = clock
        self._order = NotificationOrder()

    def date_notification(self, message: CoapMessage) -> Instant:
        """Give the time of a notification that has just arrived; once for each, in the order of their arrival."""
        return self._order.date(
            message.token, message.observe, arrived_at=self._clock.wall_ms(), now=self._clock.monotonic()
        )

    def read_notification(
        self, message: CoapMessage, *, path: ResourcePath, at: Instant, latest: ObjectValues | None = None
    ) -> tuple[Reading, ...]:
        """Read what a notification brought; `at` is what `date_notification` gave for it.

        Args:
            latest: its values without their times, if they have been read already.
        Raises:
            DecodeError: the payload cannot be used.
        """
        timed = decode_notification(
            message.content_format, message.payload, path=path, model=self._model, latest=latest
        )
        return _dated(timed, at)

    def read_send(self, message: CoapMessage) -> tuple[Reading, ...]:
        """Read what a Send brought.

        Raises:
            DecodeError: the payload cannot be used.
        """
        return _dated(decode_send(message.content_format, message.payload, model=self._model), self._clock.wall_ms())

    async def keep(self, session: Session, readings: tuple[Reading, ...]) -> int:
        """Store what was read; see Observations.keep."""
        return await self._observations.keep(session.device_id, session.product_id, readings)

    def keep_answer(
        self, session: Session, operation: Lwm2mOperation, message: CoapMessage, *, result: OperationResult | None
    ) -> None:
        """Store the values of an answer, if it has any; what cannot be read is the attempt's matter.

        The answer to an Observe is the first of its notifications (RFC 7641 section 3.1).

        Args:
            result: what the attempt has read in it, so that most formats are read once.
        """
        if message.code != Code.CONTENT or not isinstance(operation, Read | Observe | CancelObserve):
            return
        try:
            at = self._date_answer(operation, message)
            latest = None if isinstance(result, DiscoveredObject) else result
            readings = self.read_notification(message, path=operation.path, at=at, latest=latest)
        except DecodeError:
            return
        if readings:
            self._observations.keep_soon(session.device_id, session.product_id, readings)

    def _date_answer(self, operation: Lwm2mOperation, message: CoapMessage) -> Instant:
        arrived_at = self._clock.wall_ms()
        if isinstance(operation, Observe):
            now = self._clock.monotonic()
            return self._order.begin(message.token, message.observe, arrived_at=arrived_at, now=now)
        return arrived_at


def _dated(timed: Iterable[TimedValues], arrived_at: Instant) -> tuple[Reading, ...]:
    return tuple([Reading(at=_date(each, arrived_at), values=each.values) for each in timed])


def _date(timed: TimedValues, arrived_at: Instant) -> Instant:
    """Give a time that can be shown; one that cannot is no time, and that of the arrival stands."""
    if timed.at_s is not None:
        return Instant(round(timed.at_s * SECOND_MS)) if timed.at_s <= AT_MAX_S else arrived_at
    age_ms = timed.age_s * SECOND_MS
    return Instant(arrived_at - round(age_ms)) if isfinite(age_ms) and age_ms <= arrived_at else arrived_at
