"""What every store does with replaced keys and with the audit."""

from dataclasses import replace

from commandpost.domain.audit import Actor, AppendAudit, AuditEntry, PruneAudit
from commandpost.domain.device import KeyKind
from commandpost.domain.fact import Swept
from commandpost.domain.facts import CreateProduct, PruneOldKeys, ReplaceKey
from commandpost.domain.ids import ProductId
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

ONE = ProductId(1)


def entry(number: int, *, product_id: int | None = 1) -> AuditEntry:
    """The n-th entry."""
    return AuditEntry(
        at=build.at(number * 1000),
        product_id=None if product_id is None else ProductId(product_id),
        actor=Actor.NOBODY if product_id is None else Actor.MASTER,
        key_title="k",
        action="PUT /devices/{device_id}",
        target=f"device_id {number}",
        remote="192.0.2.7",
        result="0",
        times=number,
    )


class TestOldKeys:
    def replaced_twice(self, store: StoreHarness) -> None:
        store.apply(CreateProduct(product=build.product(), keys=(build.key(index=b"a" * 32),)))
        store.apply(ReplaceKey(key=build.key(index=b"b" * 32, product_id=1), old_until=build.at(100)))
        store.apply(ReplaceKey(key=build.key(index=b"c" * 32, product_id=1), old_until=build.at(200)))

    def test_a_replaced_key_is_found_until_it_is_pruned(self, store: StoreHarness) -> None:
        self.replaced_twice(store)

        old = build.key(index=b"a" * 32, product_id=1)
        assert store.ask(store.reader.find_key(b"a" * 32)) == replace(old, expires_at=build.at(100))
        found = store.ask(store.reader.old_keys(ONE))
        assert [(key.index[:1], key.expires_at) for key in found] == [(b"b", build.at(200)), (b"a", build.at(100))]
        assert store.apply(PruneOldKeys(expired_before=build.at(101), limit=10)).count == 1
        assert store.ask(store.reader.find_key(b"a" * 32)) is None
        assert store.ask(store.reader.find_key(b"b" * 32)) is not None

    def test_pruning_has_a_limit_and_takes_the_oldest(self, store: StoreHarness) -> None:
        self.replaced_twice(store)

        assert store.apply(PruneOldKeys(expired_before=build.at(999), limit=1)) == Swept(count=1, has_more=True)
        assert [key.index[:1] for key in store.ask(store.reader.old_keys(ONE))] == [b"b"]

    def test_replacing_without_a_time_ends_all_replaced_keys_of_the_kind(self, store: StoreHarness) -> None:
        self.replaced_twice(store)
        access = build.key(KeyKind.ACCESS, index=b"x" * 32, product_id=1)
        store.apply(ReplaceKey(key=access))
        store.apply(ReplaceKey(key=replace(access, index=b"y" * 32), old_until=build.at(300)))

        assert store.apply(ReplaceKey(key=build.key(index=b"d" * 32, product_id=1))) is True
        assert [key.index[:1] for key in store.ask(store.reader.old_keys(ONE))] == [b"x"]
        assert store.ask(store.reader.find_key(b"c" * 32)) is None

    def test_a_replaced_key_is_taken_for_everybody_else(self, store: StoreHarness) -> None:
        self.replaced_twice(store)
        other = store.make_product("other")

        assert store.apply(ReplaceKey(key=build.key(index=b"a" * 32, product_id=other))) is False
        assert store.apply(ReplaceKey(key=build.key(KeyKind.ACCESS, index=b"a" * 32, product_id=1))) is False
        assert store.apply(CreateProduct(product=build.product(), keys=(build.key(index=b"a" * 32),))) is None

    def test_a_replaced_key_may_become_the_products_own_again(self, store: StoreHarness) -> None:
        self.replaced_twice(store)

        again = build.key(index=b"a" * 32, product_id=1)
        assert store.apply(ReplaceKey(key=again, old_until=build.at(300))) is True
        assert store.ask(store.reader.find_key(b"a" * 32)) == again
        assert [key.index[:1] for key in store.ask(store.reader.old_keys(ONE))] == [b"c", b"b"]


class TestAudit:
    def test_entries_read_back_newest_first(self, store: StoreHarness) -> None:
        entries = (entry(1), entry(2, product_id=2), entry(3, product_id=None))

        store.apply(AppendAudit(entries=entries))

        found = store.ask(store.reader.list_audit(None, before_number=None, limit=10))
        assert [each.entry for each in found] == [entries[2], entries[1], entries[0]]
        assert [each.number for each in found] == [3, 2, 1]

    def test_entries_of_a_product_and_behind_a_place(self, store: StoreHarness) -> None:
        store.apply(AppendAudit(entries=tuple(entry(number, product_id=number % 2 + 1) for number in range(1, 9))))

        def numbers(product_id: int | None, before: int | None, limit: int) -> list[int]:
            which = None if product_id is None else ProductId(product_id)
            found = store.ask(store.reader.list_audit(which, before_number=before, limit=limit))
            return [each.number for each in found]

        assert numbers(1, None, 3) == [8, 6, 4]
        assert numbers(1, 4, 3) == [2]
        assert numbers(None, 3, 10) == [2, 1]
        assert numbers(7, None, 3) == []

    def test_what_is_too_old_goes(self, store: StoreHarness) -> None:
        store.apply(AppendAudit(entries=tuple(entry(number) for number in range(1, 6))))

        assert store.apply(PruneAudit(before=build.at(3000), rows_max=100, limit=10)).count == 2
        assert store.apply(PruneAudit(before=build.at(3000), rows_max=100, limit=10)).count == 0
        assert len(store.ask(store.reader.list_audit(None, before_number=None, limit=10))) == 3

    def test_what_is_too_much_goes_oldest_first_in_slices(self, store: StoreHarness) -> None:
        store.apply(AppendAudit(entries=tuple(entry(number) for number in range(1, 9))))
        fact = PruneAudit(before=build.at(0), rows_max=3, limit=4)

        slices = [store.apply(fact) for _ in range(3)]

        assert slices == [
            Swept(count=4, has_more=True),
            Swept(count=1, has_more=False),
            Swept(count=0, has_more=False),
        ]
        store.apply(AppendAudit(entries=(entry(9),)))
        found = store.ask(store.reader.list_audit(None, before_number=None, limit=10))
        assert [each.number for each in found] == [9, 8, 7, 6]
