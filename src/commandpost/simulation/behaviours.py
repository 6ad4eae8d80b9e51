"""How a simulated device treats the requests of its server: one name per behaviour, and what each of them means.

Here: the names people type and the table of what they do. Not here: the doing (answering, lwm2m_device).
All of them register, update and notify as they should; only their answers to requests go wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from commandpost.protocols.coap.codes import Code


class Behaviour(Enum):
    """The value is what people type after `--behaviour`."""

    NORMAL = "normal"
    """Does what it is asked, answers in the acknowledgement."""
    SILENT = "silent"
    """Neither does nor answers anything."""
    SLOW = "slow"
    """Does it at once and answers late, `slow_answer_s` after the request; the default is after any deadline."""
    ANSWERS_4_05 = "answers-4.05"
    """Does nothing, answers 4.05."""
    ANSWERS_5_00 = "answers-5.00"
    """Does nothing, answers 5.00."""
    ANSWERS_TWICE = "answers-twice"
    """Does it and sends the answer twice, the second time half a second later."""
    MOVES_ADDRESS = "moves-address"
    """As normal, from a new source address after every sleep and for every update."""
    RST = "rst"
    """Does nothing, answers with a reset."""
    GARBAGE = "garbage"
    """Does nothing, sends back random bytes."""
    BAD_PAYLOAD = "bad-payload"
    """Does nothing, answers 2.05 with a payload that is no TLV."""
    ACK_AFTER_REPLY = "ack-after-reply"
    """Does it; the reply comes first, as a message of its own, then the empty acknowledgement."""
    SEPARATE_RESPONSE = "separate-response"
    """Does it; acknowledges at once and replies later as a message of its own."""
    EMPTY_ACK_ONLY = "empty-ack-only"
    """Does it and acknowledges, but never says what became of it."""
    REBOOT_MID_RUN = "reboot-mid-run"
    """Once: does it, and restarts instead of answering. Setup requests are spared, or it would never get further."""
    MOVES_BEFORE_ANSWER = "moves-before-answer"
    """Does it, and answers from a new source address."""


class Reply(Enum):
    """The form in which an answer leaves."""

    IN_ACK = "in_ack"
    NOTHING = "nothing"
    RESET = "reset"
    RANDOM_BYTES = "random_bytes"
    SEPARATE = "separate"
    BEFORE_ACK = "before_ack"
    ACK_ONLY = "ack_only"
    REBOOT = "reboot"


class AnswerContent(Enum):
    """What an answer says."""

    TRUE = "true"
    """What became of the request."""
    METHOD_NOT_ALLOWED = Code.METHOD_NOT_ALLOWED
    INTERNAL_SERVER_ERROR = Code.INTERNAL_SERVER_ERROR
    NOT_TLV = "not_tlv"
    """2.05 with bytes that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What a behaviour does with one request."""

    reply: Reply = Reply.IN_ACK
    content: AnswerContent = AnswerContent.TRUE
    is_slow: bool = False
    is_doubled: bool = False
    moves_before_answer: bool = False
    moves_on_uplink: bool = False
    spares_setup: bool = False
    times_max: int | None = None
    """After so many requests it behaves; None: it never learns."""

    @property
    def does_it(self) -> bool:
        """Whether the operation is carried out."""
        return self.content is AnswerContent.TRUE and self.reply not in (
            Reply.NOTHING,
            Reply.RESET,
            Reply.RANDOM_BYTES,
        )


CONDUCTS: Final[Mapping[Behaviour, Conduct]] = {
    Behaviour.NORMAL: Conduct(),
    Behaviour.SILENT: Conduct(reply=Reply.NOTHING),
    Behaviour.SLOW: Conduct(is_slow=True),
    Behaviour.ANSWERS_4_05: Conduct(content=AnswerContent.METHOD_NOT_ALLOWED),
    Behaviour.ANSWERS_5_00: Conduct(content=AnswerContent.INTERNAL_SERVER_ERROR),
    Behaviour.ANSWERS_TWICE: Conduct(is_doubled=True),
    Behaviour.MOVES_ADDRESS: Conduct(moves_on_uplink=True),
    Behaviour.RST: Conduct(reply=Reply.RESET),
    Behaviour.GARBAGE: Conduct(reply=Reply.RANDOM_BYTES),
    Behaviour.BAD_PAYLOAD: Conduct(content=AnswerContent.NOT_TLV),
    Behaviour.ACK_AFTER_REPLY: Conduct(reply=Reply.BEFORE_ACK),
    Behaviour.SEPARATE_RESPONSE: Conduct(reply=Reply.SEPARATE),
    Behaviour.EMPTY_ACK_ONLY: Conduct(reply=Reply.ACK_ONLY),
    Behaviour.REBOOT_MID_RUN: Conduct(reply=Reply.REBOOT, spares_setup=True, times_max=1),
    Behaviour.MOVES_BEFORE_ANSWER: Conduct(moves_before_answer=True),
}
