"""`/v1/subscriptions`: who is told, what is refused and how it is said; `/third/platform/status` and its like."""

from typing import Any

import msgspec
import pytest

from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device
from commandpost.domain.errors import Overloaded, StoreUnavailable
from commandpost.domain.facts import CreateDevice
from commandpost.domain.ids import ProductId
from commandpost.domain.push import GiveUpRule
from commandpost.domain.push_facts import RecordPushFailure
from commandpost.domain.push_ports import PushOutcome
from commandpost.northbound.messages import BodyFault
from tests.conformance import store_builders as build
from tests.fakes.services import MASTER_KEY, OTHER_KEY
from tests.unit.northbound.push_house import PRIVATE, TOKEN, URL, PushHouse

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
FIRST = ProductId(1)


def fail_some(house: PushHouse, count: int) -> None:
    """Put events of the first subscription on its list of failures."""
    (device,) = house.store.apply([CreateDevice(device=build.device(FIRST))])
    assert isinstance(device, Device)
    points = tuple(Datapoint(stream_id="t", at=build.at(number), value=str(number)) for number in range(count))
    add = AddDatapoints(device_id=device.id, product_id=FIRST, points=points, received_at=build.at(0), streams_max=10)
    house.store.apply([add])
    for seq in range(1, count + 1):
        failure = RecordPushFailure(
            subscription_id=1,
            seqs=(seq,),
            at=build.at(9),
            reason="http 500",
            rule=GiveUpRule(failures_max=1),
            give_up_max=500,
        )
        house.store.apply([failure])


class TestAdding:
    def test_a_verified_receiver_is_answered_201_with_what_is_stored(self) -> None:
        """Without its secrets, which are sealed; it can be found again."""
        house = PushHouse()

        response = house.ask("POST", "/v1/subscriptions", {"url": URL, "token": TOKEN, "aes_key": KEY})

        added = msgspec.json.decode(response.body)
        assert response.status == 201
        assert (b"location", b"/v1/subscriptions/1") in response.headers
        assert added == {
            "id": "1",
            "url": URL,
            "kinds": [1, 2, 7],
            "encrypted": True,
            "batch": None,
            "created_at": "2020-12-02T01:02:24.185Z",
        }
        assert TOKEN.encode() not in response.body and KEY.encode() not in response.body
        (stored,) = house.store.state.push.subscriptions.values()
        assert stored.sealed_token == b"sealed:" + TOKEN.encode()[::-1]
        assert house.native("GET", "/v1/subscriptions/1") == added
        assert house.native("GET", "/v1/subscriptions") == {"subscriptions": [added]}
        assert house.receiver.verified[0].token == TOKEN
        assert house.changes == 1

    def test_kinds_and_batches_are_as_asked_for(self) -> None:
        """Each kind once; an interval may be left to us."""
        house = PushHouse()

        added = house.add(kinds=[7, 1, 1], batch={"count": 20})

        assert added["kinds"] == [1, 7]
        assert added["batch"] == {"count": 20, "interval_ms": 1000}
        assert house.add(aes_key=None, batch=None)["encrypted"] is False

    @pytest.mark.parametrize("hangs", [False, True])
    def test_a_receiver_that_does_not_verify_is_not_taken_in(self, hangs: bool) -> None:
        """The problem says what came instead, and nothing is stored."""
        house = PushHouse()
        house.receiver.outcome = PushOutcome(is_accepted=False, reason="http 404")
        house.receiver.hangs = hangs

        problem = house.problem("POST", "/v1/subscriptions", {"url": URL, "token": TOKEN}, status=422)

        assert problem["errors"][0]["field"] == "url"
        assert ("no answer within" if hangs else "http 404") in problem["detail"]
        assert house.native("GET", "/v1/subscriptions") == {"subscriptions": []}

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"url": None}, "url"),
            ({"url": 5}, "url"),
            ({"url": ""}, "url"),
            ({"url": "ftp://x.example/"}, "url"),
            ({"url": "http://u:p@x.example/"}, "url"),
            ({"url": "http://x.example/\u6e29"}, "url"),
            ({"url": PRIVATE}, "url"),
            ({"token": None}, "token"),
            ({"token": 12345}, "token"),
            ({"token": "ab"}, "token"),
            ({"token": "x" * 33}, "token"),
            ({"token": "with space"}, "token"),
            ({"aes_key": ""}, "aes_key"),
            ({"aes_key": KEY + "="}, "aes_key"),
            ({"aes_key": 43}, "aes_key"),
            ({"kinds": []}, "kinds"),
            ({"kinds": [3]}, "kinds"),
            ({"kinds": [32]}, "kinds"),
            ({"kinds": ["1"]}, "kinds"),
            ({"kinds": [True]}, "kinds"),
            ({"kinds": [1.0]}, "kinds"),
            ({"kinds": 1}, "kinds"),
            ({"kinds": [1] * 100}, "kinds"),
            ({"kinds": [10**30]}, "kinds"),
            ({"batch": 5}, "batch"),
            ({"batch": []}, "batch"),
            ({"batch": {}}, "batch.count"),
            ({"batch": {"count": 0}}, "batch.count"),
            ({"batch": {"count": 101}}, "batch.count"),
            ({"batch": {"count": True}}, "batch.count"),
            ({"batch": {"count": 5, "interval_ms": 99}}, "batch.interval_ms"),
            ({"batch": {"count": 5, "interval_ms": "500"}}, "batch.interval_ms"),
            ({"batch": {"count": 5, "delay": 1}}, "batch.delay"),
            ({"Token": "other"}, "Token"),
        ],
    )
    def test_each_refusal_names_its_field(self, changes: dict[str, Any], field: str) -> None:
        """And what is allowed; nobody is asked, no secret is told back."""
        house = PushHouse()
        body = {"url": URL, "token": "s3cretToken", **changes}

        problem = house.problem("POST", "/v1/subscriptions", body, status=422)

        assert [error["field"] for error in problem["errors"]] == [field]
        assert field in problem["detail"]
        assert "s3cretToken" not in str(problem) and "u:p" not in str(problem)
        assert house.receiver.verified == []

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 3000, b'{"url":NaN}'])
    def test_a_body_that_is_no_object_is_a_bad_request(self, body: bytes) -> None:
        """400 names the body."""
        problem = PushHouse().problem("POST", "/v1/subscriptions", body, status=400)

        assert problem["errors"][0]["field"] == "body"

    @pytest.mark.parametrize(("fault", "status"), [(BodyFault.TOO_LARGE, 413), (BodyFault.TOO_SLOW, 408)])
    def test_a_body_that_did_not_come_whole_has_a_status_of_its_own(self, fault: BodyFault, status: int) -> None:
        """As the transport found it."""
        response = PushHouse().send("POST", "/v1/subscriptions", b"", body_fault=fault)

        assert response.status == status

    def test_two_verifications_of_a_product_at_one_time_are_enough(self) -> None:
        """Hosts that hang are no way to hold what others are verified by; 429, and nobody is asked."""
        house = PushHouse()
        house.receiver.hangs = True

        statuses = house.add_at_once(5, key=MASTER_KEY, other_key=OTHER_KEY)

        assert statuses == [422, 422, 429, 429, 429, 422]
        assert len(house.receiver.verified) == 3
        house.receiver.hangs = False
        assert house.add()["id"] == "1"

    def test_a_product_has_a_full_number_of_subscriptions(self) -> None:
        """Beyond it nobody is asked."""
        house = PushHouse()
        for _ in range(3):
            house.add()

        problem = house.problem("POST", "/v1/subscriptions", {"url": URL, "token": TOKEN}, status=422)

        assert "at most 3" in problem["detail"]
        assert len(house.receiver.verified) == 3


class TestAuthority:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/subscriptions"),
            ("POST", "/v1/subscriptions"),
            ("GET", "/v1/subscriptions/1"),
            ("DELETE", "/v1/subscriptions/1"),
            ("GET", "/v1/subscriptions/1/failures"),
            ("POST", "/v1/subscriptions/1/replay"),
        ],
    )
    def test_every_call_asks_for_a_key(self, method: str, path: str) -> None:
        """401 with a challenge, whether none is shown or a wrong one."""
        house = PushHouse()

        house.problem(method, path, status=401, key="nobody's")
        response = house.ask(method, path, key=None)

        assert response.status == 401
        assert b"www-authenticate" in dict(response.headers)

    def test_a_device_key_does_not_open_them(self) -> None:
        """The product's events are more than one device's."""
        house = PushHouse()
        house.authenticator.allow(key="device-key")

        house.problem("GET", "/v1/subscriptions", status=403, key="device-key")

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/failures"), ("POST", "/replay")]
    )
    def test_another_products_subscription_looks_like_none(self, method: str, path: str) -> None:
        """P12: 404 to the letter."""
        house = PushHouse()
        house.add()

        foreign = house.problem(method, f"/v1/subscriptions/1{path}", status=404, key=OTHER_KEY)
        unknown = house.problem(method, f"/v1/subscriptions/9{path}", status=404, key=OTHER_KEY)

        assert foreign["detail"].replace("1", "9") == unknown["detail"]
        assert house.native("GET", "/v1/subscriptions", key=OTHER_KEY) == {"subscriptions": []}
        assert len(house.native("GET", "/v1/subscriptions")["subscriptions"]) == 1

    @pytest.mark.parametrize("text", ["0", "-1", "+1", "1.5", "x", "9" * 30, "%31", "１", " 1"])
    def test_what_is_no_id_is_not_found(self, text: str) -> None:
        """Never an exception."""
        house = PushHouse()
        house.add()

        house.problem("GET", f"/v1/subscriptions/{text}", status=404)

    def test_a_path_that_is_not_served_has_a_problem_too(self) -> None:
        """The dialect's envelope is for the dialect."""
        house = PushHouse()

        house.problem("GET", "/v1/nothing", status=404)
        house.problem("PATCH", "/v1/subscriptions", status=404)
        assert house.ask("GET", "/v2").content_type.startswith(b"application/json")


class TestRemovingAndReplaying:
    def test_a_removed_subscription_is_gone(self) -> None:
        """204 without a body; a second time 404."""
        house = PushHouse()
        house.add()

        response = house.ask("DELETE", "/v1/subscriptions/1")

        assert (response.status, response.body) == (204, b"")
        house.problem("DELETE", "/v1/subscriptions/1", status=404)
        assert house.changes == 2

    def test_failures_are_listed_in_pages_and_replayed(self) -> None:
        """Newest first; `before` turns the page; one, then all."""
        house = PushHouse()
        house.add()
        fail_some(house, 3)

        first = house.native("GET", "/v1/subscriptions/1/failures?limit=2")
        rest = house.native("GET", f"/v1/subscriptions/1/failures?limit=2&before={first['before']}")
        one = house.native("POST", "/v1/subscriptions/1/replay", {"failure_id": "1"})
        everything = house.native("POST", "/v1/subscriptions/1/replay")

        assert [failure["id"] for failure in first["failures"]] == ["3", "2"]
        assert [failure["id"] for failure in rest["failures"]] == ["1"]
        assert rest["before"] is None
        assert rest["failures"][0]["reason"] == "http 500"
        assert (one, everything) == ({"replayed": 1}, {"replayed": 2})
        assert house.native("POST", "/v1/subscriptions/1/replay", {}) == {"replayed": 0}

    @pytest.mark.parametrize(
        ("target", "body", "status", "field"),
        [
            ("failures?limit=0", b"", 422, "limit"),
            ("failures?limit=101", b"", 422, "limit"),
            ("failures?limit=x", b"", 422, "limit"),
            ("failures?before=-1", b"", 422, "before"),
            ("failures?before=" + "9" * 30, b"", 422, "before"),
            ("replay", b"[]", 400, "body"),
            ("replay", b'{"failure_id":5}', 422, "failure_id"),
            ("replay", b'{"failure_id":"x"}', 422, "failure_id"),
            ("replay", b'{"failure":"1"}', 422, "failure"),
        ],
    )
    def test_each_refusal_names_its_field(self, target: str, body: bytes, status: int, field: str) -> None:
        """Query and body alike."""
        house = PushHouse()
        house.add()
        method = "POST" if target.startswith("replay") else "GET"

        problem = house.problem(method, f"/v1/subscriptions/1/{target}", body, status=status)

        assert problem["errors"][0]["field"] == field

    def test_a_failure_that_is_not_on_the_list_is_not_found(self) -> None:
        """Whether or not others are."""
        house = PushHouse()
        house.add()

        house.problem("POST", "/v1/subscriptions/1/replay", {"failure_id": "9"}, status=404)
        fail_some(house, 1)
        house.problem("POST", "/v1/subscriptions/1/replay", {"failure_id": "9"}, status=404)


class TestTrouble:
    @pytest.mark.parametrize("failure", [Overloaded("full"), StoreUnavailable("disk")])
    def test_a_store_that_cannot_write_is_unavailable(self, failure: Overloaded | StoreUnavailable) -> None:
        """503, and when to try again."""
        house = PushHouse()
        house.writer.failure = failure

        response = house.ask("POST", "/v1/subscriptions", {"url": URL, "token": TOKEN})

        assert response.status == 503
        assert (b"retry-after", b"1") in response.headers
        told = [name for name, _ in house.events.told]
        assert told == ([] if isinstance(failure, Overloaded) else ["call_failed"])

    def test_a_fault_of_ours_is_500_and_told_to_the_log(self) -> None:
        """The caller learns nothing of it."""
        house = PushHouse()
        house.products.failure = RuntimeError("secret detail")

        response = house.ask("GET", "/v1/subscriptions")

        assert response.status == 500
        assert b"secret" not in response.body
        assert house.events.told[0][1]["error"] == "RuntimeError"


class TestPushStatus:
    def test_the_status_of_the_product_is_whether_it_has_a_subscription(self) -> None:
        """Northbound reference 3.10."""
        house = PushHouse()
        assert house.envelope("GET", "/third/platform/status?pid=1")["data"] == {"status": False}

        house.add()

        assert house.envelope("GET", "/third/platform/status?pid=1")["data"] == {"status": True}
        assert house.envelope("GET", "/third/platform/status?pid=2", key=OTHER_KEY)["data"] == {"status": False}

    @pytest.mark.parametrize(("query", "errno"), [("", 7), ("?pid=2", 8), ("?pid=x", 6), ("?pid=0", 6)])
    def test_another_product_is_not_found(self, query: str, errno: int) -> None:
        """One that is no number is refused by name."""
        answer = PushHouse().envelope("GET", f"/third/platform/status{query}")

        assert answer["errno"] == errno

    def test_a_group_is_a_subscription(self) -> None:
        """Of the key's product; others are not found."""
        house = PushHouse()
        house.add()

        assert house.envelope("GET", "/msg_group/1/status")["data"] == {"status": True}
        for text in ("2", "x", "0", "9" * 40):
            assert house.envelope("GET", f"/msg_group/{text}/status")["errno"] == 8
        assert house.envelope("GET", "/msg_group/1/status", key=OTHER_KEY)["errno"] == 8
        assert house.envelope("GET", "/msg_group/1/status", key=None)["errno"] == 2
        assert MASTER_KEY != OTHER_KEY
