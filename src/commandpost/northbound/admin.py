"""The operator's door: one table of calls on products, keys, devices and commands, for the command line.

Here: which calls there are, what each takes and gives. Not here: how they travel (admin_socket), who may knock (the
socket's file mode), and the applications' API (onenet/). Transport-free: parameters in, JSON values out.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from commandpost.domain.command import CommandState, DeliveryPolicy
from commandpost.domain.device import PROTOCOL_LWM2M, DeviceFilter, ImeiRule, KeyKind, Product
from commandpost.domain.errors import CommandpostError, Invalid, NotFound, NotWaiting
from commandpost.domain.ids import DEVICE_ID_MAX, DeviceId, ProductId, parse_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, Page
from commandpost.northbound.admin_errors import AdminError
from commandpost.northbound.admin_records import (
    command_to_json,
    device_to_json,
    keys_to_json,
    product_to_json,
    record_to_json,
    resources_to_json,
)
from commandpost.services.commands import Commands
from commandpost.services.devices import Devices, DeviceView, NewDevice
from commandpost.services.products import ProductChange, Products, ProductSettings

NUMBER_MAX: Final = 2**63 - 1  # what the store's integers hold
LIST_MAX: Final = 100  # rows of one answer; a line of the socket stays far below its bound

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Text = Annotated[str, msgspec.Meta(max_length=2_048)]
_Key = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,128}$")]
_PageNumber = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_RowCount = Annotated[int, msgspec.Meta(ge=1, le=LIST_MAX)]


class _Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _CreateProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Name
    product_id: _Name | None = None
    master_key: _Key | None = None
    auto_discover: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None


class _OfProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    product_id: _Name | None = None


class _ChangeProduct(_OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Name | None = None
    auto_discover: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None


class _RotateKey(_OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: KeyKind


class _AddDevice(_OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    imei: _Name
    imsi: _Text = ""
    title: _Text = ""
    description: _Text = ""
    tags: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=64)] = ()
    auto_observe: bool = True
    auth_code: _Name | None = None
    psk: _Name | None = None


class _ListDevices(_OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key_words: _Text = ""
    online: bool | None = None
    page: _PageNumber = 1
    limit: _RowCount = LIST_MAX


class _OneDevice(_OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    device: _Name


class _ListCommands(_OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    device: _Name | None = None
    before_seq: _Name | None = None
    limit: _RowCount = LIST_MAX


class _OneCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    command_id: _Name


@dataclass(frozen=True, slots=True)
class _Call:
    takes: type[msgspec.Struct]
    # Any: the struct named beside it; a table cannot say so
    perform: Callable[["AdminApi", Any], Awaitable[object]]


class AdminApi:
    """Performs the operator's calls on the services.

    `status` tells `server.status`: `version`, `pid`, and the addresses of `listeners` by name.
    """

    def __init__(
        self,
        *,
        products: Products,
        devices: Devices,
        commands: Commands,
        status: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._products = products
        self._devices = devices
        self._commands = commands
        self._status = status

    async def call(self, name: str, parameters: Mapping[str, object]) -> object:
        """Perform one call of CALLS.

        Returns:
            What JSON can hold: an object or an array of objects.
        Raises:
            AdminError: unknown call, bad parameters, or what the service said.
        """
        found = CALLS.get(name)
        if found is None:
            raise AdminError("unknown_call", f"call {name!r} is not known: {', '.join(CALLS)} are allowed")
        try:
            wanted = msgspec.convert(dict(parameters), found.takes)
        except msgspec.ValidationError as error:
            raise AdminError("invalid", f"{name}: {error}") from error
        try:
            return await found.perform(self, wanted)
        except CommandpostError as error:
            raise AdminError(error.code, str(error)) from error

    async def server_status(self, _: _Nothing) -> object:
        return dict(self._status())

    # --- products and keys -------------------------------------------------------------------------------------------

    async def create_product(self, wanted: _CreateProduct) -> object:
        settings = ProductSettings(
            is_auto_discovered=bool(wanted.auto_discover),
            imei_rule=wanted.imei_rule or ImeiRule.PERMISSIVE,
            allow_imei_only=bool(wanted.allow_imei_only),
            execute_delivery=wanted.execute_delivery or DeliveryPolicy.AT_LEAST_ONCE,
        )
        created = await self._products.create(
            name=wanted.name,
            product_id=None if wanted.product_id is None else ProductId(_parse_number("product", wanted.product_id)),
            master_key=wanted.master_key,
            settings=settings,
        )
        return {**product_to_json(created.product), **keys_to_json(created.keys)}

    async def list_products(self, _: _Nothing) -> object:
        return [product_to_json(product) for product in await self._products.list()]

    async def change_product(self, wanted: _ChangeProduct) -> object:
        product = await self._product(wanted)
        change = ProductChange(
            name=wanted.name,
            is_auto_discovered=wanted.auto_discover,
            imei_rule=wanted.imei_rule,
            allow_imei_only=wanted.allow_imei_only,
            execute_delivery=wanted.execute_delivery,
        )
        return product_to_json(await self._products.change(product.id, change))

    async def show_keys(self, wanted: _OfProduct) -> object:
        product = await self._product(wanted)
        return keys_to_json(await self._products.keys(product.id))

    async def rotate_key(self, wanted: _RotateKey) -> object:
        product = await self._product(wanted)
        await self._products.rotate_key(product.id, wanted.kind)
        return keys_to_json(await self._products.keys(product.id))

    async def _product(self, wanted: _OfProduct) -> Product:
        if wanted.product_id is not None:
            return await self._products.get(ProductId(_parse_number("product", wanted.product_id)))
        products = await self._products.list()
        if len(products) == 1:
            return products[0]
        if not products:
            raise NotFound("product", "of any id")
        raise Invalid("product", None, "one of " + ", ".join(str(product.id) for product in products[:10]))

    # --- devices -----------------------------------------------------------------------------------------------------

    async def add_device(self, wanted: _AddDevice) -> object:
        product = await self._product(wanted)
        new = NewDevice(
            protocol=PROTOCOL_LWM2M,
            title=wanted.title or wanted.imei,
            description=wanted.description,
            tags=wanted.tags,
            location=None,
            is_private=True,
            is_auto_observed=wanted.auto_observe,
            auth_info=json.dumps({wanted.imei: wanted.imsi}, ensure_ascii=False, separators=(",", ":")),
            imei=wanted.imei,
            imsi=wanted.imsi or None,
            chip=None,
            other="{}",
            auth_code=wanted.auth_code,
            psk=wanted.psk,
        )
        device = await self._devices.create(product, new)
        return device_to_json(DeviceView(device=device, is_online=False))

    async def list_devices(self, wanted: _ListDevices) -> object:
        product = await self._product(wanted)
        which = DeviceFilter(key_words=wanted.key_words, is_online=wanted.online)
        page = Page(number=wanted.page, size=wanted.limit)
        total, views = await self._devices.list(product, which, page)
        return {"total": total, "devices": [device_to_json(view) for view in views]}

    async def show_device(self, wanted: _OneDevice) -> object:
        _, view = await self._find_device(wanted)
        resources = await self._devices.resources(view.device, None)
        return {**device_to_json(view), "resources": resources_to_json(resources)}

    async def remove_device(self, wanted: _OneDevice) -> object:
        try:
            product, view = await self._find_device(wanted)
            await self._devices.remove(product, view.device.id)
        except NotFound as error:
            if error.kind == "product":
                raise
            return {"device": wanted.device, "removed": False}
        return {"device": wanted.device, "removed": True}

    async def _find_device(self, wanted: _OneDevice) -> tuple[Product, DeviceView]:
        """Find by id; what is no device's id may be an IMEI."""
        product = await self._product(wanted)
        if wanted.device.isascii() and wanted.device.isdigit() and 0 < int(wanted.device) <= DEVICE_ID_MAX:
            try:
                return product, await self._devices.get(product, DeviceId(int(wanted.device)))
            except NotFound:
                pass
        return product, await self._devices.get_by_imei(product, wanted.device)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def list_commands(self, wanted: _ListCommands) -> object:
        if wanted.device is not None:
            if wanted.before_seq is not None:
                raise Invalid("before_seq", wanted.before_seq, "none beside a device")
            return await self._device_history(wanted, wanted.device)
        product = await self._product(wanted)
        before_seq = None if wanted.before_seq is None else _parse_number("before", wanted.before_seq)
        commands = await self._commands.list_recent(product, before_seq=before_seq, limit=wanted.limit)
        return [command_to_json(command) for command in commands]

    async def _device_history(self, wanted: _ListCommands, device: str) -> object:
        product, view = await self._find_device(_OneDevice(product_id=wanted.product_id, device=device))
        _, commands = await self._commands.history(
            product,
            view.device,
            start=Instant(0),
            end=None,
            page=Page(number=1, size=wanted.limit),
            command_id=None,
            is_ascending=False,
        )
        return [command_to_json(command) for command in commands]

    async def show_command(self, wanted: _OneCommand) -> object:
        _, record = await self._find_command(wanted)
        return record_to_json(record)

    async def cancel_command(self, wanted: _OneCommand) -> object:
        product, record = await self._find_command(wanted)
        command = record.command
        view = await self._devices.get(product, command.device_id)
        try:
            cancelled = await self._commands.cancel(product, view.device, command.id)
        except NotWaiting as error:
            if error.state is not CommandState.CANCELLED:
                raise
            return {**command_to_json(command), "cancelled": False}
        return {**command_to_json(cancelled), "cancelled": True}

    async def _find_command(self, wanted: _OneCommand) -> tuple[Product, CommandRecord]:
        """Find a command of any product: its id alone is enough for an operator."""
        command_id = parse_command_id(wanted.command_id)
        if command_id is None:
            raise Invalid("command", wanted.command_id, "a UUID of 36 characters")
        for product in await self._products.list():
            try:
                return product, await self._commands.find(product, command_id)
            except NotFound:
                continue
        raise NotFound("command", wanted.command_id)


def _parse_number(field: str, digits: str) -> int:
    """Read an id or a place in an order, as our answers write them."""
    if not re.fullmatch(r"[0-9]{1,19}", digits) or not 1 <= int(digits) <= NUMBER_MAX:
        raise Invalid(field, digits, f"decimal digits from 1 to {NUMBER_MAX}")
    return int(digits)


CALLS: Final[Mapping[str, _Call]] = {
    "server.status": _Call(_Nothing, AdminApi.server_status),
    "product.create": _Call(_CreateProduct, AdminApi.create_product),
    "product.list": _Call(_Nothing, AdminApi.list_products),
    "product.set": _Call(_ChangeProduct, AdminApi.change_product),
    "key.show": _Call(_OfProduct, AdminApi.show_keys),
    "key.rotate": _Call(_RotateKey, AdminApi.rotate_key),
    "device.add": _Call(_AddDevice, AdminApi.add_device),
    "device.list": _Call(_ListDevices, AdminApi.list_devices),
    "device.show": _Call(_OneDevice, AdminApi.show_device),
    "device.remove": _Call(_OneDevice, AdminApi.remove_device),
    "command.list": _Call(_ListCommands, AdminApi.list_commands),
    "command.show": _Call(_OneCommand, AdminApi.show_command),
    "command.cancel": _Call(_OneCommand, AdminApi.cancel_command),
}
"""Every call by its name: what it takes, and who performs it."""
