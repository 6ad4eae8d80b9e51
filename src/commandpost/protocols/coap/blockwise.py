"""Bodies larger than one message: cutting them, and putting them together.

Pure bookkeeping on blocks; messages are sent by `exchange` (our requests) and `responder` (our responses). Source:
RFC 7959.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from commandpost.protocols.coap.codes import Code, is_success
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import BLOCK_NUMBER_MAX, Block, Option
from commandpost.protocols.coap.peer import Peer
from commandpost.protocols.errors import DecodeError

# What differs between the blocks of one transfer, or only describes it (RFC 7959 section 2.6, RFC 7641 section 2).
_PER_BLOCK_OPTIONS = frozenset({Option.OBSERVE, Option.BLOCK1, Option.BLOCK2, Option.SIZE1, Option.SIZE2})


class Step(Enum):
    """What a response in a block-wise transfer asks for next."""

    CONTINUE = auto()
    """Send the request for the next block."""
    COMPLETE = auto()
    """This is the end; the response, or the body, is whole."""
    STALE = auto()
    """An answer to an earlier block; ignore it."""
    FAILED = auto()
    """The blocks do not fit together."""


def slice_block(body: bytes, *, number: int, szx: int) -> tuple[Block, bytes]:
    """Cut one block out of a body; the piece is empty if the number is beyond the end."""
    block_bytes = 1 << (szx + 4)
    offset = number * block_bytes
    more = offset + block_bytes < len(body)
    return Block(number=number, more=more, szx=szx), body[offset : offset + block_bytes]


class BlockUpload:
    """A request body of ours on its way in Block1 blocks."""

    __slots__ = ("_body", "_offset", "_szx")

    def __init__(self, body: bytes, *, szx: int) -> None:
        self._body = body
        self._szx = szx
        self._offset = 0

    def current(self) -> tuple[Block, bytes]:
        """Give the block to send now."""
        return slice_block(self._body, number=self._offset >> (self._szx + 4), szx=self._szx)

    @property
    def body_bytes(self) -> int:
        """Give the size of the whole body."""
        return len(self._body)

    @property
    def is_first(self) -> bool:
        """Tell whether the current block is the first."""
        return self._offset == 0

    def on_response(self, message: CoapMessage) -> Step:
        """Take the response to the current block.

        An error code ends the transfer as the peer's answer, 4.08 included. The exception is 4.13 with a smaller
        block size: the transfer starts again with that (RFC 7959 section 2.9.3).
        """
        try:
            answered = message.block1
        except DecodeError:
            return Step.FAILED
        is_too_large = message.code == Code.REQUEST_ENTITY_TOO_LARGE
        if is_too_large and answered is not None and answered.szx < self._szx:
            self._szx = answered.szx
            self._offset = 0
            return Step.CONTINUE
        sent, _ = self.current()
        if not is_success(message.code):
            return Step.COMPLETE
        if answered is None:
            # Some servers forget the option in 2.31; any other success without it is the answer to the whole.
            return self._advance(sent, self._szx) if message.code == Code.CONTINUE else Step.COMPLETE
        if answered.number != sent.number and answered.offset != sent.offset:
            return Step.STALE if answered.offset < sent.offset else Step.FAILED
        if not sent.more:
            return Step.FAILED if message.code == Code.CONTINUE else Step.COMPLETE
        # 2.31, or a server that acts on each block by itself (RFC 7959 section 2.3). It may ask for smaller blocks.
        return self._advance(sent, min(answered.szx, self._szx))

    def _advance(self, sent: Block, szx: int) -> Step:
        if not sent.more:
            return Step.FAILED
        self._offset += sent.block_bytes
        self._szx = szx
        return Step.CONTINUE if self._offset >> (szx + 4) <= BLOCK_NUMBER_MAX else Step.FAILED


class BlockDownload:
    """A response to us, arriving in Block2 blocks."""

    __slots__ = ("_body", "_body_bytes_max", "_first", "_szx")

    def __init__(self, first: CoapMessage, *, szx: int, body_bytes_max: int) -> None:
        self._first = first
        self._szx = szx
        self._body = bytearray(first.payload)
        self._body_bytes_max = body_bytes_max

    @property
    def body_bytes(self) -> int:
        """Give the size so far."""
        return len(self._body)

    def wanted(self) -> Block:
        """Give the block to ask for now."""
        return Block(number=len(self._body) >> (self._szx + 4), more=False, szx=self._szx)

    def on_response(self, message: CoapMessage) -> Step:
        """Take a further block; it must follow on, be of the same representation, and be full unless it is the last."""
        try:
            block = message.block2
        except DecodeError:
            return Step.FAILED
        if message.code != self._first.code or block is None or message.etag != self._first.etag:
            return Step.FAILED
        if block.offset < len(self._body):
            return Step.STALE
        payload_bytes = len(message.payload)
        if (
            block.offset > len(self._body)
            or payload_bytes > block.block_bytes
            or (block.more and payload_bytes != block.block_bytes)
            or len(self._body) + payload_bytes > self._body_bytes_max
        ):
            return Step.FAILED
        self._body += message.payload
        if not block.more:
            return Step.COMPLETE
        self._szx = min(self._szx, block.szx)
        return Step.CONTINUE

    def whole(self) -> CoapMessage:
        """Give the first block's message with the payload of all."""
        return replace(self._first, payload=bytes(self._body))


def start_download(message: CoapMessage, *, body_bytes_max: int) -> BlockDownload | Step:
    """Look at the first response for a body in blocks.

    Only 2.05 is fetched further, as nothing else has a representation to fetch.

    Returns:
        COMPLETE if there is nothing more to fetch, FAILED if the option or the payload cannot be right.
    """
    if message.code != Code.CONTENT:
        return Step.COMPLETE
    try:
        block = message.block2
    except DecodeError:
        return Step.FAILED
    if block is None or (not block.more and block.number == 0):
        return Step.COMPLETE
    if block.number != 0 or len(message.payload) != block.block_bytes or block.block_bytes > body_bytes_max:
        return Step.FAILED
    return BlockDownload(message, szx=block.szx, body_bytes_max=body_bytes_max)


def is_partial(message: CoapMessage) -> bool:
    """Tell whether a response that came by itself is only one block.

    One whose Block2 option cannot be read is no whole payload either.
    """
    try:
        block = message.block2
    except DecodeError:
        return True
    return block is not None and block.more


TransferKey = tuple[Peer, int, tuple[tuple[int, bytes], ...]]


def transfer_key(peer: Peer, message: CoapMessage) -> TransferKey:
    """Give what the requests of one block-wise transfer have in common; tokens may differ (RFC 7959 section 2.5)."""
    return peer, message.code, tuple([option for option in message.options if option[0] not in _PER_BLOCK_OPTIONS])


@dataclass(slots=True, kw_only=True)
class _Assembly:
    body: bytearray
    ends_at: float


class BodyAssembler:
    """Request bodies of peers, arriving in Block1 blocks; bounded in count, size and time."""

    __slots__ = ("_assemblies", "_bodies_max", "_body_bytes_max", "_body_s")

    def __init__(self, *, bodies_max: int, body_bytes_max: int, body_s: float) -> None:
        self._bodies_max = bodies_max
        self._body_bytes_max = body_bytes_max
        self._body_s = body_s
        self._assemblies: dict[TransferKey, _Assembly] = {}

    def __len__(self) -> int:
        """Count the bodies that are not whole yet."""
        return len(self._assemblies)

    def receive(self, key: TransferKey, block: Block, payload: bytes, *, now: float) -> bytes | Code:
        """Take one block.

        Returns:
            The whole body after its last block; else the code to answer with: 2.31 to go on, 4.00 for a short
            block, 4.08 for a gap, 4.13 for too large a body, 5.03 for too many bodies at once.
        """
        self._drop_ended(now)
        if len(payload) > block.block_bytes or (block.more and len(payload) != block.block_bytes):
            return self._refuse(key, Code.BAD_REQUEST)
        if block.offset + len(payload) > self._body_bytes_max:
            return self._refuse(key, Code.REQUEST_ENTITY_TOO_LARGE)
        if block.number == 0:
            self._assemblies.pop(key, None)
            if not block.more:
                return payload
            if len(self._assemblies) >= self._bodies_max:
                return Code.SERVICE_UNAVAILABLE
            self._assemblies[key] = _Assembly(body=bytearray(payload), ends_at=now + self._body_s)
            return Code.CONTINUE
        assembly = self._assemblies.get(key)
        if assembly is None:
            return Code.REQUEST_ENTITY_INCOMPLETE
        if block.more and block.offset + len(payload) == len(assembly.body):
            return Code.CONTINUE  # the last block once more, under a new message id: our 2.31 was lost
        if block.offset != len(assembly.body):
            return self._refuse(key, Code.REQUEST_ENTITY_INCOMPLETE)
        assembly.body += payload
        if block.more:
            return Code.CONTINUE
        del self._assemblies[key]
        return bytes(assembly.body)

    def _refuse(self, key: TransferKey, code: Code) -> Code:
        self._assemblies.pop(key, None)
        return code

    def _drop_ended(self, now: float) -> None:
        # All last equally long and none is restarted in place, so the order of insertion is the order of ending.
        while self._assemblies:
            key, assembly = next(iter(self._assemblies.items()))
            if assembly.ends_at > now:
                return
            del self._assemblies[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBody:
    """A large response of ours."""

    code: int
    options: tuple[tuple[int, bytes], ...]
    payload: bytes
    ends_at: float


class ServedBodies:
    """Large responses of ours, kept for the peer's requests for later blocks; bounded in count, bytes and time.

    A response forgotten too early costs nothing but time: the request goes to the owner, who answers again.
    """

    __slots__ = ("_bodies", "_bodies_max", "_body_s", "_bytes", "_bytes_max")

    def __init__(self, *, bodies_max: int, bytes_max: int, body_s: float) -> None:
        self._bodies_max = bodies_max
        self._bytes_max = bytes_max
        self._body_s = body_s
        self._bytes = 0
        self._bodies: dict[TransferKey, ServedBody] = {}

    def __len__(self) -> int:
        """Count the responses held."""
        return len(self._bodies)

    def keep(
        self, key: TransferKey, *, code: int, options: tuple[tuple[int, bytes], ...], payload: bytes, now: float
    ) -> None:
        """Keep a response, at the expense of the oldest ones; one that is larger than everything is not kept."""
        self._discard(key)
        if len(payload) > self._bytes_max or self._bodies_max == 0:
            return
        while len(self._bodies) >= self._bodies_max or self._bytes + len(payload) > self._bytes_max:
            self._discard(next(iter(self._bodies)))
        self._bodies[key] = ServedBody(code=code, options=options, payload=payload, ends_at=now + self._body_s)
        self._bytes += len(payload)

    def find(self, key: TransferKey, *, now: float) -> ServedBody | None:
        """Give a response that is still kept."""
        served = self._bodies.get(key)
        if served is not None and served.ends_at <= now:
            self._discard(key)
            return None
        return served

    def _discard(self, key: TransferKey) -> None:
        served = self._bodies.pop(key, None)
        if served is not None:
            self._bytes -= len(served.payload)
