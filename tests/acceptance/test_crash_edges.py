"""Kill -9 of the real server at every edge of the state table, and what its promises are worth afterwards."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import product
from pathlib import Path

import pytest

from commandpost.protocols.coap.message import CoapMessage, MessageType
from tests.acceptance.crash_world import (
    CANCELLED,
    EXPIRED,
    FAILED,
    FINAL,
    IMEI,
    INTERNAL_SERVER_ERROR,
    LONG_DOWN_S,
    MARKER_PATH,
    NOT_FOUND,
    SENT,
    SETUP_PATH,
    SUCCEEDED,
    WAITING,
    CommandDevice,
    CrashingServer,
    HttpCutOff,
    Submission,
    look_up,
    recorded_sendings,
    wait_for_history,
)
from tests.simulators.scripted_device import CHANGED, DELETE, POST

BEIJING = timezone(timedelta(hours=8))
AGAIN = Submission(retry=1)
NO_RETRY = Submission(retry=0)
ONCE = Submission(retry=3, delivery="at_most_once")
POLICIES = {"retry": AGAIN, "no_retry": NO_RETRY, "at_most_once": ONCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A registered device whose setup is done, and the data directory of its server, which was stopped."""

    data_dir: Path
    device: CommandDevice


class PreparedServer(CrashingServer):
    """A server that may begin where another one has ended."""

    def __init__(self, data_dir: Path, prepared: Prepared) -> None:
        super().__init__(data_dir)
        self.prepared = prepared


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """What almost every test here begins with."""
    with CrashingServer(tmp_path_factory.mktemp("prepared") / "data") as server:
        server.run()
        server.create_device(IMEI)
        device = CommandDevice(server)
        device.register()
        device.answer(device.receive_request(), NOT_FOUND)  # the Read of /3/0
        device.update()  # whatever the answer led to is in the writer now
        assert server.terminate() == 0
        yield Prepared(data_dir=server.data_dir, device=device)


@pytest.fixture
def server(tmp_path: Path, prepared: Prepared) -> Iterator[PreparedServer]:
    """A server that was not started yet."""
    with PreparedServer(tmp_path / "data", prepared) as server:
        yield server


def start_with_device(server: PreparedServer, crash: str = "") -> CommandDevice:
    """Start where the prepared one has ended, with the crash point armed."""
    shutil.copytree(server.prepared.data_dir, server.data_dir)
    server.run(crash)
    return CommandDevice(server, in_place_of=server.prepared.device)


# --- accepting -------------------------------------------------------------------------------------------------------


def test_killed_before_an_accept_is_committed(server: PreparedServer) -> None:
    """P1, P2: the caller heard nothing, and there is nothing."""
    device = start_with_device(server, "before_commit:AcceptCommand:1")
    with pytest.raises(HttpCutOff):
        AGAIN.post(server)
    server.wait_killed()
    server.run()

    assert server.history(IMEI) == []
    device.expect_nothing_waits()


def test_killed_between_the_commit_of_an_accept_and_its_answer(server: PreparedServer) -> None:
    """P2: the caller heard nothing, but what is there reaches its end like any other."""
    device = start_with_device(server, "after_commit:AcceptCommand:1")
    with pytest.raises(HttpCutOff):
        AGAIN.post(server)
    server.wait_killed()
    server.run()

    (item,) = server.history(IMEI)
    assert (item["send_status"], item["remain"]) == (WAITING, 1)
    device.update()
    device.answer(device.next_command(), CHANGED)
    server.wait_for_status(IMEI, item["cmd_uuid"], SUCCEEDED)


def test_killed_right_after_the_answer_to_an_accept(server: PreparedServer) -> None:
    """P1, P5: everything that was answered with errno 0 is there, and goes out in order of acceptance."""
    device = start_with_device(server)
    uuids = [Submission(number=number).post(server) for number in range(5)]
    server.kill()
    server.run()

    assert [(item["cmd_uuid"], item["send_status"]) for item in server.history(IMEI)] == [
        (uuid, WAITING) for uuid in uuids
    ]
    device.update()
    for number in range(5):
        request = device.next_command()
        assert request.uri_path[1] == str(number)
        device.answer(request, CHANGED)
    for uuid in uuids:
        server.wait_for_status(IMEI, uuid, SUCCEEDED)


# --- an attempt ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Where a first attempt is cut off, and what is true then."""

    crash: str
    is_attempted: bool = True
    is_on_the_wire: bool = True
    is_answered: bool = False


EDGES = {
    "attempt_not_committed": Edge(crash="before_commit:Claim:1", is_attempted=False, is_on_the_wire=False),
    "attempt_committed": Edge(crash="after_commit:Claim:1", is_on_the_wire=False),
    "about_to_send": Edge(crash="before_send:request:1", is_on_the_wire=False),
    "sent": Edge(crash="after_send:request:1"),
    "answer_read": Edge(crash="on_receive:reply:1", is_answered=True),
    "outcome_not_committed": Edge(crash="before_commit:FinishAndClaim:1", is_answered=True),
}
SOON = {  # the rest of the matrix is run by `make test-all`
    *product(EDGES, ["retry", "at_most_once"], ["registers"]),
    ("sent", "no_retry", "registers"),
    *product(["attempt_not_committed", "attempt_committed", "sent"], ["retry"], ["updates_later"]),
    ("sent", "at_most_once", "updates_later"),
}
LOOKED_AT_AGAIN = {  # each way to end, once; of the rest of the matrix all
    ("attempt_not_committed", "at_most_once", "registers"),
    ("sent", "retry", "registers"),
    ("sent", "no_retry", "registers"),
    ("sent", "at_most_once", "registers"),
    ("sent", "at_most_once", "updates_later"),
}
MATRIX = [
    pytest.param(*names, marks=() if names in SOON else pytest.mark.long)
    for names in product(EDGES, POLICIES, ["registers", "updates_later"])
]

EVERY_POLICY = [pytest.param(name, marks=pytest.mark.long if name == "no_retry" else ()) for name in POLICIES]


def cut_off(server: PreparedServer, submission: Submission, edge: Edge) -> tuple[CommandDevice, str]:
    """Submit a command, let the device show itself, and let the server die at the edge; gives device and uuid."""
    device = start_with_device(server, edge.crash)
    uuid = submission.post(server)
    device.update()
    if edge.is_on_the_wire:
        request = device.next_command()
        if edge.is_answered:
            device.answer(request, CHANGED)
    server.wait_killed()
    return device, uuid


@pytest.mark.parametrize(("edge_name", "policy", "return_as"), MATRIX)
def test_killed_during_an_attempt(server: PreparedServer, edge_name: str, policy: str, return_as: str) -> None:
    """P2, P3, P4, P8, P9: an attempt that was on disk counts as a sending, whether or not it left; no other does."""
    edge, submission = EDGES[edge_name], POLICIES[policy]
    device, uuid = cut_off(server, submission, edge)
    server.run(down_s=0.0 if return_as == "registers" else LONG_DOWN_S)

    before = look_up(server, uuid)
    if not edge.is_attempted:
        assert (before["send_status"], before["remain"]) == (WAITING, submission.retry)
    elif return_as == "registers":
        assert (before["send_status"], before["remain"]) == (SENT, submission.retry)
    elif submission is AGAIN:
        assert (before["send_status"], before["remain"]) == (WAITING, 0)
    else:
        assert (before["send_status"], before["confirm_status"]) == (FAILED, "TIME_OUT")
    if return_as == "registers":
        device.update()  # no reason to send while an attempt is open (P4)
        if edge.is_attempted:
            device.expect_no_command()
            device.register()
    else:
        device.update()
    is_sent_again = not edge.is_attempted or submission is AGAIN
    if is_sent_again:
        device.answer(device.next_command(), CHANGED)
    final = server.wait_for_status(IMEI, uuid, *FINAL)
    device.expect_nothing_waits()

    if is_sent_again:
        assert (final["send_status"], final["confirm_status"]) == (SUCCEEDED, "SUCCESS")
    else:
        assert (final["send_status"], final["confirm_status"]) == (FAILED, "TIME_OUT")
        assert "confirm_time" not in final  # P8: the device never answered, as far as we know
    sendings = int(edge.is_attempted) + int(is_sent_again)
    assert recorded_sendings(server, uuid) == sendings <= submission.sendings_max
    assert len(device.datagrams()) == int(edge.is_on_the_wire) + int(is_sent_again)
    assert final["remain"] == submission.retry - (sendings - 1)
    names = (edge_name, policy, return_as)
    assert_never_changes(server, device, uuid, starts_again=names not in SOON or names in LOOKED_AT_AGAIN)


def assert_never_changes(
    server: PreparedServer, device: CommandDevice, uuid: str, *, starts_again: bool = True
) -> None:
    """P7: answers to everything the device ever saw, uplinks and another start change nothing."""
    final = look_up(server, uuid)
    assert final["send_status"] in FINAL
    for request in list(device.seen):
        device.answer(request, CHANGED)
        device.answer(request, INTERNAL_SERVER_ERROR)
    device.update()
    assert look_up(server, uuid) == final
    if starts_again:
        server.kill()
        server.run(down_s=LONG_DOWN_S)
        device.register()
        device.expect_nothing_waits()
        assert look_up(server, uuid) == final


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.parametrize("code", [CHANGED, INTERNAL_SERVER_ERROR])
def test_an_answer_after_the_restart_counts(server: PreparedServer, policy: str, code: int) -> None:
    """P9, P8: an attempt that is not overdue is adopted; its answer is the answer, and nothing is sent again."""
    submission = POLICIES[policy]
    device, uuid = cut_off(server, submission, EDGES["sent"])
    (request,) = device.datagrams()
    server.run()
    assert look_up(server, uuid)["send_status"] == SENT

    device.answer(request, code)
    if code == CHANGED:
        item = server.wait_for_status(IMEI, uuid, SUCCEEDED)
    else:
        item = server.wait_for_status(IMEI, uuid, WAITING if submission is AGAIN else FAILED)
        assert item["confirm_status"] == "INTERNAL_SERVER_ERROR"
    assert "confirm_time" in item
    assert item["remain"] == submission.retry - int(item["send_status"] == WAITING)
    if item["send_status"] == WAITING:
        device.expect_no_command()  # before it shows itself
    else:
        device.expect_nothing_waits()
    assert device.datagrams() == [request]


def test_a_separate_response_repeated_over_a_restart_counts(server: PreparedServer) -> None:
    """P9: the device repeats its confirmable response until somebody confirms it."""
    device = start_with_device(server, "on_receive:reply:1")
    uuid = AGAIN.post(server)
    device.update()
    request = device.next_command()
    device.send(CoapMessage(type=MessageType.ACK, code=0, message_id=request.message_id))
    response = CoapMessage(type=MessageType.CON, code=CHANGED, message_id=0x7001, token=request.token)
    device.send(response)
    server.wait_killed()
    server.run()
    device.send(response)

    confirmed = device.receive()
    assert confirmed is not None
    assert (confirmed.type, confirmed.message_id) == (MessageType.ACK, 0x7001)
    assert server.wait_for_status(IMEI, uuid, SUCCEEDED)["remain"] == 1
    assert len(device.datagrams()) == 1


@pytest.mark.long  # `test_virtual_crashes.py` shows the same, to the second
def test_an_adopted_attempt_ends_by_silence_at_its_deadline(server: PreparedServer) -> None:
    """P9, P3: nobody answers; ten real seconds after it was sent it has failed, whatever the policy says next."""
    server.run()
    devices = {}
    uuids = {}
    for place, name in enumerate(POLICIES):
        imei = f"86999900000002{place}"
        server.create_device(imei)
        devices[name] = CommandDevice(server, imei)
        policy = POLICIES[name]
        submission = Submission(retry=policy.retry, delivery=policy.delivery, timeout_s=10, triggers=2)
        uuids[name] = submission.post(server, imei)
    for device in devices.values():
        device.register()
        device.answer(device.receive_request(), NOT_FOUND)
        device.update()
        device.next_command()
    server.kill()
    server.run()
    stands = {name: look_up(server, uuids[name], device.imei)["send_status"] for name, device in devices.items()}
    assert stands == dict.fromkeys(POLICIES, SENT)

    ends = {name: server.wait_for_status(device.imei, uuids[name], WAITING, FAILED) for name, device in devices.items()}
    assert {name: (end["send_status"], end["confirm_status"], end["remain"]) for name, end in ends.items()} == {
        "retry": (WAITING, "TIME_OUT", 0),
        "no_retry": (FAILED, "TIME_OUT", 0),
        "at_most_once": (FAILED, "TIME_OUT", 3),
    }
    for name, device in devices.items():
        device.update()
        if name == "retry":
            device.answer(device.next_command(), CHANGED)
            server.wait_for_status(device.imei, uuids[name], SUCCEEDED)
            assert len(device.sendings()) == 2
        else:
            device.expect_nothing_waits()
            assert len(device.datagrams()) == 1


# --- the end of an attempt -------------------------------------------------------------------------------------------


def test_killed_after_an_outcome_is_committed(server: PreparedServer) -> None:
    """P7, P3: it is final; answering and showing up again change nothing."""
    device = start_with_device(server, "after_commit:FinishAndClaim:1")
    uuid = AGAIN.post(server)
    device.update()
    device.answer(device.next_command(), CHANGED)
    server.wait_killed()
    server.run()

    final = look_up(server, uuid)
    assert (final["send_status"], final["remain"]) == (SUCCEEDED, 1)
    assert_never_changes(server, device, uuid)
    assert len(device.datagrams()) == 1


def test_killed_after_a_failed_outcome_is_committed(server: PreparedServer) -> None:
    """P3: an error answer costs one of the retries, once."""
    device = start_with_device(server, "after_commit:FinishAndClaim:1")
    uuid = AGAIN.post(server)
    device.update()
    device.answer(device.next_command(), INTERNAL_SERVER_ERROR)
    server.wait_killed()
    server.run()
    item = look_up(server, uuid)
    assert (item["send_status"], item["remain"], item["confirm_status"]) == (WAITING, 0, "INTERNAL_SERVER_ERROR")

    device.update()
    device.answer(device.next_command(), INTERNAL_SERVER_ERROR)
    assert server.wait_for_status(IMEI, uuid, FAILED)["remain"] == 0
    assert len(device.sendings()) == 2
    assert_never_changes(server, device, uuid)


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_killed_between_two_commands_of_a_run(server: PreparedServer, moment: str, policy: str) -> None:
    """P2, P3, P5: an outcome and the next claim are one fact; the third command is not ahead of the second."""
    device = start_with_device(server, f"{moment}:FinishAndClaim:1")
    kind = POLICIES[policy]
    submissions = [
        Submission(number=number, retry=kind.retry, delivery=kind.delivery, timeout_s=kind.timeout_s)
        for number in range(3)
    ]
    uuids = [submission.post(server) for submission in submissions]
    device.update()
    device.answer(device.next_command(), CHANGED)
    server.wait_killed()
    server.run()

    held = 0 if moment == "before_commit" else 1
    seen = [item["send_status"] for item in server.history(IMEI)]
    assert seen == ([SENT, WAITING, WAITING] if held == 0 else [SUCCEEDED, SENT, WAITING])
    device.post_marker()
    device.register()  # ends what is open, and is the next uplink for everything
    device.answer_until_marker()
    ends = [server.wait_for_status(IMEI, uuid, *FINAL) for uuid in uuids]
    wanted = [SUCCEEDED, SUCCEEDED, SUCCEEDED]
    if kind is not AGAIN:
        wanted[held] = FAILED
    assert [end["send_status"] for end in ends] == wanted
    assert [end["remain"] for end in ends] == [
        kind.retry - int(kind is AGAIN and number == held) for number in range(3)
    ]
    firsts = list(dict.fromkeys(request.uri_path[1] for request in device.seen if request.uri_path != SETUP_PATH))
    assert firsts == sorted(firsts)  # the marker's number is the highest
    for number, submission in enumerate(submissions):
        assert len(device.sendings(number)) <= submission.sendings_max
        assert recorded_sendings(server, uuids[number]) <= submission.sendings_max


# --- setup -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "crash",
    [
        "before_commit:AddObservation:1",
        "after_commit:AddObservation:1",
        "before_send:request:1",
        "after_send:request:2",
        "on_receive:reply:1",
        "before_commit:KeepSetup:1",
        "after_commit:KeepSetup:2",
    ],
)
def test_killed_during_setup(server: PreparedServer, crash: str) -> None:
    """P2, P3, P5: a restart resumes what was pending; the commands come once, in order."""
    server.run(crash)
    server.create_device(IMEI, obsv=True)
    device = CommandDevice(server)
    uuids = [Submission(number=number).post(server) for number in range(2)]
    device.register()  # observe /3303/0 and /3311/0, then read /3/0
    answered: list[tuple[str, ...]] = []
    while not server.dies_within(0.0):
        if (request := device.receive(0.05)) is not None and request.is_request:
            answered.append(request.uri_path)
            device.answer(request, INTERNAL_SERVER_ERROR)
    server.wait_killed()
    server.run()
    device.post_marker()
    device.update()

    asked: list[tuple[str, ...]] = []
    while not {SETUP_PATH, MARKER_PATH} <= {*answered, *asked}:
        request = device.receive_request()
        asked.append(request.uri_path)
        device.answer(request, CHANGED if request.uri_path[-1] == "5605" else INTERNAL_SERVER_ERROR)
    for uuid in uuids:
        assert server.wait_for_status(IMEI, uuid, SUCCEEDED)["remain"] == 1
    commands = [path for path in asked if path[-1] == "5605"]
    assert commands == [("3303", "0", "5605"), ("3303", "1", "5605"), MARKER_PATH]
    assert SETUP_PATH in answered + asked  # pending until it was answered; then it may be on disk that it was


# --- expiry, cancelling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_killed_during_the_expiry_sweep(server: PreparedServer, moment: str) -> None:
    """P2: expired once, never sent, and still so after the next start."""
    device = start_with_device(server)
    in_an_hour = datetime.now(BEIJING) + timedelta(hours=1)
    uuid = Submission(expires=in_an_hour.strftime("%Y-%m-%dT%H:%M:%S")).post(server)
    assert server.terminate() == 0
    # The first sweep is at once, so that it may come before or after the ready line.
    server.ahead_s += timedelta(hours=2).total_seconds()
    try:
        server.run(f"{moment}:ExpireDue:1")
    except AssertionError:
        assert not server.is_alive
    server.wait_killed()
    server.run()

    assert look_up(server, uuid)["send_status"] == EXPIRED
    device.register()
    device.expect_nothing_waits()
    final = look_up(server, uuid)
    assert (final["send_status"], final["remain"]) == (EXPIRED, 1)
    assert recorded_sendings(server, uuid) == 0


@pytest.mark.parametrize("call", ["one", "all"])
@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_killed_during_a_cancel(server: PreparedServer, moment: str, call: str) -> None:
    """P2, P7: cancelled for good, or waiting as if nobody had asked."""
    fact = "CancelCommand" if call == "one" else "CancelAll"
    device = start_with_device(server, f"{moment}:{fact}:1")
    uuid = AGAIN.post(server)
    with pytest.raises(HttpCutOff):
        server.call("PUT", f"/nbiot/offline/cancel/{uuid if call == 'one' else 'all'}", {"imei": IMEI})
    server.wait_killed()
    server.run()
    device.update()

    if moment == "after_commit":
        assert look_up(server, uuid)["send_status"] == CANCELLED
        device.expect_nothing_waits()
        assert_never_changes(server, device, uuid)
    else:
        device.answer(device.next_command(), CHANGED)
        assert server.wait_for_status(IMEI, uuid, SUCCEEDED)["remain"] == 1


# --- recovery itself -------------------------------------------------------------------------------------------------


def test_killed_while_adopting(server: PreparedServer) -> None:
    """P9: adopting writes nothing, so it can be cut off any number of times."""
    device, uuid = cut_off(server, ONCE, EDGES["sent"])
    (request,) = device.datagrams()
    for _ in range(2):
        server.run_and_die("after_adopt:any:1")
    server.run()

    device.answer(request, CHANGED)
    assert server.wait_for_status(IMEI, uuid, SUCCEEDED)["remain"] == ONCE.retry
    assert device.datagrams() == [request]


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_killed_while_ending_what_is_overdue(server: PreparedServer, moment: str, policy: str) -> None:
    """P2, P3: silence costs one retry, however often the recovery that counts it is cut off."""
    submission = POLICIES[policy]
    device, uuid = cut_off(server, submission, EDGES["sent"])
    server.run_and_die(f"{moment}:FinishAndClaim:1", down_s=LONG_DOWN_S)
    if moment == "before_commit":
        server.run_and_die("after_commit:FinishAndClaim:1")
    server.run()

    item = look_up(server, uuid)
    if submission is AGAIN:
        assert (item["send_status"], item["remain"]) == (WAITING, 0)
        device.update()
        device.answer(device.next_command(), CHANGED)
        server.wait_for_status(IMEI, uuid, SUCCEEDED)
    else:
        assert (item["send_status"], item["confirm_status"]) == (FAILED, "TIME_OUT")
    assert recorded_sendings(server, uuid) == len(device.sendings()) <= submission.sendings_max
    assert_never_changes(server, device, uuid)


# --- registering, leaving --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", ["before_commit:StartSession:1", "after_commit:StartSession:1"])
def test_killed_during_a_registration(server: PreparedServer, crash: str) -> None:
    """P2, P3: without a 2.01 the device asks again; the command goes out once, whichever half was on disk."""
    server.run(crash)
    server.create_device(IMEI)
    device = CommandDevice(server)
    uuid = AGAIN.post(server)
    request = device.make_request(POST, ("rd",), (f"ep={IMEI};{device.imsi}", "b=U", "lt=3600"), b"</3303/0>")
    device.send(request)
    server.wait_killed()
    server.run()

    is_known = device.ask(POST, ("rd", IMEI)).code == CHANGED
    assert is_known == crash.startswith("after")
    if not is_known:
        device.register()
    device.answer(device.next_command(), CHANGED)
    assert server.wait_for_status(IMEI, uuid, SUCCEEDED)["remain"] == 1
    assert len(device.datagrams()) == 1


@pytest.mark.parametrize("crash", ["before_commit:EndSession:1", "after_commit:EndSession:1"])
def test_killed_during_a_deregistration(server: PreparedServer, crash: str) -> None:
    """P2: gone or still there, never in between; the command waits for the next uplink."""
    device = start_with_device(server, crash)
    uuid = AGAIN.post(server)
    device.send(device.make_request(DELETE, ("rd", IMEI)))
    server.wait_killed()
    server.run()

    is_known = device.ask(POST, ("rd", IMEI)).code == CHANGED
    assert is_known == crash.startswith("before")
    if not is_known:
        device.register()
    device.answer(device.next_command(), CHANGED)
    assert server.wait_for_status(IMEI, uuid, SUCCEEDED)["remain"] == 1


@pytest.mark.parametrize("crash", ["before_commit:CreateDevice:1", "after_commit:CreateDevice:1"])
def test_killed_while_a_device_is_created(server: PreparedServer, crash: str) -> None:
    """P1: a device is there whole, with a place for commands, or not at all."""
    server.run(crash)
    with pytest.raises(HttpCutOff):
        server.create_device(IMEI)
    server.wait_killed()
    server.run()

    if crash.startswith("before"):
        server.create_device(IMEI)
    AGAIN.post(server)
    wait_for_history(server, 1)
