"""Messages to the user's servers: their JSON, their signatures, and their encryption.

Here: bytes of a request to a receiver, made of a message; nothing is sent here. The text that is signed is the very
text that goes out. Source: northbound reference 8, 9.2, 13.
"""

import base64
import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from json import encoder
from random import Random
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from commandpost.domain.command import Outcome
from commandpost.domain.datapoint import JsonValue
from commandpost.domain.ids import format_command_id
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.operation import Read
from commandpost.domain.ports import CommandRecord
from commandpost.domain.push_ports import (
    AlarmMessage,
    CommandMessage,
    DataMessage,
    OnlineMessage,
    PushMessage,
    PushTarget,
)
from commandpost.domain.resource import ObjectValues
from commandpost.northbound.java_order import RawJson, reorder_json, write_json
from commandpost.northbound.onenet.envelope import json_text
from commandpost.northbound.onenet.projection import answered_result, command_type, send_status, wants_hex
from commandpost.northbound.onenet.values import ValueStyle, result_data

NONCE_CHARACTERS: Final = 8  # northbound reference 8.1: the Java receiver copies exactly so many
VERIFICATION_CHARACTERS: Final = 16  # of `msg`; captures have about as many
AES_BLOCK_BYTES: Final = 16  # northbound reference 8.3 [choice]: the pad a Java receiver accepts
NONCES_TRIED_MAX: Final = 1_000  # each has no `+` with a chance of two in three
LENGTH_BYTES: Final = 4

_ALPHABET: Final = string.ascii_letters + string.digits
_LOGIN_TYPES: Final = {"EDP": 1, "MODBUS": 6, "MQTT": 7, "LWM2M": 10}  # northbound reference 8.4
_LOGIN_TYPE_OTHER: Final = 0  # HTTP and TCP: the documents number neither, and neither comes online here
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_9999_MS: Final = 253_402_300_799_999


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequest:
    """A GET that a receiver has to answer with `msg`."""

    url: str
    msg: str


class PushFormat:
    """Writes requests. Chance comes from outside: nonces, and the random part of encrypted messages."""

    def __init__(self, *, random: Random, value_style: ValueStyle) -> None:
        self._random = random
        self._value_style = value_style

    def verification(self, url: str, token: str) -> VerificationRequest:
        """Give the request that verifies a url; its signature holds no `+`, which receivers read differently."""
        msg = self._letters(VERIFICATION_CHARACTERS)
        nonce, signature = "", "+"
        for _ in range(NONCES_TRIED_MAX):
            nonce = self._letters(NONCE_CHARACTERS)
            signature = sign(token, nonce, msg)
            if "+" not in signature:
                break
        mark = "&" if "?" in url else "?"
        query = f"msg={msg}&nonce={nonce}&signature={quote(signature, safe='')}"
        return VerificationRequest(url=f"{url}{mark}{query}", msg=msg)

    def body(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> bytes:
        """Give the body of a request with these messages: one as it is, or an array of them."""
        texts = [self.message_text(message) for message in messages]
        text = f"[{','.join(texts)}]" if is_array else texts[0]
        if target.token is None:
            return text.encode()
        nonce = self._letters(NONCE_CHARACTERS)
        if target.aes_key is None:
            return f'{{"msg":{text},"msg_signature":"{sign(target.token, nonce, text)}","nonce":"{nonce}"}}'.encode()
        sealed = encrypt(target.aes_key, text, random_part=self._letters(AES_BLOCK_BYTES))
        signature = sign(target.token, nonce, sealed)
        return f'{{"msg_signature":"{signature}","enc_msg":"{sealed}","nonce":"{nonce}"}}'.encode()

    def message_text(self, message: PushMessage) -> str:
        """Write one message."""
        match message:
            case DataMessage():
                return _data_text(message)
            case OnlineMessage():
                return write_json(_online(message))
            case CommandMessage():
                return write_json(self._command(message.record))
            case AlarmMessage():
                return _alarm_text(message)

    def _command(self, record: CommandRecord) -> dict[str, JsonValue]:
        command = record.command
        shown: dict[str, JsonValue] = {
            "type": 7,
            "dev_id": command.device_id,
            "cmd_id": format_command_id(command.id),
            "cmd_type": command_type(command).value,
        }
        if command.imei:
            shown["imei"] = command.imei
        # Behind the imei: both fall into one slot of the table, where the order of insertion holds.
        shown["send_status"] = send_status(command)
        if command.sent_at is not None:
            shown["send_time"] = command.sent_at
        if command.answered_at is not None:
            shown["confirm_time"] = command.answered_at
        if command.outcome is not None:
            shown["confirm_status"] = command.outcome.value
        confirmed = self._confirm_body(record)
        if confirmed is not None:
            shown["confirm_body"] = confirmed
        return shown

    def _confirm_body(self, record: CommandRecord) -> RawJson | None:
        """Give what a successful read brought."""
        command = record.command
        result = answered_result(record)
        is_read = isinstance(command.operation, Read) and command.outcome is Outcome.SUCCESS
        if not is_read or not isinstance(result, ObjectValues):
            return None
        style = ValueStyle(time_in_ms=self._value_style.time_in_ms, opaque_as_hex=wants_hex(command))
        body = {"obj_id": result.object_id, "obj_inst": result_data(result, style)}
        return RawJson(reorder_json(json_text(body)))

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_ALPHABET, k=count))


def sign(token: str, nonce: str, text: str) -> str:
    """Give base64(md5(token ‖ nonce ‖ text)), 24 characters."""
    # What the dialect prescribes; it keeps nothing secret.
    digest = hashlib.md5(f"{token}{nonce}{text}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def encrypt(aes_key: str, text: str, *, random_part: str) -> str:
    """Encrypt a message: base64 of AES-256-CBC over 16 random characters, the length and the text, PKCS#7 to 16."""
    # Lenient on purpose: the last character may carry bits that mean nothing.
    key = base64.b64decode(f"{aes_key}=")
    message = text.encode()
    plain = random_part.encode() + len(message).to_bytes(LENGTH_BYTES, "big") + message
    pad = AES_BLOCK_BYTES - len(plain) % AES_BLOCK_BYTES
    cipher = Cipher(AES(key), CBC(key[:AES_BLOCK_BYTES])).encryptor()
    sealed = cipher.update(plain + bytes([pad]) * pad) + cipher.finalize()
    return base64.b64encode(sealed).decode()


def _data_text(message: DataMessage) -> str:
    """Write a datapoint as `write_json` would: by a template, for nothing is told as often as these."""
    imei = f'"imei":{encoder.encode_basestring(message.imei)},' if message.imei else ""
    return (
        f'{{"at":{message.at},{imei}"type":1,"ds_id":{encoder.encode_basestring(message.stream_id)},'
        f'"value":{reorder_json(message.value)},"dev_id":{message.device_id}}}'
    )


def _online(message: OnlineMessage) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {
        "type": 2,
        "dev_id": message.device_id,
        "status": int(message.is_online),
        "login_type": _LOGIN_TYPES.get(message.protocol.upper(), _LOGIN_TYPE_OTHER),
        "at": message.at,
    }
    if message.imei:
        shown["imei"] = message.imei
    return shown


def _alarm_text(message: AlarmMessage) -> str:
    """Write an alarm with its keys in the order of the sample; nobody signs it."""
    condition = message.condition
    trigger: dict[str, JsonValue] = {"id": message.trigger_id}
    if condition.threshold is not None:
        trigger["threshold"] = RawJson(condition.threshold)
    trigger["type"] = condition.kind.value
    point: dict[str, JsonValue] = {
        "dev_id": str(message.device_id),
        "ds_id": message.stream_id,
        "ds_uuid": message.stream_uuid,
        "at": _utc_text(message.at),
        "value": RawJson(message.value),
    }
    return f'{{"trigger":{_in_order(trigger)},"current_data":[{_in_order(point)}]}}'


def _in_order(values: dict[str, JsonValue]) -> str:
    return "{" + ",".join(f"{write_json(key)}:{write_json(value)}" for key, value in values.items()) + "}"


def _utc_text(at: Instant) -> str:
    """Write `2015-01-23T08:24:11.000Z`; years the form does not have are shown at its edge."""
    moment = _EPOCH + timedelta(milliseconds=max(0, min(at, _YEAR_9999_MS)))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % SECOND_MS:03}Z"
