"""`/triggers`: make, change, list, remove; every refusal names its field."""

from typing import Any

import msgspec
import pytest

from commandpost.domain.facts import DeleteDevice
from commandpost.domain.ids import DeviceId, ProductId
from tests.fakes.services import OTHER_KEY
from tests.unit.northbound.push_house import PRIVATE, PushHouse

URL = "http://receiver.example/alarm"
NEW: dict[str, Any] = {"title": "hot", "ds_id": "3303_0_5700", "url": URL, "type": ">", "threshold": 9.0}


def create(house: PushHouse, **changes: object) -> int:
    """A trigger that is in."""
    answer = house.envelope("POST", "/triggers", {**NEW, **changes})
    assert answer["errno"] == 0, answer
    return int(answer["data"]["trigger_id"])


def shown(house: PushHouse, trigger_id: int) -> dict[str, Any]:
    """What is told of a trigger."""
    data = house.envelope("GET", f"/triggers/{trigger_id}")["data"]
    assert isinstance(data, dict)
    return data


def test_a_trigger_is_shown_as_it_was_made() -> None:
    """With its threshold as it was written."""
    house = PushHouse()

    trigger_id = create(house, dev_ids=["1", 2])

    assert shown(house, trigger_id) == {
        "id": trigger_id,
        "title": "hot",
        "ds_id": "3303_0_5700",
        "dev_ids": ["1", "2"],
        "url": URL,
        "type": ">",
        "threshold": 9.0,
        "create_time": "2020-12-02 09:02:24",
        "invalid": False,
    }
    assert b'"threshold":9.0' in house.ask("GET", f"/triggers/{trigger_id}").body
    assert house.changes == 1


@pytest.mark.parametrize(
    ("kind", "threshold"),
    [
        ("<", -1),
        (">=", 0.5),
        ("<=", 10**15),
        ("==", "on"),
        ("inout", {"lolmt": 40, "uplmt": 52}),
        ("in", {"lolmt": 40.5, "uplmt": 52}),
        ("out", {"uplmt": 1, "lolmt": 1}),
        ("frozen", 300),
        ("live", 1),
        ("change", None),
    ],
)
def test_every_type_can_be_made(kind: str, threshold: object) -> None:
    """What has no threshold shows none."""
    house = PushHouse()

    trigger = shown(house, create(house, type=kind, threshold=threshold))

    assert (trigger["type"], trigger.get("threshold")) == (kind, threshold)


def test_a_change_leaves_what_it_does_not_name() -> None:
    """An empty list of devices means all again."""
    house = PushHouse()
    trigger_id = create(house, dev_ids=["1"], ds_uuids=["a", "b"])

    changes: list[dict[str, Any]] = [
        {"title": "hotter"},
        {"type": "change"},
        {"dev_ids": []},
        {"url": URL + "2"},
        {"ds_id": "t"},
    ]
    for change in changes:
        assert house.envelope("PUT", f"/triggers/{trigger_id}", change) == {"errno": 0, "error": "succ"}

    trigger = shown(house, trigger_id)
    assert (trigger["title"], trigger["type"], trigger["dev_ids"]) == ("hotter", "change", [])
    assert (trigger["url"], trigger["ds_id"], trigger["ds_uuids"]) == (URL + "2", "t", ["a", "b"])
    assert "threshold" not in trigger


def test_triggers_are_listed_in_pages_by_title() -> None:
    """Ten a page unless asked otherwise; the total counts all."""
    house = PushHouse()
    for title in ("hot", "cold", "very hot"):
        create(house, title=title)

    everything = house.envelope("GET", "/triggers")["data"]
    hot = house.envelope("GET", "/triggers?title=hot&per_page=1&page=2")["data"]

    assert (everything["total_count"], everything["page"], everything["per_page"]) == (3, 1, 10)
    assert [trigger["title"] for trigger in everything["triggers"]] == ["hot", "cold", "very hot"]
    assert (hot["total_count"], [trigger["title"] for trigger in hot["triggers"]]) == (2, ["very hot"])


def test_a_removed_trigger_is_gone() -> None:
    """A second time it is not found."""
    house = PushHouse()
    trigger_id = create(house)

    assert house.envelope("DELETE", f"/triggers/{trigger_id}")["errno"] == 0
    assert house.envelope("DELETE", f"/triggers/{trigger_id}")["errno"] == 8
    assert house.envelope("GET", f"/triggers/{trigger_id}")["errno"] == 8


def test_another_products_trigger_looks_like_none() -> None:
    """P12, for every verb; and the url of a trigger is no subscription."""
    house = PushHouse()
    trigger_id = create(house)

    for method in ("GET", "PUT", "DELETE"):
        answer = house.envelope(method, f"/triggers/{trigger_id}", {"title": "mine"}, key=OTHER_KEY)
        assert answer["errno"] == 8
    assert house.envelope("GET", "/triggers", key=OTHER_KEY)["data"]["total_count"] == 0
    assert house.native("GET", "/v1/subscriptions") == {"subscriptions": []}
    assert shown(house, trigger_id)["title"] == "hot"


@pytest.mark.parametrize("text", ["0", "x", "-1", "9" * 40, "1.5"])
def test_what_is_no_id_is_not_found(text: str) -> None:
    """Never an exception."""
    house = PushHouse()
    create(house)

    for method in ("GET", "PUT", "DELETE"):
        assert house.envelope(method, f"/triggers/{text}", {})["errno"] == 8


@pytest.mark.parametrize(
    ("changes", "errno", "field"),
    [
        ({"title": None}, 7, "title"),
        ({"title": 5}, 6, "title"),
        ({"title": ""}, 6, "title"),
        ({"title": "x" * 65}, 6, "title"),
        ({"ds_id": None}, 7, "ds_id"),
        ({"ds_id": ""}, 6, "ds_id"),
        ({"ds_id": "a/b"}, 6, "ds_id"),
        ({"ds_id": ["t"]}, 6, "ds_id"),
        ({"url": None}, 7, "url"),
        ({"url": "x"}, 6, "url"),
        ({"url": PRIVATE}, 6, "url"),
        ({"url": {}}, 6, "url"),
        ({"type": None}, 7, "type"),
        ({"type": "exp"}, 6, "type"),
        ({"type": 1}, 6, "type"),
        ({"threshold": None}, 7, "threshold"),
        ({"threshold": "9"}, 6, "threshold"),
        ({"threshold": True}, 6, "threshold"),
        ({"type": "inout", "threshold": {"lolmt": 1}}, 6, "threshold.uplmt"),
        ({"type": "inout"}, 6, "threshold"),
        ({"type": "frozen", "threshold": 0}, 6, "threshold"),
        ({"type": "change"}, 6, "threshold"),
        ({"dev_ids": "1"}, 6, "dev_ids"),
        ({"dev_ids": ["x"]}, 6, "dev_ids[0]"),
        ({"dev_ids": [1, True]}, 6, "dev_ids[1]"),
        ({"dev_ids": [0]}, 6, "dev_ids[0]"),
        ({"dev_ids": list(range(1, 1002))}, 6, "dev_ids"),
        ({"ds_uuids": 5}, 6, "ds_uuids"),
        ({"ds_uuids": [""]}, 6, "ds_uuids[0]"),
        ({"ds_uuids": [5]}, 6, "ds_uuids[0]"),
    ],
)
def test_each_refusal_names_its_field(changes: dict[str, Any], errno: int, field: str) -> None:
    """At creation, and (but for what is only missing) at a change."""
    house = PushHouse()
    trigger_id = create(house)

    refused = house.envelope("POST", "/triggers", {**NEW, **changes})

    assert refused["errno"] == errno
    assert field in refused["error"]
    if errno == 6:
        changed = house.envelope("PUT", f"/triggers/{trigger_id}", {**NEW, **changes})
        assert (changed["errno"], field in changed["error"]) == (6, True)
    assert shown(house, trigger_id)["title"] == "hot"


@pytest.mark.parametrize("stranger", [3, 9])
def test_a_device_that_is_not_of_the_product_is_not_found(stranger: int) -> None:
    """A device of another product or of none; a key that names it is refused with the same words."""
    house = PushHouse()
    trigger_id = create(house, dev_ids=[1])
    devices = [1, stranger]

    refused = house.envelope("POST", "/triggers", {**NEW, "dev_ids": devices})
    changed = house.envelope("PUT", f"/triggers/{trigger_id}", {"dev_ids": devices, "title": "hotter"})

    assert refused == changed == {"errno": 8, "error": f"not found: device {stranger}"}
    assert house.envelope("GET", "/triggers")["data"]["total_count"] == 1
    assert (shown(house, trigger_id)["dev_ids"], shown(house, trigger_id)["title"]) == (["1"], "hot")


def test_a_trigger_can_be_changed_after_its_device_is_gone() -> None:
    """Only devices that the change names are looked up."""
    house = PushHouse()
    trigger_id = create(house, dev_ids=[1])
    house.store.apply([DeleteDevice(product_id=ProductId(1), device_id=DeviceId(1))])

    assert house.envelope("PUT", f"/triggers/{trigger_id}", {"title": "hotter"})["errno"] == 0
    assert shown(house, trigger_id)["title"] == "hotter"


def test_a_threshold_alone_is_no_condition() -> None:
    """Both parts are needed; a type that has none stands alone."""
    house = PushHouse()
    trigger_id = create(house)

    assert house.envelope("PUT", f"/triggers/{trigger_id}", {"threshold": 5})["errno"] == 7
    assert house.envelope("PUT", f"/triggers/{trigger_id}", {"type": "<"})["errno"] == 7


@pytest.mark.parametrize(("body", "errno"), [(b"", 9), (b"{", 4), (b"[]", 4)])
def test_a_body_has_to_be_an_object(body: bytes, errno: int) -> None:
    """As for every call of the dialect."""
    assert msgspec.json.decode(PushHouse().send("POST", "/triggers", body).body)["errno"] == errno


@pytest.mark.parametrize("query", ["page=0", "per_page=101", "per_page=x", "title=" + "x" * 65])
def test_a_page_out_of_range_is_refused(query: str) -> None:
    """By name."""
    answer = PushHouse().envelope("GET", f"/triggers?{query}")

    assert answer["errno"] == 6
    assert query.partition("=")[0] in answer["error"]


def test_a_product_has_a_full_number_of_triggers() -> None:
    """The next is refused."""
    house = PushHouse()
    for number in range(4):
        create(house, ds_id=f"t{number}")

    assert house.envelope("POST", "/triggers", NEW)["errno"] == 6


def test_only_the_master_key_opens_them() -> None:
    """A device key is refused before anything is looked at."""
    house = PushHouse()
    house.authenticator.allow(key="device-key")

    for method, path in (("POST", "/triggers"), ("GET", "/triggers"), ("GET", "/triggers/1")):
        assert house.envelope(method, path, NEW, key="device-key")["errno"] == 3
