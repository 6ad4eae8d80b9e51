"""The operator's calls on subscriptions: add, list, remove, verify, and the list of failures.

A part of the table of `admin`; the same services stand behind `/v1/subscriptions`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec

from commandpost.domain.device import Product
from commandpost.domain.errors import Invalid, NotFound
from commandpost.domain.push import Batch, check_kinds
from commandpost.northbound.parameter import parse_id
from commandpost.northbound.push_records import failure_to_json, subscription_to_json
from commandpost.services.push.subscriptions import NewSubscription, Subscriptions

FAILURES_MAX: Final = 100  # of one answer, as of every list of the admin door
ID_CHARACTERS_MAX: Final = 64  # three times the longest id: a refusal repeats what was asked for

FindProduct = Callable[[str | None], Awaitable[Product]]
_Id = Annotated[str, msgspec.Meta(max_length=ID_CHARACTERS_MAX)]


class AddPush(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`push.add`."""

    product_id: str | None = None
    url: str
    token: str
    aes_key: str | None = None
    kinds: tuple[int, ...] = (1, 2, 7)
    batch_count: int | None = None
    batch_interval_ms: int | None = None


class ListPush(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`push.list`."""

    product_id: str | None = None


class OnePush(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`push.remove` and `push.verify`."""

    product_id: str | None = None
    subscription_id: _Id


class ListFailures(OnePush, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`push.failures`."""

    before: _Id | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=FAILURES_MAX)] = FAILURES_MAX


class ReplayPush(OnePush, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`push.replay`."""

    failure_id: _Id | None = None


class AdminPush:
    """Performs the calls."""

    def __init__(self, *, subscriptions: Subscriptions, find_product: FindProduct) -> None:
        self._subscriptions = subscriptions
        self._find_product = find_product

    async def add(self, wanted: AddPush) -> object:
        """Take a receiver in that answers the verification of its url."""
        product = await self._find_product(wanted.product_id)
        new = NewSubscription(
            url=wanted.url,
            token=wanted.token,
            aes_key=wanted.aes_key,
            kinds=check_kinds(wanted.kinds),
            batch=_batch(wanted),
        )
        return subscription_to_json(await self._subscriptions.add(product, new))

    async def list(self, wanted: ListPush) -> object:
        """Give the subscriptions of a product."""
        product = await self._find_product(wanted.product_id)
        return [subscription_to_json(each) for each in await self._subscriptions.list(product)]

    async def remove(self, wanted: OnePush) -> object:
        """Remove a subscription; one that is not there is removed already."""
        product = await self._find_product(wanted.product_id)
        try:
            await self._subscriptions.remove(product, _existing("subscription", wanted.subscription_id))
        except NotFound as error:
            if error.kind != "subscription":
                raise
            return {"id": wanted.subscription_id, "removed": False}
        return {"id": wanted.subscription_id, "removed": True}

    async def verify(self, wanted: OnePush) -> object:
        """Ask a receiver again to show that it is one."""
        product = await self._find_product(wanted.product_id)
        await self._subscriptions.verify(product, _existing("subscription", wanted.subscription_id))
        return {"id": wanted.subscription_id, "verified": True}

    async def failures(self, wanted: ListFailures) -> object:
        """Give the list of failures, newest first."""
        product = await self._find_product(wanted.product_id)
        found = await self._subscriptions.failures(
            product,
            _existing("subscription", wanted.subscription_id),
            before_id=_before(wanted.before),
            limit=wanted.limit,
        )
        return [failure_to_json(failure) for failure in found]

    async def replay(self, wanted: ReplayPush) -> object:
        """Tell failures again."""
        product = await self._find_product(wanted.product_id)
        only_id = None if wanted.failure_id is None else _existing("failure", wanted.failure_id)
        count = await self._subscriptions.replay(
            product, _existing("subscription", wanted.subscription_id), only_id=only_id
        )
        return {"id": wanted.subscription_id, "replayed": count}


def _batch(wanted: AddPush) -> Batch | None:
    if wanted.batch_count is None:
        if wanted.batch_interval_ms is not None:
            raise Invalid("batch_count", None, "a count beside an interval")
        return None
    interval_ms = 1_000 if wanted.batch_interval_ms is None else wanted.batch_interval_ms
    return Batch(count=wanted.batch_count, interval_ms=interval_ms)


def _existing(kind: str, text: str) -> int:
    number = parse_id(text)
    if number is None:
        raise NotFound(kind, text)
    return number


def _before(text: str | None) -> int | None:
    if text is None:
        return None
    number = parse_id(text)
    if number is None:
        raise Invalid("before", text, "the id of a failure")
    return number
