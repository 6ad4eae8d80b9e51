"""What each behaviour of MQTT and EDP devices does to a command, as the platform sees it."""

import asyncio
from dataclasses import replace

import pytest

from commandpost.simulation.stream_behaviours import STREAM_CONDUCTS, StreamBehaviour
from tests.unit.simulation.stream_platform import (
    COMMAND_ID,
    EDP,
    MQTT,
    MQTT_5,
    SETTINGS,
    Dialect,
    StreamStage,
    on_stream_stage,
)

DIALECTS = pytest.mark.parametrize("dialect", [MQTT, MQTT_5, EDP], ids=str)
OK = b"ok: ping"


def commanded(
    dialect: Dialect, behaviour: StreamBehaviour, *, for_s: float = 8.0, slow_answer_s: float = 3.0
) -> StreamStage:
    """Log in, send one command, and wait for whatever comes of it."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(for_s)

    return on_stream_stage(story, dialect, behaviour=behaviour, settings=replace(SETTINGS, slow_answer_s=slow_answer_s))


def answers(stage: StreamStage) -> list[tuple[str, bytes]]:
    return [(command_id, payload) for _, command_id, payload in stage.platform.answers]


def test_every_behaviour_has_a_conduct() -> None:
    assert set(STREAM_CONDUCTS) == set(StreamBehaviour)


@DIALECTS
@pytest.mark.parametrize("behaviour", list(StreamBehaviour))
def test_every_behaviour_logs_in_and_reports_as_it_should(dialect: Dialect, behaviour: StreamBehaviour) -> None:
    """Only what a command leads to goes wrong."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        await asyncio.sleep(25)

    stage = on_stream_stage(story, dialect, behaviour=behaviour, settings=replace(SETTINGS, report_s=10.0))

    assert len(stage.platform.logins) == 1
    assert len(stage.platform.reports) == 3


@DIALECTS
def test_normal_acknowledges_does_it_and_answers(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.NORMAL)

    assert answers(stage) == [(COMMAND_ID, OK)]
    assert stage.platform.delivered == ([] if dialect is EDP else [COMMAND_ID])
    assert [(entry.payload, entry.was_done, entry.is_repeated) for entry in stage.device.heard] == [
        (b"ping", True, False)
    ]


@DIALECTS
def test_silent_acknowledges_and_says_nothing(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.SILENT)

    assert answers(stage) == []
    assert stage.platform.delivered == ([] if dialect is EDP else [COMMAND_ID])
    assert [entry.was_done for entry in stage.device.heard] == [False]


@DIALECTS
def test_slow_answers_late(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.SLOW)

    ((at, _, payload),) = stage.platform.answers
    assert payload == OK
    assert 3.0 <= at - stage.device.heard[0].at_s <= 3.1


@DIALECTS
def test_a_slow_answer_that_finds_no_connection_leaves_after_the_next_login(dialect: Dialect) -> None:
    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(1)
        stage.link.is_there = False
        stage.device.lose()
        await asyncio.sleep(10)
        stage.link.is_there = True
        await asyncio.sleep(30)

    settings = replace(SETTINGS, slow_answer_s=3.0)
    stage = on_stream_stage(story, dialect, behaviour=StreamBehaviour.SLOW, settings=settings)

    assert answers(stage) == [(COMMAND_ID, OK)]
    assert len(stage.platform.logins) == 2


@DIALECTS
def test_answers_twice_sends_the_answer_again_half_a_second_later(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.ANSWERS_TWICE)

    (first, second) = stage.platform.answers
    assert first[1:] == second[1:] == (COMMAND_ID, OK)
    assert round(second[0] - first[0], 3) == 0.5
    assert stage.device.counters.done == 1


@DIALECTS
def test_answer_too_large_is_more_than_64_kib(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.ANSWER_TOO_LARGE)

    assert len(stage.platform.answers[0][2]) > 65_536
    assert stage.platform.closes == []


@DIALECTS
def test_garbage_ends_the_connection_and_the_device_comes_back(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.GARBAGE)

    assert answers(stage) == []
    assert stage.platform.closes[0] in ("malformed", "protocol_error", "fault")
    assert len(stage.platform.logins) == 2
    assert stage.device.counters.done == 0


@DIALECTS
def test_reboot_mid_run_loses_one_command_and_then_behaves(dialect: Dialect) -> None:
    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(5)
        assert (answers(stage), stage.platform.delivered) == ([], [])
        stage.platform.command(b"ping")
        await asyncio.sleep(5)

    stage = on_stream_stage(story, dialect, behaviour=StreamBehaviour.REBOOT_MID_RUN)

    assert answers(stage) == [(COMMAND_ID, OK)]
    assert len(stage.platform.logins) == 2
    assert [(entry.was_done, entry.is_repeated) for entry in stage.device.heard] == [(True, False), (True, True)]


@DIALECTS
def test_answers_after_reconnect_answers_on_the_next_connection(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.ANSWERS_AFTER_RECONNECT)

    assert answers(stage) == [(COMMAND_ID, OK)]
    assert stage.platform.answers[0][0] > stage.platform.logins[1]
    assert stage.platform.delivered == []


@DIALECTS
def test_answers_after_reconnect_answers_a_repetition_at_once(dialect: Dialect) -> None:
    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(5)
        stage.platform.command(b"ping")
        await asyncio.sleep(5)

    stage = on_stream_stage(story, dialect, behaviour=StreamBehaviour.ANSWERS_AFTER_RECONNECT)

    assert answers(stage) == [(COMMAND_ID, OK)] * 2
    assert len(stage.platform.logins) == 2


@pytest.mark.parametrize("dialect", [MQTT, MQTT_5], ids=str)
def test_no_puback_neither_acknowledges_nor_answers(dialect: Dialect) -> None:
    stage = commanded(dialect, StreamBehaviour.NO_PUBACK)

    assert (answers(stage), stage.platform.delivered, stage.platform.closes) == ([], [], [])
    assert stage.device.counters.commands == 1


@DIALECTS
def test_never_reads_leaves_everything_with_the_operating_system(dialect: Dialect) -> None:
    """The command lies there unread, while the device goes on pinging; then it gives up and comes back."""

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        stage.platform.command(b"ping")
        await asyncio.sleep(10)
        assert b"ping" in stage.link.unread
        await asyncio.sleep(200)

    stage = on_stream_stage(story, dialect, behaviour=StreamBehaviour.NEVER_READS)

    assert stage.device.counters.commands == 0
    assert len(stage.platform.logins) >= 2


@DIALECTS
def test_sixteen_commands_at_once_are_answered_in_order(dialect: Dialect) -> None:
    """As many as a platform has open at a time."""
    ids = [COMMAND_ID[:-2] + f"{n:02d}" for n in range(16)]

    async def story(stage: StreamStage) -> None:
        await stage.connected()
        for command_id in ids:
            stage.platform.command(b"ping", command_id=command_id)
        await asyncio.sleep(1)

    stage = on_stream_stage(story, dialect)

    assert answers(stage) == [(command_id, OK) for command_id in ids]
