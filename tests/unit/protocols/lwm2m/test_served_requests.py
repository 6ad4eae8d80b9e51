"""Requests of a server as a device reads them: what the platform writes comes back as it was meant."""

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
from commandpost.domain.resource import ResourceValue, ValueType
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.lwm2m.dialect import DeviceDialect
from commandpost.protocols.lwm2m.operations import encode_operation
from commandpost.protocols.lwm2m.served_requests import (
    ParsedOperation,
    RefusedRequest,
    ServedWrite,
    WriteAttributes,
    parse_request,
)
from tests.unit.protocols.lwm2m.trees import model_of, path_of, values_of

MODEL = model_of({"/3306/0/5850": ValueType.BOOLEAN, "/3306/0/5851": ValueType.INTEGER})
WRITTEN = values_of(
    3306,
    [
        ("/3306/0/5850", ResourceValue(ValueType.BOOLEAN, True)),
        ("/3306/0/5851", ResourceValue(ValueType.INTEGER, 22)),
    ],
)
ITEMS = (WriteItem(5850, True), WriteItem(5851, 22))


def message(
    code: int,
    path: str,
    *,
    queries: tuple[str, ...] = (),
    payload: bytes = b"",
    content_format: int | None = None,
    accept: int | None = None,
) -> CoapMessage:
    options: list[tuple[int, bytes]] = [(Option.URI_PATH, part.encode()) for part in path.strip("/").split("/")]
    if content_format is not None:
        options.append((Option.CONTENT_FORMAT, encode_uint(content_format)))
    options.extend((Option.URI_QUERY, query.encode()) for query in queries)
    if accept is not None:
        options.append((Option.ACCEPT, encode_uint(accept)))
    return CoapMessage(type=MessageType.CON, code=code, message_id=1, options=tuple(options), payload=payload)


def received(operation: Lwm2mOperation, dialect: DeviceDialect | None = None) -> list[ParsedOperation]:
    """Everything a device reads of one operation of the platform."""
    plan = encode_operation(operation, dialect=dialect or DeviceDialect(), model=MODEL)
    parsed = []
    for step in plan.steps:
        request = step.request
        result = parse_request(
            CoapMessage(
                type=MessageType.CON, code=request.code, message_id=1, options=request.options, payload=request.payload
            ),
            model=MODEL,
            alternate_path=plan.alternate_path,
        )
        assert isinstance(result, ParsedOperation)
        parsed.append(result)
    return parsed


@pytest.mark.parametrize(
    "operation",
    [
        Read(path=path_of("/3306")),
        Read(path=path_of("/3306/0")),
        Read(path=path_of("/3306/0/5850")),
        Execute(path=path_of("/3/0/4"), arguments="ping"),
        Execute(path=path_of("/3/0/4")),
        Observe(path=path_of("/3306/0")),
        CancelObserve(path=path_of("/3306/0")),
        Discover(path=path_of("/3306")),
    ],
    ids=repr,
)
def test_operation_arrives_as_it_was_meant(operation: Lwm2mOperation) -> None:
    (parsed,) = received(operation)

    assert parsed.operation == operation


@pytest.mark.parametrize("mode", WriteMode)
@pytest.mark.parametrize(
    "dialect",
    [DeviceDialect(), DeviceDialect(tlv_number=1542), DeviceDialect(lwm2m_version="1.1", accepted_formats=(112,))],
    ids=["tlv", "old number", "senml"],
)
def test_write_arrives_typed(mode: WriteMode, dialect: DeviceDialect) -> None:
    (parsed,) = received(Write(path=path_of("/3306/0"), mode=mode, items=ITEMS), dialect)

    assert parsed.operation == ServedWrite(path=path_of("/3306/0"), mode=mode, values=WRITTEN)
    assert parsed.content_format == dialect.tree_format


def test_attributes_arrive_before_the_observe() -> None:
    attributes = ObserveAttributes(pmin_s=5, pmax_s=60, greater_than=25.5, less_than=-1.0, step=0.5)

    written, observed = received(Observe(path=path_of("/3306/0/5851"), attributes=attributes))

    assert written.operation == WriteAttributes(path=path_of("/3306/0/5851"), attributes=attributes, step_name="st")
    assert observed.operation == Observe(path=path_of("/3306/0/5851"))


def test_step_may_be_spelled_the_other_way() -> None:
    parsed = parse_request(message(Code.PUT, "/3306/0/5851", queries=("stp=0.5",)), model=MODEL)

    assert isinstance(parsed, ParsedOperation)
    assert parsed.operation == WriteAttributes(
        path=path_of("/3306/0/5851"), attributes=ObserveAttributes(step=0.5), step_name="stp"
    )


def test_accept_is_told_as_it_was_sent() -> None:
    parsed = parse_request(message(Code.GET, "/3306/0", accept=1542), model=MODEL)

    assert isinstance(parsed, ParsedOperation)
    assert (parsed.accept, parsed.content_format) == (1542, None)


def test_own_alternate_path_is_taken_off() -> None:
    (parsed,) = received(Read(path=path_of("/3306/0")), DeviceDialect(alternate_path=("lwm2m",)))

    assert parsed.operation == Read(path=path_of("/3306/0"))


def test_resource_is_written_by_its_own_path() -> None:
    parsed = parse_request(message(Code.PUT, "/3306/0/5851", payload=b"22", content_format=0), model=MODEL)

    assert isinstance(parsed, ParsedOperation)
    assert parsed.operation == ServedWrite(
        path=path_of("/3306/0/5851"),
        mode=WriteMode.REPLACE,
        values=values_of(3306, [("/3306/0/5851", ResourceValue(ValueType.INTEGER, 22))]),
    )


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (message(Code.GET, "/x"), Code.NOT_FOUND),
        (message(Code.GET, "/"), Code.NOT_FOUND),
        (message(Code.GET, "/65536"), Code.NOT_FOUND),
        (message(Code.GET, "/1/2/3/4/5"), Code.NOT_FOUND),
        (message(Code.POST, "/3306"), Code.METHOD_NOT_ALLOWED),
        (message(Code.PUT, "/3306"), Code.METHOD_NOT_ALLOWED),
        (message(Code.POST, "/3/0/6/0"), Code.METHOD_NOT_ALLOWED),
        (message(Code.DELETE, "/3306/0"), Code.METHOD_NOT_ALLOWED),
        (message(Code.FETCH, "/3306/0"), Code.METHOD_NOT_ALLOWED),
        (message(Code.PUT, "/3306/0", payload=b"\xff", content_format=11542), Code.BAD_REQUEST),
        (message(Code.PUT, "/3306/0", payload=b"x", content_format=50), Code.UNSUPPORTED_CONTENT_FORMAT),
        (message(Code.POST, "/3/0/4", payload=b"\xff"), Code.BAD_REQUEST),
        (message(Code.PUT, "/3306/0", queries=("x=1",)), Code.BAD_REQUEST),
        (message(Code.PUT, "/3306/0", queries=("pmin=1", "pmin=2")), Code.BAD_REQUEST),
        (message(Code.PUT, "/3306/0", queries=("pmin=-1",)), Code.BAD_REQUEST),
        (message(Code.PUT, "/3306/0", queries=("gt=warm",)), Code.BAD_REQUEST),
    ],
    ids=range(16),
)
def test_request_that_cannot_be_served_is_refused(refused: CoapMessage, code: int) -> None:
    result = parse_request(refused, model=MODEL)

    assert isinstance(result, RefusedRequest)
    assert result.code == code
