"""The start of a connection: who comes, how they are answered, and what is held meanwhile."""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from commandpost.protocols.edp.close_codes import CloseCode, LoginCode
from commandpost.protocols.edp.events import CloseReason, ConnectionClosed, DataSaved, LoginRequested
from commandpost.protocols.edp.limits import EdpLimits
from tests.unit.protocols.edp.conversation import LOGIN, PING, SAVE_261, Conversation, end_of, logged_in

FORM_2 = "10 1E 00 03 45 44 50 01 C0 01 00 00 00 00 03 31 30 31 00 0C 7B 22 6D 61 63 22 3A 22 46 46 22 7D"


class FaultVector(TypedDict):
    name: str
    source: str
    type: str
    body: str
    code: int


FAULTS: list[FaultVector] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "edp" / "login_faults.json").read_text()
)


def test_login_form_1_names_a_device_and_a_key() -> None:
    """The owner decides; 20 02 00 00 says yes."""
    conversation = Conversation()

    events = conversation.feed(LOGIN)
    conversation.connection.accept(now=conversation.now)

    assert events == [LoginRequested(device_id="8029377", product_id=None, auth=b"l2aHkey", keepalive_s=300, form=1)]
    assert conversation.sent() == "20 02 00 00"
    assert conversation.connection.is_logged_in


def test_credentials_do_not_stand_in_a_log() -> None:
    """An event is often logged as it is."""
    (event,) = Conversation().feed(LOGIN)

    assert "l2aHkey" not in repr(event)


def test_login_form_2_names_a_product_and_auth_info() -> None:
    """The device id is empty."""
    events = Conversation().feed(FORM_2)

    assert events == [
        LoginRequested(device_id="", product_id="101", auth=b'{"mac":"FF"}', keepalive_s=256, form=2),
    ]


@pytest.mark.parametrize("vector", FAULTS, ids=[vector["name"] for vector in FAULTS])
def test_a_first_message_at_fault_is_closed_with_its_code(vector: FaultVector) -> None:
    """A syntactic problem is a CONN_CLOSE, never a CONN_RESP."""
    conversation = Conversation()
    body = bytes.fromhex(vector["body"])

    end = end_of(conversation.feed(bytes((int(vector["type"], 16), len(body))) + body))

    assert conversation.sent() == f"40 01 {vector['code']:02X}"
    assert (end.reason, end.code) == (CloseReason.FAULT, vector["code"])


@pytest.mark.parametrize("code", [code for code in LoginCode if code is not LoginCode.ACCEPTED])
def test_refused_credentials_get_their_code_and_the_end(code: LoginCode) -> None:
    """A credential problem is a CONN_RESP, then the stream closes."""
    conversation = Conversation()
    conversation.feed(LOGIN)

    conversation.connection.refuse(code)

    assert conversation.sent() == f"20 02 00 {code:02X}"
    assert conversation.events() == [
        ConnectionClosed(
            reason=CloseReason.LOGIN_REFUSED,
            code=code,
            detail=f"the CONN_REQ was answered {code} {LoginCode(code).name.lower()}",
        )
    ]
    assert conversation.feed(SAVE_261) == []


def test_who_does_not_log_in_within_30_s_is_closed() -> None:
    """Bytes of a login that is not whole do not help."""
    conversation = Conversation()
    conversation.wait(20)
    conversation.feed(LOGIN[:-1])

    assert conversation.connection.next_deadline() == 1_030.0
    assert conversation.wait(9.9) == []
    assert end_of(conversation.wait(0.1)).reason is CloseReason.TIMED_OUT
    assert conversation.sent() == "40 01 06"


def test_what_follows_the_login_waits_for_the_owners_word() -> None:
    """Held undecoded, then decoded in order."""
    conversation = Conversation()

    events = conversation.feed(LOGIN + PING + SAVE_261)
    paused = conversation.connection.is_paused
    held = conversation.connection.buffered_bytes
    conversation.connection.accept(now=conversation.now)

    assert len(events) == 1
    assert paused and held == len(PING + SAVE_261)
    assert [type(event) for event in conversation.events()] == [DataSaved]
    assert conversation.sent() == "20 02 00 00 D0 00"
    assert not conversation.connection.is_paused


def test_an_undecided_login_is_refused_in_the_end() -> None:
    """The owner is slow, not the device, which may try again: CONN_RESP 3. What it sends on prolongs nothing."""
    conversation = Conversation()
    conversation.feed(LOGIN)
    before = conversation.wait(EdpLimits().decision_s - 1)
    conversation.feed("C0")

    assert before == []
    assert conversation.wait(1) == [
        ConnectionClosed(
            reason=CloseReason.TIMED_OUT,
            code=LoginCode.SERVER_FAILURE,
            detail="the login was not decided within 30 s of the CONN_REQ",
        )
    ]
    assert conversation.sent() == "20 02 00 03"


def test_more_than_is_held_before_a_login_closes() -> None:
    """Nobody fills our memory while we look up a key."""
    conversation = Conversation(EdpLimits(held_before_login_bytes_max=100))

    events = conversation.feed(LOGIN + bytes(100)), conversation.feed(b"\0")

    assert len(events[0]) == 1
    assert end_of(events[1]).reason is CloseReason.FLOODED
    assert conversation.connection.buffered_bytes == 0


def test_a_large_message_before_the_login_is_refused_by_its_length() -> None:
    """A stranger may send 4096 bytes, a device 4 MiB."""
    stranger, device = Conversation(), logged_in()
    head = "10 81 20"

    end = end_of(stranger.feed(head))

    assert (end.code, stranger.sent()) == (CloseCode.LENGTH, "40 01 05")
    assert device.feed(head) == []


def test_a_second_login_is_answered_9_and_changes_nothing() -> None:
    """Whatever its credentials."""
    conversation = logged_in()

    assert conversation.feed(LOGIN + PING) == []
    assert conversation.sent() == "20 02 00 09 D0 00"
    assert conversation.connection.is_logged_in


def test_answers_that_nothing_asked_for_do_nothing() -> None:
    """An owner may be late: the connection is over, or the question was answered."""
    conversation = Conversation()
    conversation.connection.accept(now=0.0)
    conversation.connection.refuse(LoginCode.SERVER_FAILURE)
    conversation.connection.start_encryption(bytes(16))
    conversation.connection.refuse_encryption()

    assert conversation.sent() == ""
    conversation.log_in()
    conversation.connection.refuse(LoginCode.SERVER_FAILURE)
    assert conversation.sent() == ""
