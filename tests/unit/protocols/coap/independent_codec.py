"""Somebody else's CoAP codec, aiocoap's, in terms of our record: the oracle for our own."""

import aiocoap  # type: ignore[import-untyped]  # ships no types
from aiocoap.message import Direction  # type: ignore[import-untyped]  # ships no types
from aiocoap.numbers import OptionNumber  # type: ignore[import-untyped]  # ships no types
from aiocoap.optiontypes import OpaqueOption  # type: ignore[import-untyped]  # ships no types

from commandpost.protocols.coap.message import CoapMessage, MessageType


def read_independently(data: bytes) -> CoapMessage:
    """Decode with aiocoap; an option it reads as a number comes back in its shortest form."""
    message = aiocoap.Message.decode(data)
    return CoapMessage(
        type=MessageType(int(message.mtype)),
        code=int(message.code),
        message_id=int(message.mid),
        token=bytes(message.token),
        options=tuple((int(option.number), bytes(option.encode())) for option in message.opt.option_list()),
        payload=bytes(message.payload),
    )


def write_independently(message: CoapMessage) -> bytes:
    """Encode with aiocoap, options as opaque bytes."""
    theirs = aiocoap.Message(code=aiocoap.Code(message.code), payload=message.payload)
    theirs.mtype = aiocoap.Type(int(message.type))
    theirs.mid = message.message_id
    theirs.token = message.token
    theirs.direction = Direction.OUTGOING
    for number, value in message.options:
        theirs.opt.add_option(OpaqueOption(OptionNumber(number), value))
    return bytes(theirs.encode())
