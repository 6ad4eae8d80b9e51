"""Messages, signatures and encryption: the reference's vectors, and key orders that Java receivers reproduce."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.command import (
    Answer,
    Attempt,
    AttemptEnd,
    Command,
    CommandMode,
    CommandState,
    Outcome,
    Submission,
    Trigger,
)
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Execute, Operation, Read, Write, WriteMode
from commandpost.domain.ports import CommandRecord
from commandpost.domain.push_ports import AlarmMessage, CommandMessage, DataMessage, OnlineMessage, PushTarget
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.domain.trigger import Condition, TriggerKind
from commandpost.northbound.java_order import in_java_order, java_hash, reorder_json
from commandpost.northbound.onenet.values import ValueStyle
from commandpost.northbound.push_format import PushFormat, encrypt, sign

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "push" / "messages.json").read_text()
)
TEXTS: Final[list[str]] = [vector["text"] for vector in VECTORS["signatures"]]
DEVICE = DeviceId(1_000_001)
IMEI = "860000000000001"
PLAIN = PushTarget(url="http://example.com", token=VECTORS["token"], aes_key=None)
SEALED = replace(PLAIN, aes_key=VECTORS["encryption"]["aes_key"])

POINT = DataMessage(device_id=DEVICE, imei=IMEI, stream_id="3303_0_5700", at=Instant(1_600_000_000_123), value="21.5")
ONLINE = OnlineMessage(device_id=DEVICE, imei=IMEI, protocol="LWM2M", at=Instant(1_600_000_000_456), is_online=True)


def writer(seed: int = 1) -> PushFormat:
    return PushFormat(random=Random(seed), value_style=ValueStyle())


def record(operation: Operation, **changes: Any) -> CommandRecord:
    """The command of the vectors: answered with success."""
    command = Command(
        seq=1,
        id=CommandId(bytes.fromhex("0b0e7c3a8f3c5d0e9a532f4c1d2e3f40")),
        product_id=ProductId(1),
        device_id=DEVICE,
        imei=IMEI,
        operation=operation,
        mode=CommandMode.CACHED,
        created_at=Instant(1_600_000_000_000),
        valid_from=Instant(1_600_000_000_000),
        expires_at=Instant(1_600_000_100_000),
        retry=3,
        remaining=3,
        answer_timeout_ms=25_000,
        triggers=Trigger.REGISTER,
        state=CommandState.SUCCEEDED,
        attempts=1,
        sent_at=Instant(1_600_000_001_000),
        answered_at=Instant(1_600_000_002_000),
        finished_at=Instant(1_600_000_002_000),
        outcome=Outcome.SUCCESS,
    )
    return CommandRecord(command=replace(command, **changes), attempts=())


WRITE = Write(path=ResourcePath(object_id=3, instance_id=0), mode=WriteMode.PARTIAL, items=())
READ = Read(path=ResourcePath(object_id=3303))


def answered(values: ObjectValues, **changes: Any) -> CommandRecord:
    """A read that brought values."""
    found = record(READ, **changes)
    end = AttemptEnd(
        attempt_id=AttemptId(1),
        outcome=Outcome.SUCCESS,
        at=Instant(1_600_000_002_000),
        answer=Answer(code=0x45, result=values),
    )
    attempt = Attempt(
        id=AttemptId(1),
        command_id=found.command.id,
        device_id=DEVICE,
        number=1,
        coap_token=b"12345678",
        start_id=StartId(1),
        sent_at=Instant(1_600_000_001_000),
        deadline=Instant(1_600_000_026_000),
        end=end,
    )
    return replace(found, attempts=(attempt,))


class TestVectors:
    @pytest.mark.parametrize("vector", VECTORS["signatures"], ids=lambda vector: str(vector["text"])[:20])
    def test_a_signature_is_that_of_the_reference(self, vector: dict[str, str]) -> None:
        """base64(md5(token, nonce, text))."""
        assert sign(VECTORS["token"], VECTORS["nonce"], vector["text"]) == vector["signature"]

    def test_messages_are_written_as_the_reference_has_them(self) -> None:
        """Types 1, 2 and 7, to the letter."""
        texts = [writer().message_text(each) for each in (POINT, ONLINE, CommandMessage(record=record(WRITE)))]

        assert texts == [TEXTS[1], TEXTS[2], TEXTS[4]]

    def test_several_messages_are_an_array_without_spaces(self) -> None:
        """What is signed is what stands there."""
        body = writer().body(PLAIN, [POINT, ONLINE], is_array=True).decode()

        content = json.loads(body)
        assert body.startswith(f'{{"msg":{TEXTS[3]},"msg_signature":')
        assert content["msg_signature"] == sign(VECTORS["token"], content["nonce"], TEXTS[3])

    def test_an_encrypted_message_is_that_of_the_reference(self) -> None:
        """AES-256-CBC with the random part given; its signature, too."""
        vector = VECTORS["encryption"]

        sealed = encrypt(vector["aes_key"], vector["text"], random_part=vector["random_part"])

        assert sealed == vector["enc_msg"]
        assert sign(VECTORS["token"], VECTORS["nonce"], sealed) == vector["signature"]

    def test_an_encrypted_message_opens_with_the_key_alone(self) -> None:
        """As a receiver opens it: 16 characters, a length, the text, a pad of at most 16."""
        content = json.loads(writer().body(SEALED, [POINT], is_array=False))
        key = base64.b64decode(VECTORS["encryption"]["aes_key"] + "=")
        opener = Cipher(AES(key), CBC(key[:16])).decryptor()
        plain = opener.update(base64.b64decode(content["enc_msg"])) + opener.finalize()

        length = int.from_bytes(plain[16:20], "big")
        assert plain[20 : 20 + length].decode() == TEXTS[1]
        assert plain[20 + length :] == bytes([plain[-1]]) * plain[-1]
        assert 1 <= plain[-1] <= 16
        assert content["msg_signature"] == sign(VECTORS["token"], content["nonce"], content["enc_msg"])


class TestKeyOrder:
    def test_the_order_of_every_object_is_that_of_a_hash_map(self) -> None:
        """The reference's tables are what the rule gives."""
        for name, order in VECTORS["key_orders"].items():
            inserted = order if name == "7" else sorted(order)
            assert list(in_java_order(inserted)) == order, name

    @pytest.mark.parametrize(
        ("text", "value"), [("", 0), ("a", 97), ("Aa", 2_112), ("BB", 2_112), ("hello", 99_162_322)]
    )
    def test_a_hash_is_that_of_java(self, text: str, value: int) -> None:
        """Well-known ones; `Aa` and `BB` are the classic collision."""
        assert java_hash(text) == value

    def test_a_larger_object_has_a_larger_table(self) -> None:
        """More than 12 keys double it: single letters a to z have ascending hashes, and stay in order in 64 slots."""
        letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]

        assert list(in_java_order(reversed(letters[:12]))) == sorted(letters[:12], key=lambda each: ord(each) % 16)
        assert list(in_java_order(reversed(letters))) == sorted(letters, key=lambda each: ord(each) % 64)

    def test_values_of_devices_are_put_in_order_and_keep_their_numbers(self) -> None:
        """At every depth; what holds no object comes back as it was."""
        assert reorder_json('{"dev_id":1e3,"at":[{"value":22.50,"imei":"x"}]}') == (
            '{"at":[{"imei":"x","value":22.50}],"dev_id":1e3}'
        )
        assert reorder_json('[1.50,"a"]') == '[1.50,"a"]'

    def test_what_is_nested_deeper_than_values_may_be_stays_as_it_is(self) -> None:
        """It is told as its device wrote it."""
        deep = '{"b":' * 65 + '{"type":1,"at":2}' + "}" * 65

        assert reorder_json(deep) == deep

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=20),
            max_leaves=20,
        )
    )
    def test_putting_in_order_changes_nothing_but_the_order(self, value: object) -> None:
        """Whatever a device may say."""
        text = json.dumps(value, ensure_ascii=False)

        assert json.loads(reorder_json(text)) == value


class TestMessages:
    @pytest.mark.parametrize("imei", [IMEI, None, 'quo"te'])
    def test_a_datapoint_has_its_keys_in_the_order_of_a_hash_map(self, imei: str | None) -> None:
        """Whether or not it has an IMEI; whatever stands in its texts, and in its value."""
        stream_id = '温"度\\'
        text = writer().message_text(replace(POINT, imei=imei, stream_id=stream_id, value='{"type":1.50,"at":[]}'))

        message = json.loads(text)
        expected = {"type": 1, "dev_id": DEVICE, "ds_id": stream_id, "at": POINT.at, "value": {"type": 1.5, "at": []}}
        assert message == (expected if imei is None else {**expected, "imei": imei})
        assert list(message) == list(in_java_order(message))
        assert text.endswith(f'"value":{{"at":[],"type":1.50}},"dev_id":{DEVICE}}}')

    def test_the_confirmed_body_of_a_read_is_nested_as_documented(self) -> None:
        """Single and multiple resources, opaque as integers, time in milliseconds."""
        values = ObjectValues(
            3303,
            (
                ObjectInstance(
                    0,
                    (
                        Resource(5700, ResourceValue(ValueType.FLOAT, 21.5)),
                        Resource(1, ((0, ResourceValue(ValueType.OPAQUE, b"\x00\xff")),)),
                        Resource(13, ResourceValue(ValueType.TIME, 1_530_496_927)),
                    ),
                ),
            ),
        )

        text = writer().message_text(CommandMessage(record=answered(values)))

        assert (
            '"confirm_body":{"obj_id":3303,"obj_inst":[{"res":[{"val":21.5,"res_id":5700},'
            '{"res_inst":[{"val":[0,255],"res_inst_id":0}],"res_id":1},'
            '{"val":1530496927000,"res_id":13}],"obj_inst_id":0}]},"type":7,' in text
        )

    def test_opaque_values_are_hex_where_the_caller_asked_for_it(self) -> None:
        """`bin2hex` of the submission holds for the push, too."""
        values = ObjectValues(3303, (ObjectInstance(0, (Resource(1, ResourceValue(ValueType.OPAQUE, b"\x0a")),)),))
        wants_hex = Submission(arguments='{"bin2hex":true}')

        text = writer().message_text(CommandMessage(record=answered(values, submission=wants_hex)))

        assert '"val":"0a"' in text

    @pytest.mark.parametrize(
        ("changes", "absent", "status"),
        [
            (
                {"state": CommandState.EXPIRED, "sent_at": None, "answered_at": None, "outcome": None, "attempts": 0},
                ["send_time", "confirm_time", "confirm_status", "confirm_body"],
                4,
            ),
            (
                {"state": CommandState.FAILED, "answered_at": None, "outcome": Outcome.TIME_OUT},
                ["confirm_time", "confirm_body"],
                6,
            ),
        ],
        ids=["expired unsent", "never answered"],
    )
    def test_what_did_not_happen_is_absent(self, changes: dict[str, Any], absent: list[str], status: int) -> None:
        """And the others keep their order."""
        message = json.loads(writer().message_text(CommandMessage(record=record(READ, **changes))))

        assert not set(absent) & set(message)
        assert message["send_status"] == status
        order = [name for name in VECTORS["key_orders"]["7"] if name in message]
        assert list(message) == order

    @pytest.mark.parametrize(("operation", "number"), [(READ, 0), (WRITE, 1), (Execute(path=READ.path), 2)])
    def test_cmd_type_is_the_kind_of_the_command(self, operation: Operation, number: int) -> None:
        """0 READ, 1 WRITE, 2 EXECUTE."""
        assert json.loads(writer().message_text(CommandMessage(record=record(operation))))["cmd_type"] == number

    @pytest.mark.parametrize(("protocol", "login_type"), [("EDP", 1), ("mqtt", 7), ("LWM2M", 10), ("MODBUS", 6)])
    def test_login_type_is_that_of_the_protocol(self, protocol: str, login_type: int) -> None:
        """A device without an IMEI has none in its messages."""
        message = json.loads(writer().message_text(replace(ONLINE, protocol=protocol, imei=None, is_online=False)))

        assert message == {
            "at": ONLINE.at,
            "login_type": login_type,
            "type": 2,
            "dev_id": DEVICE,
            "status": 0,
        }

    def test_text_beyond_ascii_goes_as_it_is(self) -> None:
        """As in a decrypted capture."""
        body = writer().body(PLAIN, [replace(POINT, value='"温度"')], is_array=False)

        assert '"value":"温度"'.encode() in body

    def test_an_alarm_is_the_documents_sample(self) -> None:
        """Unsigned, with its keys in the order of the sample."""
        alarm = AlarmMessage(
            trigger_id=123_809,
            condition=Condition(kind=TriggerKind.ABOVE, threshold="9.0"),
            device_id=DeviceId(2656),
            stream_id="gps",
            stream_uuid="9eb8a9c7",
            at=Instant(1_252_325_762_001),
            value="100",
        )

        body = writer().body(PushTarget(url="", token=None, aes_key=None), [alarm], is_array=False)

        assert body == (
            b'{"trigger":{"id":123809,"threshold":9.0,"type":">"},"current_data":[{"dev_id":"2656","ds_id":"gps",'
            b'"ds_uuid":"9eb8a9c7","at":"2009-09-07T12:16:02.001Z","value":100}]}'
        )


class TestVerification:
    @pytest.mark.parametrize("seed", range(20))
    def test_a_verification_is_signed_and_free_of_plus(self, seed: int) -> None:
        """Letters and digits only; every receiver decodes it alike."""
        request = writer(seed).verification("http://example.com/in?a=1", VECTORS["token"])

        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        assert query["a"] == "1"
        assert query["msg"] == request.msg and request.msg.isalnum()
        assert len(query["nonce"]) == 8 and query["nonce"].isalnum()
        assert query["signature"] == sign(VECTORS["token"], query["nonce"], request.msg)
        assert "+" not in request.url and "%2B" not in request.url

    def test_a_url_without_a_query_gets_one(self) -> None:
        """Ours begins it."""
        assert "/in?msg=" in writer().verification("http://example.com/in", VECTORS["token"]).url
