"""Nested records as text: exactly as they were, and nothing that was never written."""

import pytest

from commandpost.domain.operation import (
    CancelObserve,
    Deliver,
    Discover,
    Execute,
    Observe,
    ObserveAttributes,
    Operation,
    Read,
    Write,
    WriteItem,
    WriteKind,
    WriteMode,
)
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ObjectInstance,
    ObjectLink,
    ObjectValues,
    OperationResult,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.stores.errors import RowCorrupt
from commandpost.stores.record_texts import OPERATION, RESULT, SETUP, TEXTS

PATH = ResourcePath(object_id=3303, instance_id=0)


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (Read(path=PATH), '[1,["read",[3303,0]]]'),
        (
            Write(
                path=PATH,
                mode=WriteMode.PARTIAL,
                items=(
                    WriteItem(1, True),
                    WriteItem(2, 1),
                    WriteItem(3, 1.0),
                    WriteItem(4, "é"),
                    WriteItem(5, b"\x00\xff", WriteKind.OPAQUE),
                    WriteItem(6, 10, WriteKind.TIME),
                    WriteItem(7, 2**64),
                    WriteItem(8, float("-inf")),
                ),
            ),
            '[1,["write",[3303,0],2,[[1,true,null],[2,1,null],[3,1.0,null],[4,"é",null],[5,["x","AP8="],1],'
            '[6,10,2],[7,["i","18446744073709551616"],null],[8,["f","-inf"],null]]]]',
        ),
        (Execute(path=PATH, arguments="0='a'"), '[1,["execute",[3303,0],"0=\'a\'"]]'),
        (
            Observe(path=PATH, attributes=ObserveAttributes(pmin_s=1, less_than=-0.5)),
            '[1,["observe",[3303,0],1,null,null,-0.5,null]]',
        ),
        (CancelObserve(path=PATH), '[1,["cancel_observe",[3303,0]]]'),
        (Discover(path=ResourcePath(object_id=3)), '[1,["discover",[3]]]'),
        (Deliver(payload=b"\x00on", qos=1, kind=2), '[1,["deliver","AG9u",1,2]]'),
    ],
)
def test_operations_of_version_1_stay_readable(operation: Operation, text: str) -> None:
    """These texts are in databases: whoever changes them needs a version 2 and a reader for both."""
    assert OPERATION.encode(operation) == text
    # repr tells True from 1 and 1 from 1.0, which compare equal.
    assert repr(OPERATION.decode(text)) == repr(operation)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            ObjectValues(
                3303,
                (
                    ObjectInstance(
                        0,
                        (
                            Resource(5700, ResourceValue(ValueType.FLOAT, 21.5)),
                            Resource(5750, ((0, ResourceValue(ValueType.STRING, "a")),)),
                            Resource(1, ResourceValue(ValueType.OBJLNK, ObjectLink(3, 65535))),
                            Resource(2, ()),
                        ),
                    ),
                ),
            ),
            '[1,["values",3303,[[0,[[5700,["float",21.5]],[5750,{"0":["string","a"]}],'
            '[1,["objlnk",["l",3,65535]]],[2,{}]]]]]]',
        ),
        (
            DiscoveredObject(3, (DiscoveredInstance(0, (0, 1)), DiscoveredInstance(1, ()))),
            '[1,["discovered",3,[[0,[0,1]],[1,[]]]]]',
        ),
    ],
)
def test_results_of_version_1_stay_readable(result: OperationResult, text: str) -> None:
    assert RESULT.encode(result) == text
    assert repr(RESULT.decode(text)) == repr(result)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '[2,["read",[1]]]',
        '["1",["read",[1]]]',
        '[1,["read",[1]],null]',
        '[1,["read",[1],2]]',
        '[1,["read"]]',
        '[1,["read",[]]]',
        '[1,["read",[1,2,3,4,5]]]',
        '[1,["read",[65536]]]',
        '[1,["read",["1"]]]',
        '[1,["erase",[1]]]',
        '[1,["write",[1],3,[]]]',
        '[1,["write",[1],1,[[1,["l",1,2],null]]]]',
        '[1,["write",[1],1,[[1,["x","!"],null]]]]',
        '[1,["write",[1],1,[[1,["i","ten"],null]]]]',
        '[1,["observe",[1],1,1,"a",1,1]]',
        '[1,["read",[1]]] ]',
    ],
)
def test_what_was_never_written_is_refused(text: str) -> None:
    with pytest.raises(RowCorrupt, match="operation"):
        OPERATION.decode(text)


def test_a_refusal_names_the_kind_of_record() -> None:
    with pytest.raises(RowCorrupt, match="setup steps"):
        SETUP.decode('[1,[["dance",["read",[1]]]]]')
    with pytest.raises(RowCorrupt, match="texts"):
        TEXTS.decode("[1,[1]]")
