"""From a stream of bytes to packets: where one ends, and what it says.

Source: MQTT 3.1.1 section 2.2, MQTT 5.0 section 2.1.
"""

from commandpost.protocols.mqtt.body_decoder import decode_body
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connect, Packet
from commandpost.protocols.mqtt.reason_codes import ReasonCode


class FrameReader:
    """Cuts a stream into frames: the first byte of a packet and its body. The hot path of every connection.

    Attributes:
        first: the first byte of the frame read last.
        held: what has come and is not read, and what was read from the same piece; not to be changed. Bytes while
            frames are cut from it, a bytearray while one frame is collected.
        body_bytes_max: a longer body is refused as soon as its length is known, and never held. May be changed.
    """

    __slots__ = ("_position", "_wanted_bytes", "body_bytes_max", "first", "held")

    def __init__(self, *, body_bytes_max: int) -> None:
        self.first = 0
        self.body_bytes_max = body_bytes_max
        self.held: bytes | bytearray = b""
        self._position = 0
        self._wanted_bytes = 2  # fewer than so many cannot be the next frame

    def feed(self, data: bytes) -> None:
        """Take what came; the bytes belong to the reader from now on."""
        held = self.held
        if not held:
            self.held = data
            return
        if not isinstance(held, bytearray):
            held = self.held = bytearray(memoryview(held)[self._position :])
            self._position = 0
        held += data

    def next_body(self) -> bytes | None:
        """Cut the next frame: give its body and set `first`; None: it is not whole yet.

        Raises:
            PacketError: a length no packet has, or one above `body_bytes_max`.
        """
        data, position = self.held, self._position
        size = len(data)
        if size - position < self._wanted_bytes:
            self.compact()
            return None
        if isinstance(data, bytearray):
            data = self.held = bytes(data)
        length = data[position + 1]
        start = position + 2
        if length >= 0x80:
            long_length = self._read_long_length(data, start, length & 0x7F)
            if long_length is None:
                self.compact()
                return None
            length, start = long_length
        if length > self.body_bytes_max:
            raise PacketError(
                f"a packet of {length} bytes, {self.body_bytes_max} are allowed",
                offset=1,
                reason=ReasonCode.PACKET_TOO_LARGE,
            )
        end = start + length
        if end > size:
            self._wanted_bytes = end - position
            self.compact()
            return None
        self.first = data[position]
        if end == size:
            self.held = b""
            self._position = 0
        else:
            self._position = end
        self._wanted_bytes = 2
        return data[start:end]

    def compact(self) -> None:
        """Let go of the frames that were cut off, so that the first bytes of the next one do not hold them."""
        if self._position:
            self.held = self.held[self._position :]
            self._position = 0

    def _read_long_length(self, data: bytes, position: int, length: int) -> tuple[int, int] | None:
        """Read the rest of a remaining length; one written with more bytes than it needs is taken as it is meant."""
        for shift in (7, 14, 21):
            if position >= len(data):
                self._wanted_bytes = len(data) - self._position + 1
                return None
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                return length, position
        raise PacketError("a remaining length has at most 4 bytes", offset=1)

    def clear(self) -> None:
        """Forget what is held."""
        self.held = b""
        self._position = 0


class PacketReader:
    """Gives the packets of a stream, whatever the pieces it comes in.

    After an error nothing more can be read: the stream is lost.
    """

    __slots__ = ("_entries_max", "_frames", "version")

    def __init__(self, *, version: Version, packet_bytes_max: int, entries_max: int = 100) -> None:
        self._frames = FrameReader(body_bytes_max=packet_bytes_max)
        self._entries_max = entries_max
        self.version = version

    @property
    def buffered_bytes(self) -> int:
        """Count the bytes held."""
        return len(self._frames.held)

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._frames.feed(data)

    def next_packet(self) -> Packet | None:
        """Give the next packet, None if it is not whole yet. A CONNECT sets the version of what follows.

        Raises:
            PacketError: malformed; `offset` counts from the start of the packet's body, 1 stands for its length.
        """
        body = self._frames.next_body()
        if body is None:
            return None
        packet = decode_body(self._frames.first, body, self.version, entries_max=self._entries_max)
        if isinstance(packet, Connect):
            self.version = packet.version
        return packet
