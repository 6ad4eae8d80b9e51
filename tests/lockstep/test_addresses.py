"""Whose an address is: devices that move, and addresses that are given to others, against a live server."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from tests.acceptance.server import JsonObject, ServerProcess
from tests.simulators.scripted_device import CHANGED, CONTENT, ScriptedDevice

WAIT_S = 15.0
NOT_FOUND = 0x84
EXECUTE = {"obj_id": 3303, "obj_inst_id": 0, "res_id": 5605, "timeout": 5}
_numbers = iter(range(1, 100))


@contextlib.contextmanager
def registered(server: ServerProcess) -> Iterator[ScriptedDevice]:
    """A fresh device that has registered and answered the marker read."""
    imei = f"86700000000{next(_numbers):04d}"
    server.create_device(imei)
    with ScriptedDevice(server.coap, imei) as device:
        device.register()
        device.answer(device.receive_request(), NOT_FOUND)
        yield device


class Execution:
    """An instant Execute under way."""

    def __init__(self, server: ServerProcess, imei: str) -> None:
        self._answers: list[JsonObject] = []
        self._thread = threading.Thread(
            target=lambda: self._answers.append(
                server.call("POST", "/nbiot/execute", {**EXECUTE, "imei": imei}, body={"args": "ping"})
            )
        )
        self._thread.start()

    def answer(self) -> JsonObject:
        self._thread.join(WAIT_S)
        assert self._answers, "the call has not been answered"
        return self._answers[0]


def test_commands_follow_a_device_that_updates_from_elsewhere(server: ServerProcess) -> None:
    """UPDATE is known by its location, wherever it comes from."""
    with registered(server) as device:
        device.move()
        device.update()
        execution = Execution(server, device.imei)
        device.answer(device.receive_request(), CHANGED)

        assert execution.answer()["errno"] == 0


def test_commands_follow_a_device_that_notifies_from_elsewhere(server: ServerProcess) -> None:
    """NOTIFY is known by its token."""
    with registered(server) as device:
        observing = threading.Thread(
            target=lambda: server.data(
                "POST",
                "/nbiot/observe",
                {"imei": device.imei, "obj_id": 3303, "obj_inst_id": 0, "cancel": "false"},
            )
        )
        observing.start()
        observe = device.receive_request()
        device.answer(observe, CONTENT, options=((int(Option.OBSERVE), encode_uint(1)),))
        observing.join(WAIT_S)

        device.move()
        device.send(
            CoapMessage(
                type=MessageType.CON,
                code=CONTENT,
                message_id=device.next_message_id(),
                token=observe.token,
                options=((int(Option.OBSERVE), encode_uint(2)),),
            )
        )
        acknowledgement = device.receive()
        execution = Execution(server, device.imei)
        device.answer(device.receive_request(), CHANGED)

        assert acknowledgement is not None
        assert (acknowledgement.type, acknowledgement.code) == (MessageType.ACK, 0)
        assert execution.answer()["errno"] == 0


def test_an_address_that_another_device_registers_from_is_lost_at_once(server: ServerProcess) -> None:
    """The command in flight to the first ends as ADDR_OCCUPIED, long before its deadline."""
    with registered(server) as device:
        execution = Execution(server, device.imei)
        device.receive_request()
        began_at = time.monotonic()
        first, newcomer = device.imei, f"86700000000{next(_numbers):04d}"
        server.create_device(newcomer)
        device.imei = newcomer
        device.register()
        answer = execution.answer()

        assert (answer["errno"], "ADDR_OCCUPIED" in answer["error"]) == (5106, True), answer
        assert time.monotonic() - began_at < 4.0
        assert first != newcomer


def test_an_answer_from_elsewhere_is_acknowledged_and_does_not_count(server: ServerProcess) -> None:
    """NoSec: whoever was not asked cannot answer; a reset would restart a real device."""
    with registered(server) as device:
        execution = Execution(server, device.imei)
        request = device.receive_request()
        device.move()
        device.send(
            CoapMessage(type=MessageType.CON, code=CHANGED, message_id=device.next_message_id(), token=request.token)
        )
        reply = device.receive()
        answer = execution.answer()

        assert reply is not None
        assert (reply.type, reply.code) == (MessageType.ACK, 0)
        assert (answer["errno"], "TIME_OUT" in answer["error"]) == (5106, True), answer


def test_a_reset_ends_the_command_and_not_the_session(server: ServerProcess) -> None:
    """OFFLINE is told at once; the next command reaches the device all the same."""
    with registered(server) as device:
        execution = Execution(server, device.imei)
        request = device.receive_request()
        device.send(CoapMessage(type=MessageType.RST, code=0, message_id=request.message_id))
        answer = execution.answer()
        assert (answer["errno"], "OFFLINE" in answer["error"]) == (5106, True), answer

        execution = Execution(server, device.imei)
        device.answer(device.receive_request(), CHANGED)
        assert execution.answer()["errno"] == 0


@pytest.mark.parametrize("code", [0x85, 0xA0])
def test_an_error_answer_ends_the_command_at_once(server: ServerProcess, code: int) -> None:
    """4.05 and 5.00 are answers."""
    with registered(server) as device:
        execution = Execution(server, device.imei)
        device.answer(device.receive_request(), code)

        assert execution.answer()["errno"] == 5106
