"""The operator's door: one table of calls on products, keys, devices and commands, for the command line.

Here: which calls there are, what each takes and gives. Not here: how they travel (admin_socket), who may knock (the
socket's file mode), and the applications' API (onenet/). Transport-free: parameters in, JSON values out.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from commandpost.domain.command import CommandState, DeliveryPolicy
from commandpost.domain.device import PROTOCOL_LWM2M, DeviceFilter, DeviceSecurity, ImeiRule, Product, ProductChange
from commandpost.domain.errors import CommandpostError, Invalid, NotFound, NotWaiting
from commandpost.domain.ids import DEVICE_ID_MAX, ID_MAX, DeviceId, ProductId, parse_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, CommandRecord, Page
from commandpost.northbound.admin_audit import ListAudit, entry_to_json, operators_entry
from commandpost.northbound.admin_errors import AdminError
from commandpost.northbound.admin_parameters import (
    AddDevice,
    ChangeProduct,
    CreateProduct,
    ListCommands,
    ListDevices,
    Nothing,
    OfProduct,
    OneCommand,
    OneDevice,
    RotateKey,
)
from commandpost.northbound.admin_push import (
    AddPush,
    AdminPush,
    ListFailures,
    ListPush,
    OnePush,
    ReplayPush,
)
from commandpost.northbound.admin_records import (
    command_to_json,
    device_to_json,
    keys_to_json,
    product_to_json,
    record_to_json,
    resources_to_json,
)
from commandpost.northbound.parameter import parse_id
from commandpost.services.audit import AuditLog
from commandpost.services.commands import Commands
from commandpost.services.devices import Devices, DeviceView, NewDevice
from commandpost.services.product_keys import is_weak_master_key
from commandpost.services.products import Products, ProductSettings
from commandpost.services.push.subscriptions import Subscriptions

PRODUCTS_TOLD_MAX: Final = 10  # in one line of a refusal
WEAK_KEYS_LOOKED_FOR_MAX: Final = 1_000  # products; `doctor` waits for this


@dataclass(frozen=True, slots=True)
class _Call:
    takes: type[msgspec.Struct]
    # Any: the struct named beside it; a table cannot say so
    perform: Callable[["AdminApi", Any], Awaitable[object]]
    is_kept: bool = True
    """Whether the audit hears of it: it changes something, or shows a key."""


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
        subscriptions: Subscriptions | None = None,
        audit: AuditLog | None = None,
        clock: Clock | None = None,
        status: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._products = products
        self._devices = devices
        self._commands = commands
        self._push = (
            None if subscriptions is None else AdminPush(subscriptions=subscriptions, find_product=self._find_product)
        )
        self._audit = audit
        self._clock = clock
        self._status = status

    @property
    def push(self) -> AdminPush:
        """The calls on subscriptions."""
        if self._push is None:
            raise AdminError("unknown_call", "this server pushes nothing")
        return self._push

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
        product_id = await self._concerned(wanted) if found.is_kept else None
        result = "internal"
        try:
            answer = await found.perform(self, wanted)
            result = "ok"
            if isinstance(wanted, CreateProduct) and isinstance(answer, Mapping):
                product_id = ProductId(int(answer["id"]))
        except CommandpostError as error:
            result = error.code
            raise AdminError(error.code, str(error)) from error
        except AdminError as error:
            result = error.code
            raise
        finally:
            if found.is_kept and self._audit is not None and self._clock is not None:
                self._audit.record(operators_entry(name, parameters, result, self._clock.wall_ms(), product_id))
        return answer

    async def _concerned(self, wanted: msgspec.Struct) -> ProductId | None:
        """Give the product that a call is about without naming it, so that the audit files the call there.

        Asked before, because afterwards what tells it may be gone. None: nobody can say; the call itself says why.
        """
        try:
            if isinstance(wanted, OneCommand):
                product, _ = await self._find_command(wanted)
                return product.id
            if not isinstance(wanted, CreateProduct) and getattr(wanted, "product_id", "named") is None:
                return (await self._find_product(None)).id
        except (CommandpostError, AdminError):
            pass
        return None

    async def server_status(self, _: Nothing) -> object:
        return {**self._status(), "weak_master_keys": await self._weak_master_keys()}

    async def _weak_master_keys(self) -> list[str]:
        """Give the products whose MasterKey can be found by trying; `doctor` says so."""
        products = await self._products.list()
        keys = [await self._products.keyring.show(product.id) for product in products[:WEAK_KEYS_LOOKED_FOR_MAX]]
        return [str(each.product_id) for each in keys if is_weak_master_key(each.master_key)]

    async def list_audit(self, wanted: ListAudit) -> object:
        if self._audit is None:
            raise AdminError("unknown_call", "this server keeps no audit")
        product_id = None if wanted.product_id is None else ProductId(_parse_number("product", wanted.product_id))
        before = None if wanted.before is None else int(wanted.before)
        found = await self._audit.list(product_id, before_number=before, limit=wanted.limit)
        following = str(found[-1].number) if len(found) == wanted.limit else None
        return {"entries": [entry_to_json(each) for each in found], "before": following}

    # --- products and keys -------------------------------------------------------------------------------------------

    async def create_product(self, wanted: CreateProduct) -> object:
        settings = ProductSettings(
            is_auto_discovered=bool(wanted.auto_discover),
            imei_rule=wanted.imei_rule or ImeiRule.PERMISSIVE,
            allow_imei_only=bool(wanted.allow_imei_only),
            execute_delivery=wanted.execute_delivery or DeliveryPolicy.AT_LEAST_ONCE,
            device_security=wanted.device_security or DeviceSecurity.MIXED,
            bootstrap_uri=wanted.bootstrap_uri,
            bootstrap_secure_uri=wanted.bootstrap_secure_uri,
        )
        created = await self._products.create(
            name=wanted.name,
            product_id=None if wanted.product_id is None else ProductId(_parse_number("product", wanted.product_id)),
            master_key=wanted.master_key,
            settings=settings,
        )
        return {**product_to_json(created.product), **keys_to_json(created.keys)}

    async def list_products(self, _: Nothing) -> object:
        return [product_to_json(product) for product in await self._products.list()]

    async def change_product(self, wanted: ChangeProduct) -> object:
        product = await self._product(wanted)
        change = ProductChange(
            name=wanted.name,
            is_auto_discovered=wanted.auto_discover,
            imei_rule=wanted.imei_rule,
            allow_imei_only=wanted.allow_imei_only,
            execute_delivery=wanted.execute_delivery,
            device_security=wanted.device_security,
            bootstrap_uri=wanted.bootstrap_uri,
            bootstrap_secure_uri=wanted.bootstrap_secure_uri,
        )
        return product_to_json(await self._products.change(product.id, change))

    async def show_keys(self, wanted: OfProduct) -> object:
        product = await self._product(wanted)
        return keys_to_json(await self._products.keyring.show(product.id))

    async def rotate_key(self, wanted: RotateKey) -> object:
        product = await self._product(wanted)
        await self._products.keyring.rotate(product.id, wanted.kind, overlap_s=wanted.overlap_s)
        return keys_to_json(await self._products.keyring.show(product.id))

    async def _product(self, wanted: OfProduct) -> Product:
        return await self._find_product(wanted.product_id)

    async def _find_product(self, product_id: str | None) -> Product:
        if product_id is not None:
            return await self._products.get(ProductId(_parse_number("product", product_id)))
        products = await self._products.list()
        if len(products) == 1:
            return products[0]
        if not products:
            raise NotFound("product", "of any id")
        ids = ", ".join(str(product.id) for product in products[:PRODUCTS_TOLD_MAX])
        more = len(products) - PRODUCTS_TOLD_MAX
        rest = f" and {more} more" if more > 0 else ""
        raise AdminError("invalid", f"--product is missing, and there are several products: {ids}{rest}")

    # --- devices -----------------------------------------------------------------------------------------------------

    async def add_device(self, wanted: AddDevice) -> object:
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
            psk_hex=wanted.psk_hex,
            psk_identity=wanted.psk_identity,
        )
        device = await self._devices.create(product, new)
        return device_to_json(DeviceView(device=device, is_online=False))

    async def list_devices(self, wanted: ListDevices) -> object:
        product = await self._product(wanted)
        which = DeviceFilter(key_words=wanted.key_words, is_online=wanted.online)
        page = Page(number=wanted.page, size=wanted.limit)
        total, views = await self._devices.list(product, which, page)
        return {"total": total, "devices": [device_to_json(view) for view in views]}

    async def show_device(self, wanted: OneDevice) -> object:
        _, view = await self._find_device(wanted)
        resources = await self._devices.resources(view.device, None)
        return {**device_to_json(view), "resources": resources_to_json(resources)}

    async def remove_device(self, wanted: OneDevice) -> object:
        try:
            product, view = await self._find_device(wanted)
            await self._devices.remove(product, view.device.id)
        except NotFound as error:
            if error.kind == "product":
                raise
            return {"device": wanted.device, "removed": False}
        return {"device": wanted.device, "removed": True}

    async def _find_device(self, wanted: OneDevice) -> tuple[Product, DeviceView]:
        """Find by id; what is no device's id may be an IMEI."""
        product = await self._product(wanted)
        if wanted.device.isascii() and wanted.device.isdigit() and 0 < int(wanted.device) <= DEVICE_ID_MAX:
            try:
                return product, await self._devices.get(product, DeviceId(int(wanted.device)))
            except NotFound:
                pass
        return product, await self._devices.get_by_imei(product, wanted.device)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def list_commands(self, wanted: ListCommands) -> object:
        if wanted.device is not None:
            if wanted.before_seq is not None:
                raise Invalid("before_seq", wanted.before_seq, "none beside a device")
            return await self._device_history(wanted, wanted.device)
        product = await self._product(wanted)
        before_seq = None if wanted.before_seq is None else _parse_number("before", wanted.before_seq)
        commands = await self._commands.list_recent(product, before_seq=before_seq, limit=wanted.limit)
        return [command_to_json(command) for command in commands]

    async def _device_history(self, wanted: ListCommands, device: str) -> object:
        product, view = await self._find_device(OneDevice(product_id=wanted.product_id, device=device))
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

    async def show_command(self, wanted: OneCommand) -> object:
        _, record = await self._find_command(wanted)
        return record_to_json(record)

    async def cancel_command(self, wanted: OneCommand) -> object:
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

    async def _find_command(self, wanted: OneCommand) -> tuple[Product, CommandRecord]:
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
    number = parse_id(digits)
    if number is None:
        raise Invalid(field, digits, f"decimal digits from 1 to {ID_MAX}")
    return number


CALLS: Final[Mapping[str, _Call]] = {
    "server.status": _Call(Nothing, AdminApi.server_status, is_kept=False),
    "product.create": _Call(CreateProduct, AdminApi.create_product),
    "product.list": _Call(Nothing, AdminApi.list_products, is_kept=False),
    "product.set": _Call(ChangeProduct, AdminApi.change_product),
    "key.show": _Call(OfProduct, AdminApi.show_keys),
    "key.rotate": _Call(RotateKey, AdminApi.rotate_key),
    "device.add": _Call(AddDevice, AdminApi.add_device),
    "device.list": _Call(ListDevices, AdminApi.list_devices, is_kept=False),
    "device.show": _Call(OneDevice, AdminApi.show_device, is_kept=False),
    "device.remove": _Call(OneDevice, AdminApi.remove_device),
    "command.list": _Call(ListCommands, AdminApi.list_commands, is_kept=False),
    "command.show": _Call(OneCommand, AdminApi.show_command, is_kept=False),
    "command.cancel": _Call(OneCommand, AdminApi.cancel_command),
    "audit.list": _Call(ListAudit, AdminApi.list_audit, is_kept=False),
    "push.add": _Call(AddPush, lambda api, wanted: api.push.add(wanted)),
    "push.list": _Call(ListPush, lambda api, wanted: api.push.list(wanted), is_kept=False),
    "push.remove": _Call(OnePush, lambda api, wanted: api.push.remove(wanted)),
    "push.verify": _Call(OnePush, lambda api, wanted: api.push.verify(wanted)),
    "push.failures": _Call(ListFailures, lambda api, wanted: api.push.failures(wanted), is_kept=False),
    "push.replay": _Call(ReplayPush, lambda api, wanted: api.push.replay(wanted)),
}
"""Every call by its name: what it takes, and who performs it."""
