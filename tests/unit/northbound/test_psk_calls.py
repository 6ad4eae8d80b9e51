"""The pre-shared keys of devices: northbound reference 3.1 and 3.10, and the fields beside them."""

from dataclasses import replace
from typing import Any

import pytest

from commandpost.domain.device_key import KeyPermission, KeyResource
from commandpost.domain.errors import Taken
from commandpost.services.identities import GivenKeys
from tests.fakes.ids import ReversingBox
from tests.fakes.services import IMEI, build_device
from tests.unit.northbound.fakes import DEVICE, DEVICE_KEY
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House

SEALED = ReversingBox().seal
NEW: dict[str, Any] = {"title": "m1", "protocol": "LwM2M", "auth_info": {"860000000000009": "460000000000009"}}
BOOTSTRAP, ACCESS = "/nbiot/device/psk", "/nbiot/device/accpsk"


def keyed_house(access: bytes | None = b"psk45678", bootstrap: bytes | None = None) -> House:
    """A house whose device has these keys."""
    house = House()
    house.devices.devices[DEVICE] = replace(
        house.devices.devices[DEVICE],
        sealed_psk=None if access is None else SEALED(access),
        sealed_bootstrap_psk=None if bootstrap is None else SEALED(bootstrap),
    )
    return house


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "bootstrap", "shown_access", "shown_bootstrap"),
    [
        (b"psk45678", None, {"psk": "psk45678"}, {"psk": "psk45678"}),
        (b"psk45678", b"bskey678", {"psk": "psk45678"}, {"psk": "bskey678"}),
        (None, b"bskey678", {"psk": None}, {"psk": "bskey678"}),
        (None, None, {"psk": None}, {"psk": None}),
        (b"\x00" * 8, None, {"psk_hex": "00" * 8}, {"psk_hex": "00" * 8}),
    ],
)
def test_keys_are_shown(
    access: bytes | None, bootstrap: bytes | None, shown_access: object, shown_bootstrap: object
) -> None:
    """The access key is the bootstrap key until one is set."""
    house = keyed_house(access, bootstrap)

    assert house.envelope("GET", f"{ACCESS}?imei={IMEI}") == {"errno": 0, "error": "succ", "data": shown_access}
    assert house.envelope("GET", f"{BOOTSTRAP}?imei={IMEI}")["data"] == shown_bootstrap
    assert house.envelope("GET", f"{BOOTSTRAP}?did={DEVICE_ID}")["data"] == shown_bootstrap


# --- setting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "changed"),
    [
        ("POST", f"{ACCESS}?imei={IMEI}", GivenKeys(psk="newkey78")),
        ("PUT", f"{ACCESS}?imei={IMEI}", GivenKeys(psk="newkey78")),
        ("PUT", f"{BOOTSTRAP}?imei={IMEI}", GivenKeys(bootstrap_psk="newkey78")),
        ("PUT", f"{BOOTSTRAP}?did={DEVICE_ID}", GivenKeys(bootstrap_psk="newkey78")),
    ],
)
def test_keys_are_set(method: str, target: str, changed: GivenKeys) -> None:
    """An answer without data; the body's key in any case."""
    house = House()

    assert house.ask(method, target, {"Key": "newkey78"}).body == b'{"errno":0,"error":"succ"}'
    assert house.identities.changed == [(DEVICE, changed)]


@pytest.mark.parametrize(
    ("body", "errno"),
    [
        (b"", 3),
        (b"{", 3),
        (b"[]", 3),
        ({}, 3),
        ({"key": None}, 3),
        ({"key": "short12"}, 5108),
        ({"key": "x" * 17}, 5108),
        ({"key": "with spc"}, 5108),
        ({"key": "schlüssel"}, 5108),
        ({"key": 12345678}, 5108),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", ACCESS), ("PUT", ACCESS), ("PUT", BOOTSTRAP)])
def test_a_key_that_cannot_be_is_refused_and_not_repeated(method: str, path: str, body: object, errno: int) -> None:
    """8 to 16 letters or digits."""
    house = House()

    answer = house.envelope(method, f"{path}?imei={IMEI}", body)

    assert answer["errno"] == errno
    assert "with spc" not in answer["error"]
    assert house.identities.changed == []


# --- whose device it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "errno"),
    [
        ("", 3),
        (f"imei={IMEI}&did={DEVICE_ID}", 5108),
        ("imei=999", 1),
        ("did=999", 1),
        ("did=x", 1),
        (f"did={OTHER_PRODUCTS_DEVICE_ID}", 1),
        ("imei=" + "9" * 64, 1),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_bootstrap_key_needs_exactly_one_name_of_a_device_of_ones_own(method: str, query: str, errno: int) -> None:
    """Another product's device looks like one that does not exist (P12)."""
    house = House()

    assert house.envelope(method, f"{BOOTSTRAP}?{query}", {"key": "newkey78"})["errno"] == errno
    assert house.identities.changed == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(("query", "errno"), [("", 3), ("imei=999", 1), (f"did={DEVICE_ID}", 3)])
def test_the_access_key_needs_an_imei(method: str, query: str, errno: int) -> None:
    """`did` is no name for it."""
    assert House().envelope(method, f"{ACCESS}?{query}", {"key": "newkey78"})["errno"] == errno


def test_a_device_that_speaks_no_lwm2m_has_no_such_keys() -> None:
    """By its id it would be found."""
    house = House()
    device = build_device(1_000_009, protocol="MQTT", imei=None, imsi=None, auth_info='"sn"')
    house.devices.devices[device.id] = device

    assert house.envelope("GET", f"{BOOTSTRAP}?did={device.id}")["errno"] == 1


# --- create and update -----------------------------------------------------------------------------------------------


def test_a_key_that_was_made_is_told_at_creation() -> None:
    """NB 3.1: `psk` is added to the data only for DTLS devices that were created without one."""
    house = House()
    create = house.devices.create

    async def create_with_key(*arguments: Any) -> Any:  # Any: as the method takes and gives
        return replace(await create(*arguments), sealed_psk=SEALED(b"made456789abcdef"))

    house.devices.create = create_with_key  # type: ignore[method-assign,assignment]  # what a product for DTLS alone does

    made = house.envelope("POST", "/devices", NEW)["data"]
    given = house.envelope("POST", "/devices", {**NEW, "auth_info": {"1": "1"}, "psk": "psk45678"})["data"]

    assert made == {"device_id": made["device_id"], "psk": "made456789abcdef"}
    assert list(given) == ["device_id"]


def test_dtls_fields_of_a_new_device_are_handed_on() -> None:
    """Extensions of the dialect."""
    house = House()

    assert house.envelope("POST", "/devices", {**NEW, "psk_hex": "00FF" * 8, "psk_identity": "roof"})["errno"] == 0
    assert (house.devices.created[0].psk_hex, house.devices.created[0].psk_identity) == ("00FF" * 8, "roof")


def test_dtls_fields_of_an_update_change_the_keys() -> None:
    """What is not named stays: an update without them touches no key."""
    house = House()

    house.envelope("PUT", f"/devices/{DEVICE_ID}", {"title": "new"})
    answer = house.envelope("PUT", f"/devices/{DEVICE_ID}", {"psk_identity": "roof"})

    assert answer["errno"] == 0
    assert house.identities.changed == [(DEVICE, GivenKeys(psk_identity="roof"))]


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"PSK": "newkey78"}, GivenKeys(psk="newkey78")),
        ({"psk_hex": "00ff" * 8}, GivenKeys(psk_hex="00ff" * 8)),
        ({"auth": "abc123"}, GivenKeys(auth_code="abc123")),
        ({"psk": "newkey78", "psk_identity": "roof"}, GivenKeys(psk="newkey78", psk_identity="roof")),
    ],
)
def test_what_a_device_proves_itself_by_is_changed_by_an_update(body: object, changed: GivenKeys) -> None:
    """As `PUT /nbiot/device/accpsk` changes it: an update that answers 0 has done what it was asked to."""
    house = House()

    assert house.ask("PUT", f"/devices/{DEVICE_ID}", body).body == b'{"errno":0,"error":"succ"}'
    assert house.identities.changed == [(DEVICE, changed)]


NO_SECRETS: list[object] = ["", "x" * 17, "with spc", "schlüssel", 12345678, True, ["newkey78"], {}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("psk", value) for value in [*NO_SECRETS, "short12"]),
        *(("auth", value) for value in NO_SECRETS),
        *(("psk_hex", value) for value in ["", "0", "zz" * 8, "00" * 7, "00" * 65, 5]),
    ],
)
def test_a_key_of_an_update_that_cannot_be_changes_nothing(field: str, value: object) -> None:
    """6 naming the field; neither what was tried is repeated, nor the rest of the update done."""
    house = House()

    answer = house.envelope("PUT", f"/devices/{DEVICE_ID}", {"title": "new", field: value})

    assert answer["errno"] == 6
    assert answer["error"].startswith(f"invalid parameter: {field} is ")
    assert answer["error"].endswith(" is allowed")
    assert "with spc" not in answer["error"]
    assert (house.identities.changed, house.devices.changes) == ([], [])


def test_an_auth_code_is_given_once() -> None:
    """Two names with two values: neither is dropped in silence."""
    house = House()

    answer = house.envelope("PUT", f"/devices/{DEVICE_ID}", {"auth": "first1", "auth_code": "second2"})

    assert (answer["errno"], house.identities.changed) == (6, [])
    assert answer["error"].startswith("invalid parameter: auth and auth_code is 'both'")


@pytest.mark.parametrize("body", [{"auth_info": {"1": "1"}}, {"title": 5}, {"psk_hex": "00" * 8}])
def test_a_good_key_beside_what_cannot_be_is_not_changed(body: dict[str, object]) -> None:
    """An update is done as a whole or not at all."""
    house = House()

    assert house.envelope("PUT", f"/devices/{DEVICE_ID}", {"psk": "newkey78", **body})["errno"] == 6
    assert (house.identities.changed, house.devices.changes) == ([], [])


def test_a_device_that_speaks_no_lwm2m_is_given_no_key_by_an_update() -> None:
    """It would prove nothing; what was named is told."""
    house = House()
    device = build_device(1_000_009, protocol="MQTT", imei=None, imsi=None, auth_info='"sn"')
    house.devices.devices[device.id] = device

    answer = house.envelope("PUT", f"/devices/{device.id}", {"psk": "newkey78", "auth": "abc123"})

    none = "psk, auth: none for a device that speaks no LwM2M"
    assert answer == {"errno": 6, "error": f"invalid parameter: {none}"}
    assert house.identities.changed == []


@pytest.mark.parametrize("field", ["psk", "auth"])
def test_an_update_of_a_key_needs_the_master_key(field: str) -> None:
    """A device-level key may change the device, not what opens it."""
    house = House()
    house.authenticator.allow(KeyPermission(resources=(KeyResource(),), methods=("put",)))

    assert house.envelope("PUT", f"/devices/{DEVICE_ID}", {"title": "new"}, key=DEVICE_KEY)["errno"] == 0
    assert house.envelope("PUT", f"/devices/{DEVICE_ID}", {field: "newkey78"}, key=DEVICE_KEY)["errno"] == 3
    assert house.identities.changed == []


def test_an_identity_that_is_taken_is_told() -> None:
    """As any name that exists already, and nothing else of the update is done."""
    house = House()
    house.identities.refusal = Taken("psk_identity", "roof")

    answer = house.envelope("PUT", f"/devices/{DEVICE_ID}", {"psk_identity": "roof", "title": "new"})

    assert answer == {"errno": 12, "error": "already exists: psk_identity roof"}
    assert house.devices.changes == []


@pytest.mark.parametrize("field", ["psk_hex", "psk_identity"])
@pytest.mark.parametrize("value", [5, True, [], "x" * 300])
def test_dtls_fields_of_the_wrong_kind(field: str, value: object) -> None:
    """6, naming the field."""
    for method, target, body in (
        ("POST", "/devices", {**NEW, field: value}),
        ("PUT", f"/devices/{DEVICE_ID}", {field: value}),
    ):
        answer = House().envelope(method, target, body)
        assert answer["errno"] == 6
        assert field in answer["error"]
