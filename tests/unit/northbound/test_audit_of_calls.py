"""Which calls the audit hears of, what it is told of them, and what never."""

import pytest

from commandpost.domain.audit import Actor, AuditEntry
from commandpost.domain.device_key import KeyPermission, KeyResource
from commandpost.domain.ids import ProductId
from commandpost.northbound.messages import ApiRequest
from commandpost.northbound.trail import CallTrail
from commandpost.services.access import Access
from commandpost.services.audit import AuditLog
from tests.fakes.services import IMEI, MASTER_KEY, NOW
from tests.unit.northbound.fakes import DEVICE, DEVICE_KEY, REGISTER_CODE
from tests.unit.northbound.house import DEVICE_ID, House, run
from tests.unit.northbound.push_house import PushHouse

REMOTE = "192.0.2.7"
ONE = ProductId(1)
EXECUTE = "/nbiot/execute?imei={}&obj_id=5&obj_inst_id=0&res_id=4"
NEW_DEVICE = b'{"title":"t","protocol":"LWM2M","auth_info":{"77":"1"}}'


class FakeAudit(AuditLog):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[AuditEntry] = []

    def record(self, entry: AuditEntry) -> None:
        self.told.append(entry)


class Desk:
    """A house, and what its audit hears."""

    def __init__(self) -> None:
        self.audit = FakeAudit()
        self.house = House(audit=self.audit)

    def ask(
        self, method: str, target: str, body: bytes = b"", *, key: str | None = MASTER_KEY, token: str | None = None
    ) -> list[AuditEntry]:
        """Call from an address; gives what was heard of it."""
        heard = len(self.audit.told)
        path, _, query = target.partition("?")
        headers = [] if key is None else [(b"api-key", key.encode())]
        headers += [] if token is None else [(b"authorization", token.encode())]
        request = ApiRequest(
            method=method,
            path=path,
            query=query.encode(),
            headers=headers,
            body=body,
            trail=CallTrail(remote=REMOTE),
        )
        run(self.house.api.handle(request))
        return self.audit.told[heard:]


def test_a_change_is_kept_with_who_what_from_where_and_how_it_ended() -> None:
    """By the route, not by the path as it was written."""
    assert Desk().ask("PUT", f"//devices/{DEVICE_ID}/", b'{"title":"a secret plan"}') == [
        AuditEntry(
            at=NOW,
            product_id=ONE,
            actor=Actor.MASTER,
            action="PUT /devices/{device_id}",
            target=f"device_id {DEVICE_ID}",
            remote=REMOTE,
            result="0",
        )
    ]


@pytest.mark.parametrize(
    ("method", "target", "body", "action", "named", "result"),
    [
        ("POST", EXECUTE.format(IMEI), b"", "POST /nbiot/execute", f"imei {IMEI}", "0"),
        ("POST", EXECUTE.format(123), b"", "POST /nbiot/execute", "imei 123", "1"),
        ("POST", f"/cmds?device_id={DEVICE_ID}", b"ping", "POST /cmds", f"device_id {DEVICE_ID}", "0"),
        ("DELETE", "/devices/999", b"", "DELETE /devices/{device_id}", "device_id 999", "8"),
        ("POST", "/devices", b"{", "POST /devices", "", "4"),
        ("POST", "/devices", NEW_DEVICE, "POST /devices", "device_id 1000003", "0"),
    ],
)
def test_what_a_call_names_and_how_it_ended(
    method: str, target: str, body: bytes, action: str, named: str, result: str
) -> None:
    """Calls that failed, too."""
    (entry,) = Desk().ask(method, target, body)

    assert (entry.action, entry.target, entry.result) == (action, named, result)


def test_reading_is_not_kept() -> None:
    """Nor is what needs no credential, nor a path that is not served."""
    desk = Desk()

    for target in ("/devices", f"/devices/{DEVICE_ID}", f"/nbiot?imei={IMEI}&obj_id=3", "/healthz", "/docs"):
        assert desk.ask("GET", target) == []
    assert desk.ask("POST", "/nothing") == []


@pytest.mark.parametrize(
    "target", [f"/nbiot/device/psk?imei={IMEI}", f"/nbiot/device/accpsk?imei={IMEI}", "/keys", "/keys?per_page=1"]
)
def test_reading_keys_is_kept(target: str) -> None:
    """By whom, but not which keys."""
    (entry,) = Desk().ask("GET", target)

    assert (entry.actor, entry.action, entry.result) == (Actor.MASTER, f"GET {target.partition('?')[0]}", "0")


def test_the_detail_of_a_device_is_kept_when_it_shows_keys() -> None:
    """Whoever has the MasterKey reads them in it; another key is shown none."""
    desk = Desk()
    desk.ask("POST", "/keys", b'{"title":"k","permissions":[{"resources":[{"dev_id":"1000001"}]}]}')
    desk.house.authenticator.allow(KeyPermission(resources=(KeyResource(),), methods=("get",)))

    (entry,) = desk.ask("GET", f"/devices/{DEVICE_ID}")

    assert (entry.actor, entry.action, entry.result) == (Actor.MASTER, "GET /devices/{device_id}", "0")
    assert "new-key" not in repr(entry)
    assert desk.ask("GET", f"/devices/{DEVICE_ID}", key=DEVICE_KEY) == []


def test_an_update_that_changes_keys_says_which() -> None:
    """By name: a key itself is never told."""
    (entry,) = Desk().ask("PUT", f"/devices/{DEVICE_ID}", b'{"title":"t","psk":"newkey78","auth":"abc123"}')

    assert (entry.target, entry.result) == (f"device_id {DEVICE_ID}, new psk, auth", "0")


@pytest.mark.parametrize(
    ("target", "result"),
    [("/keys", "3"), (f"/nbiot/device/psk?imei={IMEI}", "1"), (f"/devices/{DEVICE_ID}", "3")],
)
def test_a_read_without_the_right_is_kept(target: str, result: str) -> None:
    """Somebody tries how far a key goes."""
    desk = Desk()
    desk.house.authenticator.allow(KeyPermission(resources=(KeyResource(),), methods=("put",)))

    (entry,) = desk.ask("GET", target, key=DEVICE_KEY)

    assert (entry.actor, entry.key_title, entry.result) == (Actor.DEVICE_KEY, "k", result)


def test_a_read_of_the_native_interface_without_the_right_is_kept() -> None:
    """As of the dialect; the result is its status."""
    audit = FakeAudit()
    house = PushHouse(audit=audit)
    house.authenticator.allow(KeyPermission(resources=(KeyResource(),), methods=("get",)))

    assert house.ask("GET", "/v1/subscriptions", key=DEVICE_KEY).status == 403

    (entry,) = audit.told
    assert (entry.actor, entry.action, entry.result) == (Actor.DEVICE_KEY, "GET /v1/subscriptions", "403")


@pytest.mark.parametrize(
    ("key", "token", "result"),
    [(None, None, "2"), ("wrong", None, "3"), (None, "wrong", "3"), ("", None, "2")],
)
def test_a_refused_credential_is_kept_whatever_was_asked(key: str | None, token: str | None, result: str) -> None:
    """Once, by nobody, and without the credential."""
    (entry,) = Desk().ask("GET", "/devices", key=key, token=token)

    assert (entry.actor, entry.product_id, entry.action, entry.result) == (
        Actor.NOBODY,
        None,
        "GET /devices",
        result,
    )
    assert "wrong" not in repr(entry)


def test_a_refused_register_code_is_one_too() -> None:
    """It is a credential; a right one registers, which is a change."""
    (refused,) = Desk().ask("POST", "/register_de?register_code=wrong", b'{"sn":"1"}', key=None)
    (registered,) = Desk().ask("POST", f"/register_de?register_code={REGISTER_CODE}", b'{"sn":"1"}', key=None)

    assert (refused.result, registered.result) == ("3", "0")
    assert "wrong" not in repr(refused)
    assert REGISTER_CODE not in repr(registered)
    assert (refused.product_id, registered.product_id) == (None, ONE)
    assert registered.target == "device_id 1000001"


def test_by_what_somebody_was_recognised() -> None:
    """A device-level key by its title; tokens of a product and of a device."""
    desk = Desk()
    desk.house.authenticator.allow(KeyPermission(resources=(KeyResource(),), methods=("put",)))
    product = desk.house.products.first
    desk.house.authenticator.tokens["whole"] = Access(product=product, is_by_token=True)
    desk.house.authenticator.tokens["one"] = Access(product=product, is_by_token=True, device_id=DEVICE)
    target = f"/devices/{DEVICE_ID}"

    entries = [
        *desk.ask("PUT", target, b"{}", key=DEVICE_KEY),
        *desk.ask("DELETE", target, key=DEVICE_KEY),
        *desk.ask("PUT", target, b"{}", key=None, token="whole"),
        *desk.ask("PUT", target, b"{}", key=None, token="one"),
    ]

    assert [(entry.actor, entry.key_title, entry.result) for entry in entries] == [
        (Actor.DEVICE_KEY, "k", "0"),
        (Actor.DEVICE_KEY, "k", "3"),
        (Actor.TOKEN, "", "0"),
        (Actor.DEVICE_TOKEN, "", "0"),
    ]
    assert DEVICE_KEY not in repr(entries)


def test_a_key_in_the_path_is_never_kept() -> None:
    """`/keys/{key}` is named by the key itself."""
    desk = Desk()
    desk.ask("POST", "/keys", b'{"title":"k"}')

    entries = [*desk.ask("PUT", "/keys/new-key-0", b'{"title":"x"}'), *desk.ask("DELETE", "/keys/new-key-0")]

    assert [entry.action for entry in entries] == ["PUT /keys/{key}", "DELETE /keys/{key}"]
    assert "new-key-0" not in repr(entries)


@pytest.mark.parametrize(
    "name", ["%0a%5binfo%5d+forged=1", "%1b%5b2Jx", "%e2%80%ae\n", "a" * 10_000, "%00", "%c2%85%e2%80%a8"]
)
def test_log_injection_reaches_no_line(name: str) -> None:
    """What a caller names is printable and bounded when it is kept."""
    (entry,) = Desk().ask("PUT", f"/nbiot/offline/cancel/all?imei={name}")

    assert entry.target.isprintable()
    assert len(entry.target) <= 200
