"""What holds for every call of the dialect: envelope, credential, leniency, order of checks."""

import msgspec
import pytest

from commandpost.domain.errors import Overloaded, StoreUnavailable
from tests.fakes.services import IMEI, MASTER_KEY, OTHER_IMEI, OTHER_KEY
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House, observed_house, with_imei

READ = f"/nbiot?imei={IMEI}&obj_id=3303"


def test_success_is_http_200_with_errno_first_and_data_last() -> None:
    """The envelope to the byte."""
    response = House().ask("GET", READ)

    assert response.status == 200
    assert response.body == b'{"errno":0,"error":"succ","data":[]}'
    assert response.content_type == b"application/json; charset=utf-8"


def test_a_call_with_nothing_to_return_has_no_data() -> None:
    """`data` is left out, not null."""
    response = House().ask("DELETE", f"/devices/{DEVICE_ID}")

    assert response.body == b'{"errno":0,"error":"succ"}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/nbiot/unknown"),
        ("GET", "/devices/1/2/3"),
        ("DELETE", "/nbiot"),
        ("PATCH", "/devices"),
        ("GET", "/nbiot/execute"),
        ("GET", "/" + "a" * 100_000),
        ("GET", "/" + "a/" * 50_000),
    ],
)
def test_a_path_or_method_that_is_not_served_is_404_with_errno_8(method: str, path: str) -> None:
    """The only answer that is not HTTP 200."""
    response = House().ask(method, path)

    assert response.status == 404
    assert msgspec.json.decode(response.body)["errno"] == 8
    assert len(response.body) < 500


@pytest.mark.parametrize(
    ("target", "key", "errno", "error"),
    [
        (READ, None, 1, "auth failed: header api-key is missing"),
        (READ, "", 1, "auth failed: header api-key is missing"),
        (READ, "wrong", 1, "auth failed: api-key is not valid"),
        (f"/devices/{DEVICE_ID}", None, 2, "api-key required: header api-key is missing"),
        (f"/devices/{DEVICE_ID}", "wrong", 3, "auth failed: api-key is not valid"),
    ],
)
def test_a_credential_that_is_missing_or_wrong(target: str, key: str | None, errno: int, error: str) -> None:
    """Both families say it with HTTP 200, and never repeat the key."""
    response = House().ask("GET", target, key=key)

    assert response.status == 200
    assert msgspec.json.decode(response.body) == {"errno": errno, "error": error}


@pytest.mark.parametrize("key", [None, "wrong"])
def test_observed_profile_says_auth_failed_and_no_more(key: str | None) -> None:
    """The captured text, to the byte."""
    response = observed_house().ask("GET", READ, key=key)

    assert response.body == b'{"errno":3,"error":"auth failed"}'


def test_header_name_has_any_case() -> None:
    """`Api-Key` is `api-key`."""
    house = House()

    response = house.ask("GET", READ, key=None, Api_Key=MASTER_KEY)

    assert response.body.startswith(b'{"errno":0')


def test_credential_is_checked_before_anything_else() -> None:
    """Nothing is said about the rest to someone without a key."""
    answer = House().envelope("GET", "/nbiot?obj_id=x", key="wrong")

    assert answer["errno"] == 1


def test_what_is_missing_is_said_before_the_device_is_looked_up() -> None:
    """Query present, then device known."""
    answer = House().envelope("GET", "/nbiot?imei=unknown")

    assert answer == {"errno": 3, "error": "parameter required: obj_id"}


def test_an_unknown_device_is_said_before_ranges() -> None:
    """Device known, then ranges."""
    answer = House().envelope("GET", "/nbiot?imei=unknown&obj_id=70000")

    assert answer == {"errno": 1, "error": "auth failed: imei unknown"}


def test_ranges_are_checked_before_the_body() -> None:
    """Ranges, then body."""
    answer = House().envelope("POST", with_imei("/nbiot?obj_id=70000&obj_inst_id=0&mode=2"), b"no json")

    assert answer["errno"] == 5108
    assert "obj_id is '70000'" in answer["error"]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", f"/nbiot?imei={OTHER_IMEI}&obj_id=3303"),
        ("GET", f"/devices/{OTHER_PRODUCTS_DEVICE_ID}"),
        ("PUT", f"/devices/{OTHER_PRODUCTS_DEVICE_ID}"),
        ("DELETE", f"/devices/{OTHER_PRODUCTS_DEVICE_ID}"),
        ("GET", f"/devices/getbyimei?imei={OTHER_IMEI}"),
    ],
)
def test_another_products_device_looks_like_one_that_does_not_exist(method: str, target: str) -> None:
    """P12: but for the name asked for, the two answers are one."""
    house = House()

    theirs = house.ask(method, target, {"title": "mine"})
    unknown_target = target.replace(OTHER_IMEI, "869999999999999").replace(OTHER_PRODUCTS_DEVICE_ID, "4000000")
    unknown = house.ask(method, unknown_target, {"title": "mine"})

    expected = unknown.body.replace(b"869999999999999", OTHER_IMEI.encode())
    assert theirs.body == expected.replace(b"4000000", OTHER_PRODUCTS_DEVICE_ID.encode())


def test_each_key_sees_its_own_product() -> None:
    """P12 the other way round: the owner sees it."""
    answer = House().envelope("GET", f"/devices/{OTHER_PRODUCTS_DEVICE_ID}", key=OTHER_KEY)

    assert answer["errno"] == 0


@pytest.mark.parametrize(
    "target",
    [
        f"//nbiot?imei={IMEI}&obj_id=3303",
        f"/nbiot/?imei={IMEI}&obj_id=3303",
        f"/nbiot?IMEI={IMEI}&Obj_id=3303",
        f"/nbiot?imei={IMEI}&obj_id=3303&v=2.0&format=json&time_out=45",
        f"/nbiot?imei={IMEI}&imei=other&obj_id=3303",
        f"/nbiot?Imei=other&imei={IMEI}&obj_id=3303",
        f"/nbiot?%69mei={IMEI}&obj_id=3303",
        f"/nbiot?imei={IMEI}&obj_id=3303&obj_inst_id=&timeout=",
        f"/nbiot?ep_name={IMEI};460000000000001&obj_id=3303",
        f"/devices/nbiot?imei={IMEI}&obj_id=3303",
        f"/nbiot?&&imei={IMEI}&&obj_id=3303&=&x",
    ],
)
def test_requests_as_real_clients_write_them(target: str) -> None:
    """Doubled and trailing slashes, capitals, unknown names, duplicates, empty values, `ep_name`, the alias."""
    answer = House().envelope("GET", target)

    assert answer == {"errno": 0, "error": "succ", "data": []}


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"],
)
def test_a_body_is_json_whatever_its_content_type(content_type: str) -> None:
    """PHP's curl says form-urlencoded, others say other things."""
    house = House()

    answer = house.envelope(
        "POST",
        with_imei("/nbiot?obj_id=3311&obj_inst_id=0&mode=2"),
        {"data": [{"res_id": 5850, "val": True}]},
        content_type=content_type,
    )

    assert answer == {"errno": 0, "error": "succ"}


@pytest.mark.parametrize("error", [Overloaded(), StoreUnavailable("secret"), RuntimeError("secret")])
def test_what_is_our_fault_on_nbiot_is_errno_7(error: Exception) -> None:
    """P11: refused with a clear number; nothing internal is shown."""
    house = House()
    house.commands.failure = error

    answer = house.envelope("GET", READ)

    assert answer["errno"] == 7
    assert "secret" not in answer["error"]


@pytest.mark.parametrize(
    ("error", "count"), [(Overloaded(), 0), (StoreUnavailable("secret"), 1), (KeyError("secret"), 1)]
)
def test_what_is_our_fault_is_told_with_ids_and_without_content(error: Exception, count: int) -> None:
    """An overload is not: telling each refusal would add to it."""
    house = House()
    house.commands.failure = error

    house.envelope("GET", READ)

    assert len(house.events.told) == count
    for event, fields in house.events.told:
        assert (event, fields["route"], fields["product_id"]) == ("call_failed", "GET /nbiot", 1)
        assert fields["error"] == type(error).__name__
        assert "secret" not in str(fields)


@pytest.mark.parametrize("error", [Overloaded(), StoreUnavailable(), ZeroDivisionError()])
def test_what_is_our_fault_elsewhere_is_errno_1(error: Exception) -> None:
    """The general table's internal error."""
    house = House()
    house.devices.failure = error

    answer = house.envelope("POST", "/devices", {"title": "m", "protocol": "LWM2M", "auth_info": {"imeitest": "1"}})

    assert answer["errno"] == 1


def test_a_failure_while_the_key_is_looked_up_is_an_envelope_too() -> None:
    """Nothing escapes."""
    house = House()
    house.products.failure = RuntimeError("broken")

    answer = house.envelope("GET", READ)

    assert answer == {"errno": 7, "error": "internal server error"}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("a=" + "x" * 40_000, "invalid parameter: query is '40002 bytes': at most 16384 bytes is allowed"),
        ("&".join("a=1" for _ in range(65)), "invalid parameter: query is 'more than 64 parameters'"),
    ],
)
def test_a_query_has_a_limit(query: str, error: str) -> None:
    """Length and number of parameters are bounded."""
    answer = House().envelope("GET", f"/nbiot?{query}")

    assert answer["errno"] == 5108
    assert answer["error"].startswith(error)


def test_what_a_caller_sent_is_never_told_back_at_length() -> None:
    """A long value is cut in the text of the error."""
    answer = House().envelope("GET", with_imei(f"/nbiot?obj_id={'9' * 10_000}"))

    assert answer["errno"] == 5108
    assert len(answer["error"]) < 300


def test_healthz_needs_no_key() -> None:
    """For load balancers."""
    response = House().ask("GET", "/healthz", key=None)

    assert (response.status, response.body) == (200, b'{"status":"ok"}')
