"""Under which product the operator's calls are filed."""

from collections.abc import Mapping
from contextlib import suppress

import pytest

from commandpost.domain.audit import Actor, AuditEntry
from commandpost.domain.ids import format_command_id
from commandpost.northbound.admin import AdminApi
from commandpost.northbound.admin_audit import operators_entry
from commandpost.northbound.admin_errors import AdminError
from commandpost.services.audit import AuditLog
from tests.event_loop import on_event_loop
from tests.fakes.services import NOW
from tests.unit.services.house import IMEI, House, execute


class FakeAudit(AuditLog):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[AuditEntry] = []

    def record(self, entry: AuditEntry) -> None:
        self.told.append(entry)


class Desk:
    """An operator's door over the services of a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.audit = FakeAudit()
        self.admin = AdminApi(
            products=house.products, devices=house.devices, commands=house.commands, audit=self.audit, clock=house.clock
        )

    async def ask(self, name: str, parameters: Mapping[str, object]) -> AuditEntry | None:
        """Call; gives what the audit heard of it, however it ended."""
        self.audit.told.clear()
        with suppress(AdminError):
            await self.house.do(self.admin.call(name, parameters))
        return self.audit.told[0] if self.audit.told else None


@on_event_loop
async def test_a_command_is_filed_under_its_own_product_though_there_are_several() -> None:
    """Its id alone names it; an unknown one is nobody's."""
    house = House()
    await house.add_product()
    product = await house.add_product("second")
    device = await house.add_device(product)
    command = await house.submit(product, device, execute(1))
    desk = Desk(house)
    named = {"command_id": format_command_id(command.id)}

    for result in ("ok", "ok"):
        entry = await desk.ask("command.cancel", named)
        assert entry is not None
        assert (entry.product_id, entry.actor, entry.result) == (product.id, Actor.OPERATOR, result)
    unknown = await desk.ask("command.cancel", {"command_id": "00000000-0000-0000-0000-000000000000"})
    assert unknown is not None
    assert (unknown.product_id, unknown.result) == (None, "not_found")


@on_event_loop
async def test_the_one_product_is_meant_where_none_is_named() -> None:
    """With several nobody can say, and the call is refused; a new one is filed under itself."""
    house = House()
    desk = Desk(house)

    made = await desk.ask("product.create", {"name": "first"})
    shown = await desk.ask("key.show", {})
    added = await desk.ask("device.add", {"imei": IMEI})
    await desk.ask("product.create", {"name": "second"})
    torn = await desk.ask("key.rotate", {"kind": "master"})

    (first, _) = await house.do(house.products.list())
    entries = [entry for entry in (made, shown, added, torn) if entry is not None]
    assert [(entry.product_id, entry.result) for entry in entries] == [
        (first.id, "ok"),
        (first.id, "ok"),
        (first.id, "ok"),
        (None, "invalid"),
    ]
    assert await desk.ask("device.list", {"product_id": str(first.id)}) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:SECRET@shop.example:8443/SECRET?access_token=SECRET#SECRET", "https://shop.example:8443"),
        ("coaps://[2001:db8::1]:5684", "coaps://[2001:db8::1]:5684"),
        ("http://shop.example:SECRET/", "(no url)"),
        ("SECRET", "(no url)"),
        ("//[SECRET", "(no url)"),
    ],
)
def test_of_a_url_only_where_it_leads_is_told(url: str, told: str) -> None:
    """Whether it was taken or not: the rest may be somebody's password."""
    entry = operators_entry("push.add", {"url": url, "bootstrap_uri": url}, "invalid", NOW)

    assert entry.target == f"url {told}, bootstrap_uri {told}"
