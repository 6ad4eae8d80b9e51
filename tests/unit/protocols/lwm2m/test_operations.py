"""Operations on the wire: the frames of the reference, the order of requests, fall-backs and answers."""

import pytest

from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Execute,
    Lwm2mOperation,
    Observe,
    ObserveAttributes,
    Read,
    Write,
    WriteItem,
    WriteMode,
)
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.dialect import DeviceDialect
from commandpost.protocols.lwm2m.operations import (
    Done,
    OperationRun,
    RequestPurpose,
    SendNext,
    decode_answer,
    encode_operation,
    format_attributes,
)
from tests.unit.protocols.lwm2m.trees import Vector, load_vectors, model_of, path_of, values_of

MODEL = model_of(
    {"/3303/0/5700": ValueType.FLOAT, "/3306/0/5850": ValueType.BOOLEAN, "/3306/0/5851": ValueType.INTEGER}
)
MODULE = DeviceDialect()
WRITE_ITEMS = (WriteItem(5850, 1), WriteItem(5851, 22))


def operation_of(vector: Vector) -> Lwm2mOperation:
    path = path_of(vector["path"])
    match vector["operation"]:
        case "observe":
            return Observe(path=path)
        case "discover":
            return Discover(path=path)
        case "write_partial":
            return Write(path=path, mode=WriteMode.PARTIAL, items=WRITE_ITEMS)
        case "write_replace":
            return Write(path=path, mode=WriteMode.REPLACE, items=WRITE_ITEMS)
        case _:
            return Execute(path=path, arguments="reset")


def message_of(request: Request) -> CoapMessage:
    return CoapMessage(
        type=MessageType.CON,
        code=request.code,
        message_id=1,
        token=b"\1",
        options=request.options,
        payload=request.payload,
    )


def run_of(operation: Lwm2mOperation, dialect: DeviceDialect = MODULE) -> OperationRun:
    return OperationRun(encode_operation(operation, dialect=dialect, model=MODEL), model=MODEL)


def first(operation: Lwm2mOperation, dialect: DeviceDialect = MODULE) -> CoapMessage:
    return message_of(run_of(operation, dialect).request)


@pytest.mark.parametrize("vector", load_vectors("requests"), ids=lambda vector: str(vector["name"]))
def test_request_is_the_frame_of_the_reference(vector: Vector) -> None:
    frame = bytes.fromhex(vector["bytes"])
    header = decode(frame)
    request = run_of(operation_of(vector)).request

    sent = CoapMessage(
        type=header.type,
        code=request.code,
        message_id=header.message_id,
        token=header.token,
        options=request.options,
        payload=request.payload,
    )

    assert encode(sent) == frame


@pytest.mark.parametrize("path", ["/3303", "/3303/0"])
def test_read_of_more_than_a_resource_asks_for_tlv(path: str) -> None:
    message = first(Read(path=path_of(path)))

    assert (message.code, message.accept) == (Code.GET, 11542)
    assert "/" + "/".join(message.uri_path) == path


def test_read_of_a_resource_leaves_the_format_to_the_device() -> None:
    assert first(Read(path=path_of("/3303/0/5700"))).accept is None


def test_refused_accept_is_left_out_once() -> None:
    run = run_of(Read(path=path_of("/3303/0")))

    again = run.on_answer(code=Code.NOT_ACCEPTABLE)

    assert isinstance(again, SendNext)
    assert message_of(again.request).accept is None
    assert run.on_answer(code=Code.NOT_ACCEPTABLE) == Done(code=Code.NOT_ACCEPTABLE, result=None)


def test_read_ends_with_its_values() -> None:
    run = run_of(Read(path=path_of("/3303/0")))

    done = run.on_answer(code=Code.CONTENT, content_format=1542, payload=bytes.fromhex("E4 16 44 41 A4 00 00"))

    values = values_of(3303, [("/3303/0/5700", ResourceValue(ValueType.FLOAT, 20.5))])
    assert done == Done(code=Code.CONTENT, result=values)


@pytest.mark.parametrize(
    ("content_format", "payload"), [(11542, b"\xe4\x16"), (999, b"1"), (0, b"1")], ids=["tlv", "unknown", "text"]
)
def test_answer_that_cannot_be_used_raises(content_format: int, payload: bytes) -> None:
    run = run_of(Read(path=path_of("/3303/0")))

    with pytest.raises(DecodeError):
        run.on_answer(code=Code.CONTENT, content_format=content_format, payload=payload)


@pytest.mark.parametrize("code", [0x80, 0x83, 0x84, 0x85, 0x8F, 0xA0])
def test_error_answer_ends_without_a_result_whatever_it_carries(code: int) -> None:
    run = run_of(Read(path=path_of("/3303/0/5700")))

    assert run.on_answer(code=code, content_format=11542, payload=b"\xff") == Done(code=code, result=None)


@pytest.mark.parametrize("code", [Code.CHANGED, Code.CONTENT, Code.CREATED])
def test_any_success_of_a_write_or_execute_counts(code: int) -> None:
    """Documents once print 2.05 for Execute."""
    write = Write(path=path_of("/3306/0"), mode=WriteMode.PARTIAL, items=WRITE_ITEMS)

    assert run_of(write).on_answer(code=code) == Done(code=code, result=None)
    assert run_of(Execute(path=path_of("/3/0/4"))).on_answer(code=code) == Done(code=code, result=None)


def test_observe_may_be_answered_without_a_payload() -> None:
    run = run_of(Observe(path=path_of("/3303/0")))

    assert run.purpose is RequestPurpose.OBSERVE
    assert run.on_answer(code=Code.CONTENT) == Done(code=Code.CONTENT, result=None)


def test_observe_may_be_answered_with_the_values() -> None:
    run = run_of(Observe(path=path_of("/3303/0/5700")))

    done = run.on_answer(code=Code.CONTENT, content_format=0, payload=b"20.5")

    assert isinstance(done, Done)
    assert done.result == values_of(3303, [("/3303/0/5700", ResourceValue(ValueType.FLOAT, 20.5))])


def test_observe_of_a_single_resource_asks_for_no_format_and_of_an_instance_for_tlv() -> None:
    """As a read does: there are clients that never answer an Accept whose number they do not know."""
    single, whole = first(Observe(path=path_of("/3303/0/5700"))), first(Observe(path=path_of("/3303/0")))

    assert (single.code, single.observe, single.accept) == (Code.GET, 0, None)
    assert (whole.code, whole.observe, whole.accept) == (Code.GET, 0, 11542)


def test_attributes_are_written_before_the_observe() -> None:
    attributes = ObserveAttributes(pmin_s=5, pmax_s=60, greater_than=25.5, less_than=-1.0, step=0.5)
    run = run_of(Observe(path=path_of("/3303/0/5700"), attributes=attributes))
    write = message_of(run.request)

    step = run.on_answer(code=Code.CHANGED)

    assert (write.code, write.payload, write.content_format) == (Code.PUT, b"", None)
    assert write.uri_query == ("pmin=5", "pmax=60", "gt=25.5", "lt=-1", "st=0.5")
    assert isinstance(step, SendNext)
    assert step.purpose is RequestPurpose.OBSERVE
    assert message_of(step.request).observe == 0


def test_refused_step_is_spelled_the_other_way_once() -> None:
    """nbiot_sdk knows `stp=` only."""
    observe = Observe(path=path_of("/3303/0/5700"), attributes=ObserveAttributes(pmin_s=5, step=0.5))
    run = run_of(observe)

    again = run.on_answer(code=Code.BAD_REQUEST)
    after = run.on_answer(code=Code.CHANGED)

    assert isinstance(again, SendNext)
    assert message_of(again.request).uri_query == ("pmin=5", "stp=0.5")
    assert again.purpose is RequestPurpose.WRITE_ATTRIBUTES
    assert isinstance(after, SendNext)
    assert after.purpose is RequestPurpose.OBSERVE


def test_step_refused_in_both_spellings_ends_the_operation() -> None:
    run = run_of(Observe(path=path_of("/3303/0/5700"), attributes=ObserveAttributes(step=0.5)))

    run.on_answer(code=Code.BAD_REQUEST)

    assert run.on_answer(code=Code.BAD_REQUEST) == Done(code=Code.BAD_REQUEST, result=None)


def test_refused_attributes_without_a_step_end_the_operation() -> None:
    run = run_of(Observe(path=path_of("/3303/0/5700"), attributes=ObserveAttributes(pmin_s=5)))

    assert run.on_answer(code=Code.BAD_REQUEST) == Done(code=Code.BAD_REQUEST, result=None)


def test_observe_after_attributes_has_its_own_fall_back() -> None:
    run = run_of(Observe(path=path_of("/3303/0"), attributes=ObserveAttributes(step=0.5)))

    run.on_answer(code=Code.BAD_REQUEST)
    run.on_answer(code=Code.CHANGED)
    again = run.on_answer(code=Code.NOT_ACCEPTABLE)

    assert isinstance(again, SendNext)
    assert message_of(again.request).accept is None
    assert message_of(again.request).observe == 0
    assert run.on_answer(code=Code.CONTENT) == Done(code=Code.CONTENT, result=None)


def test_cancel_is_a_get_with_observe_1() -> None:
    message = first(CancelObserve(path=path_of("/3303/0")))

    assert (message.code, message.observe, message.accept) == (Code.GET, 1, None)


def test_write_goes_to_the_instance_even_for_a_resource_path() -> None:
    write = Write(path=path_of("/3306/0/5850"), mode=WriteMode.PARTIAL, items=(WriteItem(5850, True),))

    assert first(write).uri_path == ("3306", "0")


def test_old_tlv_number_is_used_for_a_device_that_wants_it() -> None:
    dialect = DeviceDialect(tlv_number=1542)
    write = Write(path=path_of("/3306/0"), mode=WriteMode.PARTIAL, items=WRITE_ITEMS)

    assert first(write, dialect).content_format == 1542
    assert first(Read(path=path_of("/3306/0")), dialect).accept == 1542


@pytest.mark.parametrize(
    ("version", "accepted", "expected"),
    [
        (None, (), 11542),
        ("1.0", (), 11542),
        ("1.1", (), 11542),
        ("1.1", (60, 110, 112, 11542), 11542),
        ("1.1", (60, 110, 112, 1542), 11542),
        ("1.1", (60, 110, 112), 112),
        ("1.2", (60, 110), 110),
        ("1.1", (0, 60), 11542),
        ("1.0", (112,), 11542),
        (None, (1543,), 11542),
    ],
)
def test_format_of_a_write_follows_the_registration(
    version: str | None, accepted: tuple[int, ...], expected: int
) -> None:
    dialect = DeviceDialect(lwm2m_version=version, accepted_formats=accepted)
    write = Write(path=path_of("/3306/0"), mode=WriteMode.PARTIAL, items=WRITE_ITEMS)

    assert first(write, dialect).content_format == expected


def test_alternate_path_precedes_every_path() -> None:
    dialect = DeviceDialect(alternate_path=("lwm2m",))

    assert first(Read(path=path_of("/3303/0")), dialect).uri_path == ("lwm2m", "3303", "0")


def test_execute_without_arguments_has_no_payload_and_no_format() -> None:
    message = first(Execute(path=path_of("/3/0/4")))

    assert (message.code, message.payload, message.content_format) == (Code.POST, b"", None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("ping", b"0='ping'"), ("0='ping'", b"0='ping'"), ("1", b"1"), ("0,2='x'", b"0,2='x'"), ("", b"")],
)
def test_strict_arguments_follow_the_grammar(arguments: str, expected: bytes) -> None:
    dialect = DeviceDialect(strict_execute_arguments=True)

    assert first(Execute(path=path_of("/3/0/4"), arguments=arguments), dialect).payload == expected


def test_lenient_arguments_go_out_unchanged() -> None:
    assert first(Execute(path=path_of("/3/0/4"), arguments="it's 温度")).payload == "it's 温度".encode()


@pytest.mark.parametrize(
    ("operation", "dialect"),
    [
        (Write(path=path_of("/3306/0"), mode=WriteMode.PARTIAL, items=(WriteItem(5851, "x"),)), MODULE),
        (Write(path=path_of("/3306"), mode=WriteMode.PARTIAL, items=WRITE_ITEMS), MODULE),
        (Execute(path=path_of("/3/0")), MODULE),
        (Execute(path=path_of("/3/0/4"), arguments="\ud800"), MODULE),
        (Execute(path=path_of("/3/0/4"), arguments="x" * 2049), MODULE),
        (Execute(path=path_of("/3/0/4"), arguments="it's"), DeviceDialect(strict_execute_arguments=True)),
        (Observe(path=path_of("/3/0"), attributes=ObserveAttributes(step=float("nan"))), MODULE),
        (Observe(path=path_of("/3/0"), attributes=ObserveAttributes(greater_than=1e300)), MODULE),
        (Observe(path=path_of("/3/0"), attributes=ObserveAttributes(pmin_s=-1)), MODULE),
    ],
    ids=["type", "object", "instance", "surrogate", "long", "apostrophe", "nan", "digits", "negative"],
)
def test_operation_that_cannot_be_said_is_refused(operation: Lwm2mOperation, dialect: DeviceDialect) -> None:
    with pytest.raises(EncodeError):
        encode_operation(operation, dialect=dialect, model=MODEL)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(25.0, "25"), (0.001, "0.001"), (1e-7, "0.0000001"), (1e20, "1" + "0" * 20), (-0.5, "-0.5")],
)
def test_attributes_have_no_exponents(number: float, expected: str) -> None:
    assert format_attributes(ObserveAttributes(greater_than=number)) == (f"gt={expected}",)


def test_discover_ends_with_what_was_found() -> None:
    run = run_of(Discover(path=path_of("/3303")))

    done = run.on_answer(
        code=Code.CONTENT, content_format=40, payload=b"</3303>,</3303/0>;pmin=5,</3303/0/5700>,</3303/1/5700>;dim=2"
    )

    found = DiscoveredObject(3303, (DiscoveredInstance(0, (5700,)), DiscoveredInstance(1, (5700,))))
    assert done == Done(code=Code.CONTENT, result=found)


@pytest.mark.parametrize(("content_format", "payload"), [(0, b"5700;5701"), (40, b"5700"), (11542, b"\xc1\x00\x01")])
def test_discover_answered_with_something_else_raises(content_format: int, payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_answer(
            Discover(path=path_of("/3303")),
            code=Code.CONTENT,
            content_format=content_format,
            payload=payload,
            model=MODEL,
        )


def test_run_that_is_over_takes_no_more_answers() -> None:
    run = run_of(Execute(path=path_of("/3/0/4")))
    run.on_answer(code=Code.CHANGED)

    with pytest.raises(AssertionError):
        run.on_answer(code=Code.CHANGED)
