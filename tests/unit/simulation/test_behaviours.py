"""What each behaviour does to a request, as its server sees it."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from commandpost.domain.operation import Execute, Observe, Read, Write, WriteItem, WriteMode
from commandpost.domain.resource import ResourcePath
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.events import EndReason, ExchangeEnded
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import DecodeError
from commandpost.simulation.behaviours import CONDUCTS, Behaviour
from commandpost.simulation.datagram_trace import Passage, TraceEntry
from commandpost.simulation.device_settings import DeviceSettings
from tests.unit.simulation.scripted_server import IMEI, SETTINGS, Answered, Stage, on_stage

DIMMER = ResourcePath(object_id=3306, instance_id=0, resource_id=5851)
ACTUATOR = ResourcePath(object_id=3306, instance_id=0)
WRITE = Write(path=ACTUATOR, mode=WriteMode.PARTIAL, items=(WriteItem(5851, 75),))
EXECUTE = Execute(path=ResourcePath(object_id=3303, instance_id=0, resource_id=5605), arguments="reset")
READ_DIMMER = Request(code=Code.GET, options=tuple((int(Option.URI_PATH), part) for part in (b"3306", b"0", b"5851")))


def written_to(behaviour: Behaviour, *, settings: DeviceSettings = SETTINGS) -> tuple[Answered, Stage]:
    """Register, send one Write, wait for its end and for whatever comes after."""
    answers: list[Answered] = []

    async def story(stage: Stage) -> None:
        await stage.registered()
        answers.append(await stage.server.perform(WRITE))
        await asyncio.sleep(120)

    stage = on_stage(story, behaviour=behaviour, settings=settings)
    return answers[0], stage


def sent_by_device(stage: Stage, *, after_s: float = 0.5) -> list[TraceEntry]:
    """Give what the device sent after its registration, in order."""
    began = stage.network.trace.entries[0].at_us
    return [
        entry
        for entry in stage.network.trace.entries
        if entry.passage is Passage.SENT and entry.source[1] == 10 and entry.at_us > began + after_s * 1_000_000
    ]


def types_of(entries: list[TraceEntry]) -> list[tuple[MessageType, int]]:
    return [(MessageType(entry.datagram[0] >> 4 & 3), entry.datagram[1]) for entry in entries]


def test_every_behaviour_has_a_conduct() -> None:
    assert set(CONDUCTS) == set(Behaviour)


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_every_behaviour_registers_and_updates_as_it_should(behaviour: Behaviour) -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await asyncio.sleep(1_000)

    stage = on_stage(story, settings=replace(SETTINGS, lifetime_s=300), behaviour=behaviour)

    kinds = Counter(uplink.kind for uplink in stage.server.uplinks)
    assert kinds["register"] == 1
    assert kinds["update"] >= 3


def test_normal_does_it_and_answers_in_the_acknowledgement() -> None:
    answer, stage = written_to(Behaviour.NORMAL)

    assert answer.code == Code.CHANGED
    assert stage.device.tree.value(DIMMER) == 75
    assert types_of(sent_by_device(stage)) == [(MessageType.ACK, Code.CHANGED)]


def test_silent_neither_does_nor_answers() -> None:
    answer, stage = written_to(Behaviour.SILENT)

    assert answer == Answered(code=0, after_s=25.0)
    assert stage.device.tree.value(DIMMER) == 0
    assert sent_by_device(stage) == []
    assert [entry.was_done for entry in stage.device.served] == [False]


def test_slow_does_it_at_once_and_answers_after_the_deadline() -> None:
    answer, stage = written_to(Behaviour.SLOW)

    assert answer.code == 0
    assert stage.device.tree.value(DIMMER) == 75
    assert types_of(sent_by_device(stage)) == [(MessageType.ACK, Code.CHANGED)]


def test_slow_can_be_slow_within_the_deadline() -> None:
    answer, _ = written_to(Behaviour.SLOW, settings=replace(SETTINGS, slow_answer_s=12.0))

    assert (answer.code, round(answer.after_s, 6)) == (Code.CHANGED, 12.0)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [(Behaviour.ANSWERS_4_05, Code.METHOD_NOT_ALLOWED), (Behaviour.ANSWERS_5_00, Code.INTERNAL_SERVER_ERROR)],
)
def test_an_error_answer_leaves_everything_as_it_was(behaviour: Behaviour, code: int) -> None:
    answer, stage = written_to(behaviour)

    assert answer.code == code
    assert stage.device.tree.value(DIMMER) == 0
    assert [entry.was_done for entry in stage.device.served] == [False]


def test_answers_twice_sends_the_same_bytes_twice_and_does_it_once() -> None:
    answer, stage = written_to(Behaviour.ANSWERS_TWICE)

    first, second = sent_by_device(stage)
    assert answer.code == Code.CHANGED
    assert first.datagram == second.datagram
    assert second.at_us - first.at_us == 500_000
    assert len(stage.device.served) == 1


def test_moves_address_comes_from_a_new_address_after_every_sleep() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await asyncio.sleep(4_600)
        await stage.server.perform(WRITE)

    stage = on_stage(story, behaviour=Behaviour.MOVES_ADDRESS, settings=replace(SETTINGS, sleep_s=600.0, awake_s=300.0))

    remotes = [uplink.remote for uplink in stage.server.uplinks]
    assert len(remotes) >= 5
    assert len(set(remotes)) == len(remotes)
    assert stage.device.tree.value(DIMMER) == 75


def test_rst_resets_the_request() -> None:
    ends: list[object] = []

    async def story(stage: Stage) -> None:
        await stage.registered()
        ends.append(await stage.server.request(READ_DIMMER))

    stage = on_stage(story, behaviour=Behaviour.RST)

    assert ends == [ExchangeEnded(1, EndReason.RESET)]
    assert types_of(sent_by_device(stage)) == [(MessageType.RST, 0)]


def test_garbage_is_no_answer_at_all() -> None:
    answer, stage = written_to(Behaviour.GARBAGE)

    assert answer.code == 0
    assert len(sent_by_device(stage)) == 1
    assert stage.device.tree.value(DIMMER) == 0


def test_a_bad_payload_is_an_answer_that_cannot_be_read() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        with pytest.raises(DecodeError):
            await stage.server.perform(Read(path=ACTUATOR))

    on_stage(story, behaviour=Behaviour.BAD_PAYLOAD)


def test_the_reply_may_come_before_its_acknowledgement() -> None:
    answer, stage = written_to(Behaviour.ACK_AFTER_REPLY)

    assert answer.code == Code.CHANGED
    assert types_of(sent_by_device(stage)) == [(MessageType.CON, Code.CHANGED), (MessageType.ACK, 0)]
    assert stage.device.tree.value(DIMMER) == 75


def test_a_separate_response_comes_after_an_empty_acknowledgement() -> None:
    answer, stage = written_to(Behaviour.SEPARATE_RESPONSE)

    assert (answer.code, round(answer.after_s, 6)) == (Code.CHANGED, 1.0)
    assert types_of(sent_by_device(stage)) == [(MessageType.ACK, 0), (MessageType.CON, Code.CHANGED)]


def test_an_empty_acknowledgement_alone_stops_retransmissions_and_is_no_answer() -> None:
    answer, stage = written_to(Behaviour.EMPTY_ACK_ONLY)

    assert answer.code == 0
    assert types_of(sent_by_device(stage)) == [(MessageType.ACK, 0)]
    assert stage.device.tree.value(DIMMER) == 75


def test_a_reboot_in_the_middle_of_a_run_happens_once_and_spares_the_setup() -> None:
    """The retransmission finds a device that has forgotten the request, and is carried out again."""

    async def story(stage: Stage) -> None:
        await stage.registered()
        observed = await stage.server.perform(Observe(path=ACTUATOR))
        first = await stage.server.perform(WRITE)
        second = await stage.server.perform(EXECUTE)
        assert (observed.code, first.code, second.code) == (Code.CONTENT, Code.CHANGED, Code.CHANGED)

    stage = on_stage(story, behaviour=Behaviour.REBOOT_MID_RUN)

    assert stage.device.counters.reboots == 1
    assert [uplink.kind for uplink in stage.server.uplinks] == ["register", "register"]
    assert [type(entry.operation).__name__ for entry in stage.device.served] == [
        "Observe",
        "ServedWrite",
        "ServedWrite",
        "Execute",
    ]


def test_an_answer_may_come_from_a_new_address() -> None:
    """Which a server that goes by the book does not take for the answer; the device says it again when asked again."""
    answer, stage = written_to(Behaviour.MOVES_BEFORE_ANSWER)

    assert answer.code == 0
    assert len({entry.source for entry in sent_by_device(stage)}) == 1
    assert sent_by_device(stage)[0].source != stage.server.uplinks[0].remote


def test_setup_requests_can_be_spared() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        assert (await stage.server.perform(Observe(path=ACTUATOR))).code == Code.CONTENT
        assert (await stage.server.perform(Read(path=ResourcePath(object_id=3, instance_id=0)))).code == Code.CONTENT
        assert (await stage.server.perform(WRITE)).code == 0

    on_stage(story, behaviour=Behaviour.SILENT, settings=replace(SETTINGS, spares_setup=True))


def test_the_log_says_what_was_asked_and_what_was_done() -> None:
    _, stage = written_to(Behaviour.NORMAL)

    (entry,) = stage.device.served
    assert (entry.code, entry.was_done, len(entry.coap_token)) == (Code.CHANGED, True, 4)
    assert stage.device.settings.imei == IMEI
