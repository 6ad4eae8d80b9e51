"""How a simulated MQTT or EDP device treats the commands of its server: one name per behaviour, and what each means.

Here: the names people type and the table of what they do. Not here: the doing (stream_answerer), and LwM2M devices
(behaviours); a name that both have means the same for both. All of them log in and report as they should.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class StreamBehaviour(Enum):
    """The value is what people type after `--behaviour`."""

    NORMAL = "normal"
    """Does what it is asked and answers."""
    SILENT = "silent"
    """Takes a command, acknowledges it where MQTT wants that, and never answers."""
    SLOW = "slow"
    """Does it at once and answers late, `slow_answer_s` after the command; the default is after the answer window."""
    ANSWERS_TWICE = "answers-twice"
    """Does it and sends the answer twice, the second time half a second later."""
    ANSWER_TOO_LARGE = "answer-too-large"
    """Does it and answers with more bytes than a platform keeps."""
    GARBAGE = "garbage"
    """Does nothing and writes bytes that are no message; the server ends the connection, and it comes back."""
    REBOOT_MID_RUN = "reboot-mid-run"
    """Once: does it, and loses the connection instead of acknowledging or answering; then it comes back."""
    ANSWERS_AFTER_RECONNECT = "answers-after-reconnect"
    """Does it, loses the connection, comes back and answers then; a command that is sent again it answers at once."""
    NO_PUBACK = "no-puback"
    """Neither acknowledges nor answers. MQTT only: EDP has no acknowledgement of a command."""
    NEVER_READS = "never-reads"
    """Reads nothing after its login; it comes back when it finds that its ping was not answered."""


class StreamReply(Enum):
    """What comes back for a command."""

    ANSWER = "answer"
    NOTHING = "nothing"
    RANDOM_BYTES = "random_bytes"
    LOSS = "loss"
    """The connection goes, and no answer follows."""
    ANSWER_AFTER_LOSS = "answer_after_loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConduct:
    """What a behaviour does with one command."""

    reply: StreamReply = StreamReply.ANSWER
    is_slow: bool = False
    is_doubled: bool = False
    is_too_large: bool = False
    acknowledges: bool = True
    reads: bool = True
    times_max: int | None = None
    """After so many commands it behaves; None: it never learns."""
    spares_repetitions: bool = False
    """A command that it has met before is treated as by a normal device."""

    @property
    def does_it(self) -> bool:
        """Whether the command is carried out."""
        return self.reply not in (StreamReply.NOTHING, StreamReply.RANDOM_BYTES)


STREAM_CONDUCTS: Final[Mapping[StreamBehaviour, StreamConduct]] = {
    StreamBehaviour.NORMAL: StreamConduct(),
    StreamBehaviour.SILENT: StreamConduct(reply=StreamReply.NOTHING),
    StreamBehaviour.SLOW: StreamConduct(is_slow=True),
    StreamBehaviour.ANSWERS_TWICE: StreamConduct(is_doubled=True),
    StreamBehaviour.ANSWER_TOO_LARGE: StreamConduct(is_too_large=True),
    StreamBehaviour.GARBAGE: StreamConduct(reply=StreamReply.RANDOM_BYTES),
    StreamBehaviour.REBOOT_MID_RUN: StreamConduct(reply=StreamReply.LOSS, acknowledges=False, times_max=1),
    StreamBehaviour.ANSWERS_AFTER_RECONNECT: StreamConduct(
        reply=StreamReply.ANSWER_AFTER_LOSS, acknowledges=False, spares_repetitions=True
    ),
    StreamBehaviour.NO_PUBACK: StreamConduct(reply=StreamReply.NOTHING, acknowledges=False),
    StreamBehaviour.NEVER_READS: StreamConduct(reads=False),
}
