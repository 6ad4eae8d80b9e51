"""The operator's calls on subscriptions: the same services as `/v1`, with the operator's names and refusals."""

import asyncio
from typing import Any

import pytest

from commandpost.domain.device import Product
from commandpost.domain.errors import Invalid, NotFound
from commandpost.domain.ids import ProductId
from commandpost.domain.push import NotVerified
from commandpost.domain.push_ports import PushOutcome
from commandpost.northbound.admin_push import (
    AddPush,
    AdminPush,
    ListFailures,
    ListPush,
    OnePush,
    ReplayPush,
)
from tests.fakes.services import NOW
from tests.unit.northbound.push_house import TOKEN, URL, PushHouse


class Door:
    """The calls, on the first product unless another is named."""

    def __init__(self) -> None:
        self.house = PushHouse()
        self.push = AdminPush(subscriptions=self.house.subscriptions, find_product=self._find)

    async def _find(self, product_id: str | None) -> Product:
        return Product(id=ProductId(int(product_id or 1)), name="p", created_at=NOW)

    def call(self, name: str, wanted: object) -> Any:  # Any: JSON
        """Perform one call."""
        return asyncio.run(getattr(self.push, name)(wanted))


def test_a_subscription_is_added_listed_verified_and_removed() -> None:
    """Its secrets are in no answer; removing it twice is no failure."""
    door = Door()

    added = door.call("add", AddPush(url=URL, token=TOKEN, kinds=(7,), batch_count=5))

    assert (added["id"], added["kinds"], added["batch"]) == ("1", [7], {"count": 5, "interval_ms": 1000})
    assert TOKEN not in str(added)
    assert door.call("list", ListPush()) == [added]
    assert door.call("list", ListPush(product_id="2")) == []
    assert door.call("verify", OnePush(subscription_id="1")) == {"id": "1", "verified": True}
    assert door.call("failures", ListFailures(subscription_id="1")) == []
    assert door.call("replay", ReplayPush(subscription_id="1")) == {"id": "1", "replayed": 0}
    assert door.call("remove", OnePush(subscription_id="1"))["removed"] is True
    assert door.call("remove", OnePush(subscription_id="1"))["removed"] is False


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (AddPush(url="x", token=TOKEN), "url"),
        (AddPush(url=URL, token="x"), "token"),
        (AddPush(url=URL, token=TOKEN, aes_key="x"), "aes_key"),
        (AddPush(url=URL, token=TOKEN, kinds=(5,)), "kinds"),
        (AddPush(url=URL, token=TOKEN, batch_count=500), "batch.count"),
        (AddPush(url=URL, token=TOKEN, batch_interval_ms=500), "batch_count"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: AddPush, field: str) -> None:
    """As over HTTP."""
    with pytest.raises(Invalid) as refused:
        Door().call("add", wanted)
    assert refused.value.field == field


def test_a_receiver_that_does_not_answer_is_told_of() -> None:
    """At adding, and when it is asked again."""
    door = Door()
    door.call("add", AddPush(url=URL, token=TOKEN))
    door.house.receiver.outcome = PushOutcome(is_accepted=False, reason="http 404")

    with pytest.raises(NotVerified, match="http 404"):
        door.call("verify", OnePush(subscription_id="1"))
    with pytest.raises(NotVerified, match="http 404"):
        door.call("add", AddPush(url=URL, token=TOKEN))


@pytest.mark.parametrize("digits", ["2", "0", "9" * 19, "9" * 40, "nope", "-1", "\N{SUPERSCRIPT TWO}", ""])
def test_a_subscription_that_is_not_there_is_not_found(digits: str) -> None:
    """However large its id, and if it is no number."""
    door = Door()
    door.call("add", AddPush(url=URL, token=TOKEN))

    for name, wanted in (
        ("verify", OnePush(subscription_id=digits)),
        ("failures", ListFailures(subscription_id=digits)),
        ("replay", ReplayPush(subscription_id=digits)),
    ):
        with pytest.raises(NotFound):
            door.call(name, wanted)
    assert door.call("remove", OnePush(subscription_id=digits))["removed"] is False


def test_failures_that_are_not_there_are_refused_by_name() -> None:
    """One to tell again does not exist; a page cannot begin before what is no id."""
    door = Door()
    door.call("add", AddPush(url=URL, token=TOKEN))

    with pytest.raises(NotFound, match="failure nope does not exist"):
        door.call("replay", ReplayPush(subscription_id="1", failure_id="nope"))
    with pytest.raises(Invalid) as refused:
        door.call("failures", ListFailures(subscription_id="1", before="nope"))
    assert refused.value.field == "before"
