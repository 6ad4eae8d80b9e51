"""The bootstrap side of a simulated device: what it makes of the server's writes, as a module or as the standard says.

Here: the accounts it has been given, and its answer to each request while it waits for the finish. Not here: when it
asks (lwm2m_device).
Source: southbound reference 1.3 for what modules accept; OMA LwM2M 1.1 core section 6.4.7.
"""

from enum import Enum
from typing import Final

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.resource import ResourcePath, ValueType
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.bootstrap import BOOTSTRAP_PATH, SECURITY_OBJECT, SERVER_OBJECT
from commandpost.protocols.lwm2m.formats import decode_values
from commandpost.protocols.lwm2m.names import parse_id

PENDING_S: Final = 20.0  # a module gives up when the finish has not come by then
_MODULE_RESOURCES: Final = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
_URI, _IS_BOOTSTRAP, _SHORT_SERVER_ID = 0, 1, 10
_SERVERS_SHORT_ID: Final = 0

Value = bool | int | float | str | bytes | object


class BootstrapConduct(Enum):
    """How the device takes a bootstrap."""

    MODULE = "module"
    """As a OneNET module: one account, and nothing else of the usual order."""
    GENERIC = "generic"
    """As a client of the standard."""


class BootstrapClient:
    """The accounts of one device, by object and instance."""

    def __init__(self, conduct: BootstrapConduct) -> None:
        """Know no server yet."""
        self.conduct = conduct
        self.is_pending = False
        """Between the answer to its request and the finish."""
        self.is_finished = False
        self.accounts: dict[tuple[int, int], dict[int, Value]] = {}
        """What was written, by object and instance, then by resource."""
        self.answers: list[tuple[int, str, int]] = []
        """Method, path and answered code of each request, in order."""

    @property
    def server_uri(self) -> str | None:
        """Where it was told to register."""
        for (object_id, _), values in self.accounts.items():
            if object_id == SECURITY_OBJECT and values.get(_IS_BOOTSTRAP) is not True:
                return str(values[_URI])
        return None

    def begin(self) -> None:
        """The server has agreed: wait for its writes."""
        self.is_pending = True
        self.answers.clear()

    def give_up(self) -> None:
        """The finish has not come."""
        self.is_pending = False

    def answer(self, message: CoapMessage) -> int:
        """Carry out one request of the bootstrap server; gives the code of the answer."""
        path = message.uri_path
        if path == (BOOTSTRAP_PATH,) and message.code == Code.POST:
            code = self._finish()
        else:
            ids = tuple(parse_id(segment) for segment in path)
            code = (
                self._module(message, ids) if self.conduct is BootstrapConduct.MODULE else self._generic(message, ids)
            )
        self.answers.append((message.code, "/" + "/".join(path), code))
        return code

    def _module(self, message: CoapMessage, ids: tuple[int | None, ...]) -> int:
        """Answer as the modules do: most errors of theirs mean nothing (southbound reference 1.3)."""
        match message.code, ids:
            case Code.PUT, (0, int()):
                return self._write(message, ids, allowed=_MODULE_RESOURCES)
            case ((Code.PUT | Code.DELETE), (0,)):
                return Code.NOT_IMPLEMENTED
            case Code.PUT, _:
                return Code.NOT_FOUND
            case _:
                return Code.BAD_REQUEST

    def _generic(self, message: CoapMessage, ids: tuple[int | None, ...]) -> int:
        match message.code, ids:
            case Code.DELETE, ():
                self.accounts.clear()
                return Code.DELETED
            case Code.PUT, (0 | 1, int()):
                return self._write(message, ids, allowed=None)
            case _:
                return Code.BAD_REQUEST

    def _write(self, message: CoapMessage, ids: tuple[int | None, ...], *, allowed: frozenset[int] | None) -> int:
        object_id, instance_id = ids
        assert object_id is not None and instance_id is not None, "both were matched"
        path = ResourcePath(object_id=object_id, instance_id=instance_id)
        try:
            values = decode_values(message.content_format, message.payload, path=path, model=_MODEL)
        except DecodeError:
            return Code.BAD_REQUEST
        written = self.accounts.setdefault((object_id, instance_id), {})
        for where, value in values.leaves():
            assert where.resource_id is not None, "a leaf is a resource"
            if allowed is not None and where.resource_id not in allowed:
                return Code.NOT_FOUND  # and what came before it in the write stays
            written[where.resource_id] = value.value
        return Code.CHANGED

    def _finish(self) -> int:
        if self.conduct is BootstrapConduct.GENERIC and not self._is_consistent():
            return Code.NOT_ACCEPTABLE
        if self.server_uri is None:
            return Code.BAD_REQUEST
        self.is_pending = False
        self.is_finished = True
        return Code.CHANGED

    def _is_consistent(self) -> bool:
        """Tell whether a server has both its accounts, under one short id."""
        known = {
            values.get(_SHORT_SERVER_ID)
            for (object_id, _), values in self.accounts.items()
            if object_id == SECURITY_OBJECT and values.get(_IS_BOOTSTRAP) is False
        }
        return any(
            values.get(_SERVERS_SHORT_ID) in known
            for (object_id, _), values in self.accounts.items()
            if object_id == SERVER_OBJECT
        )


def _definition(object_id: int, name: str, types: dict[int, ValueType]) -> ObjectDefinition:
    resources = {
        number: ResourceDefinition(id=number, name=str(number), operations="RW", type=kind)
        for number, kind in types.items()
    }
    return ObjectDefinition(id=object_id, name=name, version="1.0", is_multiple=True, resources=resources)


_MODEL: Final = ObjectModel(
    (
        _definition(
            SECURITY_OBJECT,
            "LWM2M Security",
            {
                0: ValueType.STRING,
                1: ValueType.BOOLEAN,
                2: ValueType.INTEGER,
                3: ValueType.OPAQUE,
                4: ValueType.OPAQUE,
                5: ValueType.OPAQUE,
                10: ValueType.INTEGER,
                11: ValueType.INTEGER,
            },
        ),
        _definition(
            SERVER_OBJECT,
            "LWM2M Server",
            {0: ValueType.INTEGER, 1: ValueType.INTEGER, 6: ValueType.BOOLEAN, 7: ValueType.STRING},
        ),
    )
)
