"""Refused logins over MQTT and EDP: kept in the audit, and slower where there are many."""

import asyncio

import pytest

from commandpost.domain.audit import Actor, AuditEntry
from commandpost.domain.command import Transport
from commandpost.services.audit import AuditLog
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.login_refusals import RefusedLogins
from commandpost.services.logins import Login, LoginRefusal, Logins
from tests.event_loop import on_event_loop
from tests.fakes.clock import NOW, ManualClock
from tests.unit.services.test_access import Gate

REMOTE = "192.0.2.7"


class FakeAudit(AuditLog):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[AuditEntry] = []

    def record(self, entry: AuditEntry) -> None:
        self.told.append(entry)


class Door:
    """Logins whose refusals are heard of."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.audit = FakeAudit()
        self.waited: list[float] = []
        clock = ManualClock()
        failed = FailedLogins(clock=clock, sleep=self._sleep)
        self.logins = Logins(
            reader=self.gate.house.store,
            keyring=self.gate.authenticator,
            refusals=RefusedLogins(audit=self.audit, failed_logins=failed, clock=clock),
        )

    async def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        await asyncio.sleep(0)

    async def knock(self, device_id: str, password: bytes = b"wrong", remote: str = REMOTE) -> Login | LoginRefusal:
        return await self.gate.house.do(
            self.logins.by_password(
                Transport.MQTT, device_id=device_id, product_id="1", password=password, remote=remote
            )
        )


@on_event_loop
async def test_a_refused_login_is_kept_without_its_password() -> None:
    """With what it named, made printable, and from where."""
    door = Door()

    assert await door.knock("17\n\x1b[2J", b"a password") is LoginRefusal.UNKNOWN

    assert door.audit.told == [
        AuditEntry(
            at=NOW,
            product_id=None,
            actor=Actor.NOBODY,
            action="login mqtt",
            target="device_id 17\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[2J",
            remote=REMOTE,
            result="unknown",
        )
    ]


@on_event_loop
async def test_the_tenth_refusal_of_an_address_is_late_and_another_address_is_not() -> None:
    """As over HTTP."""
    door = Door()
    for _ in range(9):
        await door.knock("17")
    assert door.waited == []

    await door.knock("17")
    await door.knock("17", remote="192.0.2.8")
    assert door.waited == [0.25]


@pytest.mark.parametrize("form", ["key", "auth_info"])
@on_event_loop
async def test_both_forms_of_edp_are_heard_of(form: str) -> None:
    """A key, or an auth_info."""
    door = Door()
    if form == "key":
        refused = door.logins.by_key(Transport.EDP, device_id="17", key=b"wrong", remote=REMOTE)
    else:
        refused = door.logins.by_auth_info(Transport.EDP, product_id="17", auth_info=b"wrong", remote=REMOTE)

    assert await door.gate.house.do(refused) is LoginRefusal.UNKNOWN
    assert [(entry.action, entry.result) for entry in door.audit.told] == [("login edp", "unknown")]
