"""The keys of products: making, finding, showing and rotating them.

Keys are sealed at rest and found by a keyed hash; what a caller showed is compared with the unsealed key in constant
time. Not here: what a key opens, and remembering the ones that were shown (access).
Source: northbound reference 1.4; design 10.1.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.domain.device import KeyKind, Product, SealedKey
from commandpost.domain.errors import DomainError, Invalid, NotFound
from commandpost.domain.facts import ReplaceKey
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.ports import Clock, IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.domain.proof import ProductKeyReplaced, ProofKind

KEY_CHARACTERS_MAX: Final = 256  # longer ones are not looked up: no key of ours has more than 44
KEY_CHARACTERS_MIN: Final = 8
KEY_CHARACTERS_GOOD: Final = 16  # 96 bits if they are random; ours have 32
EXAMPLE_KEYS: Final = frozenset({"my-master-key-0001"})  # of the README
OVERLAP_S_MAX: Final = 31_536_000  # a year: what takes longer than that to change its key never will
OLD_KEYS_MAX: Final = 8  # replaced keys of one kind that are good yet; whoever needs more has lost count of them
_PROVING_KEYS: Final = {KeyKind.MASTER: ProofKind.MASTER_KEY, KeyKind.ACCESS: ProofKind.ACCESS_KEY}
"""Keys that devices log in with, or with what they signed."""


class TooManyOldKeys(DomainError):
    """The product has its full number of replaced keys that are good yet."""

    code = "too_many_old_keys"

    def __init__(self, kind: KeyKind) -> None:
        super().__init__(
            f"{OLD_KEYS_MAX} replaced {kind.value} keys are good yet: wait for one to end, or rotate without overlap, "
            f"which ends all of them"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OldKey:
    """A replaced key that is good for a while yet."""

    kind: KeyKind
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductKeys:
    """A product's keys, unsealed."""

    product_id: ProductId
    master_key: str
    access_key: str
    register_code: str | None = None
    """None: the product is older than register codes, and none was made since (`rotate`)."""
    old_keys: tuple[OldKey, ...] = ()
    """Replaced ones that are good yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMasterKey:
    """Whose MasterKey somebody has shown, and until when it is good."""

    product: Product
    expires_at: Instant | None


class ProductKeyring:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        secrets: SecretBox,
        ids: IdSource,
        clock: Clock,
        on_replaced: Sequence[Callable[[ProductKeyReplaced], object]] = (),
    ) -> None:
        """Connect it; `on_replaced` are told of every new MasterKey and access key, and how long old ones are good."""
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._ids = ids
        self._clock = clock
        self._on_replaced = tuple(on_replaced)
        self._changes = 0

    @property
    def changes(self) -> int:
        """How often a key was replaced: what somebody remembers of before may be wrong."""
        return self._changes

    def make(self, product_id: ProductId, master_key: str | None) -> tuple[ProductKeys, tuple[SealedKey, ...]]:
        """Make the keys of a new product, a MasterKey only if none is given; as they are shown and as they are stored.

        Raises:
            Invalid: the given one cannot be.
        """
        if master_key is not None and not KEY_CHARACTERS_MIN <= len(master_key) <= KEY_CHARACTERS_MAX:
            allowed = f"{KEY_CHARACTERS_MIN} to {KEY_CHARACTERS_MAX} characters"
            raise Invalid("master_key", f"{len(master_key)} characters", allowed)
        master_key = master_key or self._new_key(KeyKind.MASTER)
        access_key = self._new_key(KeyKind.ACCESS)
        register_code = self._new_key(KeyKind.REGISTER)
        sealed = (
            self._seal(product_id, KeyKind.MASTER, master_key),
            self._seal(product_id, KeyKind.ACCESS, access_key),
            self._seal(product_id, KeyKind.REGISTER, register_code),
        )
        shown = ProductKeys(
            product_id=product_id, master_key=master_key, access_key=access_key, register_code=register_code
        )
        return shown, sealed

    async def find_by_master_key(self, shown: bytes, index: bytes) -> ShownMasterKey | None:
        """Give whose MasterKey was shown, if it is one and its time is not over; `index` is the secret box's."""
        key = await self._find(shown, index, KeyKind.MASTER)
        product = None if key is None else await self._reader.find_product(key.product_id)
        if key is None or product is None:
            return None
        return ShownMasterKey(product=product, expires_at=key.expires_at)

    async def find_by_register_code(self, code: str) -> Product | None:
        """Give the product with this register code."""
        if not code or len(code) > KEY_CHARACTERS_MAX:
            return None
        shown = code.encode("utf-8", "surrogatepass")
        key = await self._find(shown, self._secrets.index(shown), KeyKind.REGISTER)
        return None if key is None else await self._reader.find_product(key.product_id)

    async def _find(self, shown: bytes, index: bytes, kind: KeyKind) -> SealedKey | None:
        key = await self._reader.find_key(index)
        if key is None or key.kind is not kind or is_over(key, self._clock.wall_ms()):
            return None
        return key if hmac.compare_digest(self._secrets.unseal(key.sealed), shown) else None

    async def show(self, product_id: ProductId) -> ProductKeys:
        """Give a product's keys, unsealed.

        Raises:
            NotFound: there is no such product.
        """
        master = await self._reader.get_key(product_id, KeyKind.MASTER)
        access = await self._reader.get_key(product_id, KeyKind.ACCESS)
        register = await self._reader.get_key(product_id, KeyKind.REGISTER)
        if master is None or access is None:
            raise NotFound("product", str(product_id))
        now = self._clock.wall_ms()
        old = [key for key in await self._reader.old_keys(product_id) if not is_over(key, now)]
        return ProductKeys(
            product_id=product_id,
            master_key=self._secrets.unseal(master.sealed).decode(),
            access_key=self._secrets.unseal(access.sealed).decode(),
            register_code=None if register is None else self._secrets.unseal(register.sealed).decode(),
            old_keys=tuple(OldKey(kind=key.kind, expires_at=key.expires_at or now) for key in old),
        )

    async def rotate(self, product_id: ProductId, kind: KeyKind, *, overlap_s: int = 0) -> str:
        """Put a new key in place of one. A register code that is not there yet is made.

        Args:
            overlap_s: how long the old key is good yet. 0: it is void at once, and so is every one that was replaced
                before; keys that got out are rotated so.
        Raises:
            NotFound: there is no such product.
            Invalid: nobody needs that long.
            TooManyOldKeys: too many are good yet.
        """
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            raise Invalid("overlap", overlap_s, f"0 to {OVERLAP_S_MAX} seconds")
        key = self._new_key(kind)
        sealed = self._seal(product_id, kind, key)
        old_until = Instant(sealed.created_at + overlap_s * SECOND_MS) if overlap_s else None
        if old_until is not None:
            await self._check_room_for_old(product_id, kind, sealed.created_at)
        is_replaced = await self._writer.perform(ReplaceKey(key=sealed, old_until=old_until))
        self._changes += 1
        if not is_replaced:
            raise NotFound("product", str(product_id))
        self._tell_replaced(sealed, old_until)
        return key

    def _tell_replaced(self, key: SealedKey, old_until: Instant | None) -> None:
        proves = _PROVING_KEYS.get(key.kind)
        if proves is None:
            return
        change = ProductKeyReplaced(product_id=key.product_id, kind=proves, fingerprint=key.index, old_until=old_until)
        for told in self._on_replaced:
            told(change)

    async def _check_room_for_old(self, product_id: ProductId, kind: KeyKind, now: Instant) -> None:
        old = [key for key in await self._reader.old_keys(product_id) if key.kind is kind and not is_over(key, now)]
        if len(old) >= OLD_KEYS_MAX:
            raise TooManyOldKeys(kind)

    def _new_key(self, kind: KeyKind) -> str:
        secret = self._ids.new_secret()
        return url_safe(secret) if kind is KeyKind.REGISTER else secret

    def _seal(self, product_id: ProductId, kind: KeyKind, key: str) -> SealedKey:
        secret = key.encode()
        return SealedKey(
            product_id=product_id,
            kind=kind,
            sealed=self._secrets.seal(secret),
            index=self._secrets.index(secret),
            created_at=self._clock.wall_ms(),
        )


def is_over(key: SealedKey, now: Instant) -> bool:
    """Tell whether a key was replaced and its time is over."""
    return key.expires_at is not None and now >= key.expires_at


def is_weak_master_key(key: str) -> bool:
    """Tell whether a key is one that everybody knows, or that can be found by trying."""
    return key in EXAMPLE_KEYS or len(key) < KEY_CHARACTERS_GOOD or len(set(key)) == 1


def url_safe(secret: str) -> str:
    """Write base64 so that it stays what it is in a URL, be it percent-encoded there or not (RFC 4648 section 5)."""
    return secret.replace("+", "-").replace("/", "_").rstrip("=")
