"""What simulated MQTT and EDP devices report: a temperature and a humidity that wander, in each of the seven types.

Source: southbound reference 5.3 and 6.6.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from commandpost.domain.ports import Clock
from commandpost.protocols.data_report import BinaryReport, DataReport, DataType, FloatReport, LocalTime, TextReport

DEVICE_CLOCK_OFFSET: Final = timedelta(hours=8)  # times have no zone and are Beijing's, southbound reference 5.3
BINARY_BYTES: Final = 64
TEMPERATURE_STREAM: Final = 1
HUMIDITY_STREAM: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ReportMaker:
    """One device's sensors."""

    def __init__(self, types: Sequence[DataType], *, clock: Clock, random: Random) -> None:
        self._types = tuple(types)
        self._clock = clock
        self._random = random
        self._made = 0
        self._tenths = 215  # of a degree
        self._humidity = 48

    def next_report(self) -> DataReport:
        """Measure, and give the report of the type whose turn it is."""
        kind = self._types[self._made % len(self._types)]
        self._made += 1
        self._tenths = min(400, max(-200, self._tenths + self._random.randint(-5, 5)))
        self._humidity = min(100, max(0, self._humidity + self._random.randint(-1, 1)))
        return self._format(kind, self._tenths / 10, self._humidity)

    def _format(self, kind: DataType, temperature: float, humidity: int) -> DataReport:
        match kind:
            case DataType.STREAMS:
                streams = [
                    {"id": "temperature", "datapoints": [{"value": temperature}]},
                    {"id": "humidity", "datapoints": [{"at": self._time_text(), "value": humidity}]},
                ]
                return TextReport(form=1, text=_json({"datastreams": streams}))
            case DataType.BINARY:
                header = _json({"ds_id": "picture", "at": self._time_text(), "desc": "simulated"})
                return BinaryReport(header=header, payload=self._random.randbytes(BINARY_BYTES))
            case DataType.VALUES:
                return TextReport(form=3, text=_json({"temperature": temperature, "humidity": humidity}))
            case DataType.TIMED_VALUES:
                at = self._time_text()
                return TextReport(form=4, text=_json({"temperature": {at: temperature}, "humidity": {at: humidity}}))
            case DataType.DELIMITED:
                return TextReport(form=5, text=_delimited(temperature, humidity))
            case DataType.DELIMITED_AT:
                return TextReport(form=5, text=_delimited(temperature, humidity), at=self._time())
            case DataType.FLOATS:
                points = ((TEMPERATURE_STREAM, temperature), (HUMIDITY_STREAM, float(humidity)))
                return FloatReport(at=self._time(), points=points)

    def _local(self) -> datetime:
        return _EPOCH + timedelta(milliseconds=self._clock.wall_ms()) + DEVICE_CLOCK_OFFSET

    def _time(self) -> LocalTime:
        now = self._local()
        return LocalTime(now.year, now.month, now.day, now.hour, now.minute, now.second)

    def _time_text(self) -> str:
        return self._local().strftime("%Y-%m-%d %H:%M:%S")


def _delimited(temperature: float, humidity: int) -> bytes:
    return f",;temperature,{temperature};humidity,{humidity}".encode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
