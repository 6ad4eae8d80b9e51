"""The life of simulated MQTT and EDP devices: logging in, reporting, sleeping, coming back, and being treated badly."""

import asyncio
import json
from dataclasses import replace
from itertools import pairwise

import pytest

from commandpost.protocols.data_report import BinaryReport, DataReport, DataType, FloatReport, TextReport
from commandpost.protocols.edp.messages import LoginRequest
from commandpost.simulation.edp_device import EdpDeviceClient
from commandpost.simulation.mqtt_device import MqttDeviceClient
from commandpost.simulation.stream_device import StreamState
from commandpost.simulation.stream_device_settings import StreamDeviceSettings
from tests.unit.simulation.stream_platform import (
    EDP,
    KEEPALIVE_S,
    MQTT,
    MQTT_5,
    MQTT_LOGIN,
    SETTINGS,
    Dialect,
    MqttPlatform,
    StreamStage,
    on_stream_stage,
)

DIALECTS = pytest.mark.parametrize("dialect", [MQTT, MQTT_5, EDP], ids=str)
REPORTING = replace(SETTINGS, report_s=0.0)


# --- logging in and reporting ----------------------------------------------------------------------------------------


def test_an_mqtt_device_logs_in_with_the_bytes_of_the_reference() -> None:
    """The CONNECT is the example of southbound reference 5.1."""
    client = MqttDeviceClient(replace(MQTT_LOGIN, keepalive_s=120))

    client.begin(now=0.0)

    assert client.bytes_to_send() == bytes.fromhex(
        "10 26 00 04 4D 51 54 54 04 C2 00 78 00 07 38 30 32 39 33 37 37 00 06 34 33 33 32 32 33"
        "00 09 61 75 74 68 69 6E 66 6F 31"
    )


@pytest.mark.parametrize(
    ("login", "wire"),
    [
        (
            LoginRequest(device_id="8029377", product_id=None, auth=b"l2aHkey", keepalive_s=300),
            "10 1B 00 03 45 44 50 01 40 01 2C 00 07 38 30 32 39 33 37 37 00 07 6C 32 61 48 6B 65 79",
        ),
        (
            LoginRequest(device_id="", product_id="101", auth=b'{"mac":"FF"}', keepalive_s=256),
            "10 1E 00 03 45 44 50 01 C0 01 00 00 00 00 03 31 30 31 00 0C 7B 22 6D 61 63 22 3A 22 46 46 22 7D",
        ),
    ],
)
def test_an_edp_device_logs_in_with_the_bytes_of_the_reference(login: LoginRequest, wire: str) -> None:
    """Both forms are the examples of southbound reference 6.3."""
    client = EdpDeviceClient(login)

    client.begin(now=0.0)

    assert client.bytes_to_send() == bytes.fromhex(wire)


def test_an_edp_device_answers_with_the_bytes_of_the_reference() -> None:
    """The "ok" to a "ping" of southbound reference 6.5."""
    client = EdpDeviceClient(LoginRequest(device_id="", product_id="101", auth=b"a", keepalive_s=256))
    client.begin(now=0.0)
    client.bytes_to_send()
    command_id = "81572aae-fc34-5deb-8f06-ab45d73cb12b"
    client.receive_bytes(bytes.fromhex("20 02 00 00 A0 2E 00 24") + command_id.encode(), now=0.0)
    client.receive_bytes(bytes.fromhex("00 00 00 04 70 69 6E 67"), now=0.0)

    events = [client.next_event(), client.next_event()]
    assert client.answer(command_id, b"ok", now=0.0)

    assert [type(event).__name__ for event in events] == ["LoggedIn", "CommandHeard"]
    assert client.bytes_to_send() == (
        bytes.fromhex("B0 2C 00 24") + command_id.encode() + bytes.fromhex("00 00 00 02 6F 6B")
    )


def test_the_reports_of_an_edp_device_are_numbered() -> None:
    """Each SAVE_DATA has flag 40 and the next message id, as the example with 261 in southbound reference 6.6."""
    client = EdpDeviceClient(LoginRequest(device_id="", product_id="101", auth=b"a", keepalive_s=256))
    client.begin(now=0.0)
    client.bytes_to_send()
    client.receive_bytes(bytes.fromhex("20 02 00 00"), now=0.0)
    sent = []
    for _ in range(65_536):
        assert client.report(TextReport(form=3, text=b'{"t":22.5}'), now=0.0)
        sent.append(client.bytes_to_send())

    assert sent[260] == bytes.fromhex("80 10 40 01 05 03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D")
    assert sent[65_534][2:5] == bytes.fromhex("40 FF FF")
    assert sent[65_535] == sent[0]


@DIALECTS
def test_it_logs_in_once_and_stays(dialect: Dialect) -> None:
    """It pings often enough to be kept for an hour, and says nothing else."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        await asyncio.sleep(3_600)
        assert stage.device.state is StreamState.CONNECTED

    stage = on_stream_stage(story, dialect)

    assert len(stage.platform.logins) == 1
    assert stage.platform.closes == []
    assert (stage.device.counters.reports, stage.device.counters.lost) == (0, 0)
    assert stage.device.counters.bytes_received > 3_600 / KEEPALIVE_S


@DIALECTS
@pytest.mark.parametrize("kind", list(DataType))
def test_every_type_of_report_is_stored(dialect: Dialect, kind: DataType) -> None:
    """The platform's engine reads it, and the device counts the acknowledgement."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()

    stage = on_stream_stage(story, dialect, settings=replace(REPORTING, report_types=(kind,)))

    ((_, report),) = stage.platform.reports
    assert _type_of(report) is kind
    assert (stage.device.counters.reports, stage.device.counters.reports_stored) == (1, 1)


def test_the_values_of_a_report_are_temperature_and_humidity() -> None:
    """What form 3 says is JSON with both, within what the sensors can measure."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()

    stage = on_stream_stage(story, MQTT, settings=REPORTING)

    ((_, report),) = stage.platform.reports
    assert isinstance(report, TextReport)
    values = json.loads(report.text)
    assert values.keys() == {"temperature", "humidity"}
    assert -20 <= values["temperature"] <= 40


@DIALECTS
def test_reports_come_at_their_pace_and_types_in_turn(dialect: Dialect) -> None:
    """One at the login, then one every ten seconds."""
    settings = replace(SETTINGS, report_s=10.0, report_types=(DataType.VALUES, DataType.FLOATS))

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        await asyncio.sleep(35)

    stage = on_stream_stage(story, dialect, settings=settings)

    times = [round(at - stage.platform.reports[0][0]) for at, _ in stage.platform.reports]
    assert times == [0, 10, 20, 30]
    assert [_type_of(report) for _, report in stage.platform.reports] == [DataType.VALUES, DataType.FLOATS] * 2


# --- sleeping --------------------------------------------------------------------------------------------------------


@DIALECTS
def test_it_disconnects_after_its_awake_time_and_comes_back_after_its_sleep(dialect: Dialect) -> None:
    """Awake 5 s after the last message, away 55 s, again and again."""
    settings = replace(REPORTING, sleep_s=55.0, awake_s=5.0)

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        await asyncio.sleep(170)

    stage = on_stream_stage(story, dialect, settings=settings)

    gaps = [round(later - earlier) for earlier, later in pairwise(stage.platform.logins)]
    assert gaps == [60, 60]
    assert (stage.device.counters.reports_stored, stage.device.counters.lost) == (3, 0)


@pytest.mark.parametrize(("dialect", "end"), [(MQTT, "peer_disconnected"), (EDP, "peer_gone")], ids=str)
def test_it_says_good_bye_where_there_is_a_word_for_it(dialect: Dialect, end: str) -> None:
    """MQTT has a DISCONNECT, EDP only the end of the stream."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.device.sleep()
        await asyncio.sleep(0.5)

    stage = on_stream_stage(story, dialect, settings=replace(SETTINGS, sleep_s=1_000.0))

    assert stage.platform.closes == [end]


@DIALECTS
def test_a_message_keeps_it_awake(dialect: Dialect) -> None:
    """The awake time counts from the last message, also from one that wants no answer."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        for _ in range(3):
            await asyncio.sleep(4)
            stage.platform.message(b"hello")
        await asyncio.sleep(4)
        assert stage.device.counters.connected_now == 1
        await asyncio.sleep(2)
        assert stage.device.counters.connected_now == 0

    stage = on_stream_stage(story, dialect, settings=replace(SETTINGS, sleep_s=1_000.0, awake_s=5.0))

    assert stage.device.counters.messages == 3
    assert [tag for tag in stage.platform.delivered if tag == "message"] == ["message"] * (3 if dialect != EDP else 0)


@DIALECTS
def test_an_answer_that_is_still_to_leave_keeps_it_awake(dialect: Dialect) -> None:
    """Its application takes longer than it would stay: it answers first, and disconnects then."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(20)

    settings = replace(SETTINGS, sleep_s=1_000.0, awake_s=2.0, answer_delay_s=6.0)
    stage = on_stream_stage(story, dialect, settings=settings)

    assert len(stage.platform.logins) == len(stage.platform.answers) == len(stage.platform.closes) == 1


@DIALECTS
def test_it_can_be_woken_early(dialect: Dialect) -> None:
    """`wake` ends a sleep; a second one changes nothing."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.device.sleep()
        await asyncio.sleep(10)
        stage.device.wake()
        stage.device.wake()
        await asyncio.sleep(1)

    stage = on_stream_stage(story, dialect, settings=replace(SETTINGS, sleep_s=1_000.0))

    assert len(stage.platform.logins) == 2


# --- what happens to it ----------------------------------------------------------------------------------------------


@DIALECTS
def test_a_refused_device_tries_again_ever_later(dialect: Dialect) -> None:
    """The pauses double, up to their bound, with at most half as much again of chance."""

    async def story(stage: StreamStage) -> None:
        stage.platform.lets_in = False
        stage.device.start()
        await asyncio.sleep(400)

    stage = on_stream_stage(story, dialect, settings=replace(SETTINGS, retry_min_s=1.0, retry_max_s=64.0))

    pauses = [later - earlier for earlier, later in pairwise(stage.platform.logins)]
    assert all(2**n <= pause <= 1.5 * 2**n + 0.1 for n, pause in enumerate(pauses[:6]))
    assert all(pause <= 96.1 for pause in pauses)
    assert stage.device.counters.refused == stage.device.counters.failures == len(stage.platform.logins)
    assert "refused" in stage.device.counters.last_end


@DIALECTS
def test_a_server_that_is_not_there_is_tried_until_it_is(dialect: Dialect) -> None:
    """Failures are counted, none is raised, and the device gets in when there is somebody."""

    async def story(stage: StreamStage) -> None:
        stage.link.is_there = False
        stage.device.start()
        await asyncio.sleep(20)
        stage.link.is_there = True
        await asyncio.sleep(40)

    stage = on_stream_stage(story, dialect)

    assert stage.device.counters.failures >= 3
    assert stage.device.counters.connected_now == 1


@DIALECTS
def test_a_device_that_is_sent_away_comes_back(dialect: Dialect) -> None:
    """A connection that ends is counted as lost, and followed by another login."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.kick()
        await asyncio.sleep(5)

    stage = on_stream_stage(story, dialect)

    assert len(stage.platform.logins) == 2
    assert (stage.device.counters.lost, stage.device.counters.connected_now) == (1, 1)


@DIALECTS
def test_a_login_makes_earlier_failures_forgotten(dialect: Dialect) -> None:
    """However often it was sent away, the way back begins with the shortest pause."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        for _ in range(5):
            stage.platform.kick()
            await asyncio.sleep(2)

    stage = on_stream_stage(story, dialect)

    assert len(stage.platform.logins) == 6


@DIALECTS
def test_a_login_that_is_not_answered_is_given_up(dialect: Dialect) -> None:
    """A platform that says nothing does not hold a device for ever."""

    async def story(stage: StreamStage) -> None:
        stage.platform.take_events = lambda: False  # type: ignore[method-assign]  # it hears, and says nothing
        stage.device.start()
        await asyncio.sleep(35)

    stage = on_stream_stage(story, dialect)

    assert stage.device.counters.failures >= 1
    assert stage.device.counters.logins == 0


@DIALECTS
def test_a_stopped_device_does_nothing_any_more(dialect: Dialect) -> None:
    """No report, no answer that was due, no new connection."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(0.1)
        stage.device.stop()
        await asyncio.sleep(1_000)

    settings = replace(SETTINGS, report_s=5.0, answer_delay_s=2.0)
    stage = on_stream_stage(story, dialect, settings=settings)

    assert stage.device.state is StreamState.OFF
    assert (len(stage.platform.reports), stage.platform.answers, len(stage.platform.logins)) == (1, [], 1)
    assert stage.device.counters.connected_now == 0


def test_a_device_that_keeps_its_session_sends_an_unacknowledged_report_again() -> None:
    """With clean session 0 a QoS 1 report that was not acknowledged goes out after the next login."""
    login = replace(MQTT_LOGIN, clean_start=False)
    dialect = Dialect(name="kept", client=lambda: MqttDeviceClient(login), platform=MQTT.platform)

    async def story(stage: StreamStage) -> None:
        platform = stage.platform
        assert isinstance(platform, MqttPlatform)
        platform.keeps_sessions = True
        platform.acknowledges = False
        await stage.connected()
        stage.device.report()
        await asyncio.sleep(1)
        assert (len(platform.reports), stage.device.counters.reports_stored) == (1, 0)
        platform.acknowledges = True
        stage.device.lose()
        await asyncio.sleep(5)

    stage = on_stream_stage(story, dialect)

    (_, first), (_, second) = stage.platform.reports
    assert first == second
    assert (stage.device.counters.reports, stage.device.counters.reports_stored) == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [{"sleep_s": -1.0}, {"awake_s": 0.0}, {"sleep_jitter": 2.0}, {"retry_min_s": 0.0}, {"report_types": ()}],
)
def test_a_device_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    """Bad settings do not become a device."""
    with pytest.raises(ValueError, match="is"):
        StreamDeviceSettings(**changes)  # type: ignore[arg-type]  # fields of different types


def _type_of(report: DataReport) -> DataType:
    match report:
        case FloatReport():
            return DataType.FLOATS
        case BinaryReport():
            return DataType.BINARY
        case TextReport(at=None):
            return DataType(report.form)
        case TextReport():
            return DataType.DELIMITED_AT
