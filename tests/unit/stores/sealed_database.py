"""A database with something in every place where something sealed can be."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from commandpost.domain.device import Device, KeyKind, SealedKey
from commandpost.domain.dtls_association import KeepAssociation, KeptAssociation
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import CreateDevice, CreateProduct, ReplaceKey
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import DAY_MS
from commandpost.domain.key_facts import AddDeviceKey
from commandpost.domain.push_facts import AddSubscription
from commandpost.domain.session import Remote
from commandpost.stores.sealing import AesSecretBox
from commandpost.stores.sqlite.connection import connect
from commandpost.stores.sqlite.resealing import find_sealed_tables
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness

DEVICES = 5
YEAR_MS = 365 * DAY_MS
VALUES = 2 + 1 + 3 + 3 * DEVICES + 2 + 1
"""Of every kind: product keys, a replaced one, device keys, those of devices, of a subscription, an association."""


def fill(path: Path, box: AesSecretBox) -> None:
    """Put something into every place where something sealed can be, and a command that waits."""
    harness = SqliteHarness(path)

    def key(kind: KeyKind, text: bytes) -> SealedKey:
        return replace(build.key(kind, product_id=1), sealed=box.seal(text), index=box.index(text))

    harness.apply(CreateProduct(product=build.product(), keys=(key(KeyKind.MASTER, b"m0"), key(KeyKind.ACCESS, b"a"))))
    harness.apply(ReplaceKey(key=key(KeyKind.MASTER, b"m1"), old_until=build.at(1)))
    for number in range(3):
        text = b"k%d" % number
        plain = data.device_key(ProductId(1), number + 1)
        harness.apply(AddDeviceKey(key=replace(plain, sealed=box.seal(text), index=box.index(text)), keys_max=9))
    devices = []
    for number in range(DEVICES):
        given = replace(
            build.device(ProductId(1), f"86{number}"),
            sealed_auth_code=box.seal(b"auth"),
            sealed_psk=box.seal(b"psk"),
            sealed_bootstrap_psk=box.seal(b"bootstrap"),
        )
        device = harness.apply(CreateDevice(device=given))
        assert isinstance(device, Device)
        devices.append(device)
    harness.accept(devices[-1], 1, expires=100 * YEAR_MS)
    association = KeptAssociation(
        remote=Remote(b"there"), device_id=devices[-1].id, sealed_state=box.seal(b"state"), saved_at=build.at(0)
    )
    assert harness.apply(KeepAssociation(association=association))
    harness.apply(CreateDevice(device=build.device(ProductId(1), "99")))  # that has no secrets
    subscription = build.subscription(
        ProductId(1), sealed_token=box.seal(b"token"), sealed_aes_key=box.seal(b"aes key, 32 bytes")
    )
    harness.apply(AddSubscription(subscription=subscription, subscriptions_max=9))
    harness.store.close()


def secrets_under(path: Path, boxes: Sequence[AesSecretBox]) -> list[bytes]:
    """Open every value with whichever box opens it, sorted."""
    connection = connect(path)
    found = []
    for table in find_sealed_tables(connection):
        columns = ", ".join(table.sealed)
        for row in connection.execute(f"SELECT {columns} FROM {table.name}"):
            found += [open_with(value, boxes) for value in row if value is not None]
    connection.close()
    return sorted(found)


def open_with(value: bytes, boxes: Sequence[AesSecretBox]) -> bytes:
    for box in boxes:
        try:
            return box.unseal(value)
        except StoreUnavailable:
            continue
    raise AssertionError("a value is lost")
