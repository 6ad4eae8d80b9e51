"""A real server that is killed again and again at moments nobody chose, and the books that must balance in the end.

One life: commands of every kind are submitted, the device answers well, ill, late or not at all, and the process is
killed with SIGKILL somewhere in between, a dozen times. Afterwards everything is allowed to come to its end.
"""

import contextlib
import threading
from pathlib import Path
from random import Random

import pytest

from commandpost.protocols.coap.message import CoapMessage
from tests.acceptance.crash_world import (
    EXECUTABLE,
    FINAL,
    IMEI,
    INTERNAL_SERVER_ERROR,
    LONG_DOWN_S,
    SUCCEEDED,
    WAITING,
    CommandDevice,
    CrashingServer,
    HttpCutOff,
    Submission,
    look_up,
    recorded_sendings,
)
from tests.simulators.scripted_device import CHANGED, POST

KILLS = 12
WAITING_ROOM = 8  # below the limit of ten, whatever comes back to waiting
SETTLING_ROUNDS = 12  # more uplinks than any command has sendings left


class Life:
    """One server, one device, and what a bookkeeper saw of them."""

    def __init__(self, server: CrashingServer, seed: int) -> None:
        self._server = server
        self._chance = Random(seed)
        server.run()
        server.create_device(IMEI)
        self._device = CommandDevice(server)
        self._device.register()
        self._accepted: dict[str, Submission] = {}
        self._submitted = 0
        self._answered_well: set[int] = set()
        self._held_back: list[CoapMessage] = []

    def submit_some(self) -> None:
        """Up to two commands, as long as there is room."""
        for _ in range(self._chance.randrange(3)):
            if sum(item["send_status"] == WAITING for item in self._server.history(IMEI)) >= WAITING_ROOM:
                return
            submission = Submission(
                number=self._submitted,
                retry=self._chance.randrange(3),
                delivery=self._chance.choice(("at_least_once", "at_least_once", "at_most_once")),
                triggers=self._chance.choice((2, 3, 7)),
                method="execute",
            )
            self._submitted += 1
            self._accepted[submission.post(self._server)] = submission

    def submit_into_the_kill(self) -> None:
        """A command whose answer the caller may or may not see; if errno 0 was seen, it counts."""
        submission = Submission(number=self._submitted, retry=1)
        self._submitted += 1
        seen: list[str] = []

        def post() -> None:
            with contextlib.suppress(*HttpCutOff):
                seen.append(submission.post(self._server))

        caller = threading.Thread(target=post)
        caller.start()
        caller.join(self._chance.random() * 0.008)  # a moment within the call, or just after it
        self._server.kill()
        caller.join()
        for uuid in seen:
            self._accepted[uuid] = submission

    def wake_and_answer(self) -> None:
        """An uplink, and a number of requests answered in one of four ways."""
        if self._chance.random() < 0.25:
            self._device.register()
        else:
            self._device.send(self._device.make_request(POST, ("rd", IMEI)))
        for _ in range(self._chance.randrange(5)):
            try:
                request = self._device.next_command(0.4)
            except AssertionError:
                return
            match self._chance.randrange(5):
                case 0:
                    self._device.answer(request, INTERNAL_SERVER_ERROR)
                case 1:
                    self._held_back.append(request)  # answered after the kill, if at all
                    return
                case _:
                    self._answer_well(request)

    def die_and_return(self) -> None:
        """SIGKILL, a short or a long night, and a late answer to what was held back."""
        if self._server.is_alive:
            self._server.kill()
        self._server.run(down_s=self._chance.choice((0.0, 0.0, LONG_DOWN_S)))
        for request in self._held_back:
            self._answer_well(request)
        self._held_back.clear()

    def settle(self) -> None:
        """Let everything come to its end: what was in flight is overdue, what waits is sent and answered."""
        self._server.kill()
        self._server.run(down_s=LONG_DOWN_S)
        for _ in range(SETTLING_ROUNDS):
            self._device.update()
            while True:
                try:
                    self._answer_well(self._device.next_command(0.4))
                except AssertionError:
                    break
            if all(item["send_status"] in FINAL for item in self._server.history(IMEI)):
                return

    def _answer_well(self, request: CoapMessage) -> None:
        assert request.uri_path[-1] == str(EXECUTABLE)
        self._answered_well.add(int(request.uri_path[1]))
        self._device.answer(request, CHANGED)

    def check_books(self) -> None:
        """P1: all there. P2: one end. P3: not too often. P8: no success without the device's word."""
        history = {item["cmd_uuid"]: item for item in self._server.history(IMEI)}
        assert set(self._accepted) <= set(history)
        for uuid, submission in self._accepted.items():
            item = history[uuid]
            sendings = self._device.sendings(submission.number)
            assert item["send_status"] in FINAL, item
            assert len(sendings) <= submission.sendings_max, (item, sendings)
            assert recorded_sendings(self._server, uuid) <= submission.sendings_max, item
            if submission.delivery == "at_most_once":
                assert len(self._device.datagrams(submission.number)) <= 1, item
            if item["send_status"] == SUCCEEDED:
                assert submission.number in self._answered_well, item
        before = {uuid: look_up(self._server, uuid)["send_status"] for uuid in self._accepted}
        self._device.register()
        self._device.expect_no_command()
        assert before == {uuid: look_up(self._server, uuid)["send_status"] for uuid in self._accepted}  # P7


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 26))])
def test_books_balance_after_a_dozen_kills(tmp_path: Path, seed: int) -> None:
    """P1, P2, P3, P7, P8, P9: whatever moment it was; 25 lives of a dozen kills are three hundred."""
    with CrashingServer(tmp_path / "data") as server:
        life = Life(server, seed)
        for kill in range(KILLS):
            life.submit_some()
            life.wake_and_answer()
            if kill % 4 == 3:
                life.submit_into_the_kill()
            life.die_and_return()
        life.settle()
        life.check_books()
