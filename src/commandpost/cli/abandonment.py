"""What goes with a lost sealing key, for people and for scripts.

Not here: how it goes (app/key_loss).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from commandpost.app import Abandonment

_NAMES: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("product_key", "sealed"): (
        "product_keys",
        "keys of products: new ones take their place, told by `commandpost key show`",
    ),
    ("retiring_key", "sealed"): ("replaced_keys", "replaced keys of products that were good for a while yet: void"),
    ("device_key", "sealed"): (
        "device_level_keys",
        "device-level keys: new ones take their place, title and permissions stay; `GET /keys` shows them, and a "
        "device that registered itself gets its own by registering again",
    ),
    ("device", "sealed_psk"): (
        "access_keys",
        "access keys of devices: gone, and nobody comes in over DTLS without; set them with `PUT /nbiot/device/accpsk`",
    ),
    ("device", "sealed_bootstrap_psk"): (
        "bootstrap_keys",
        "bootstrap keys of devices: gone; set them with `PUT /nbiot/device/psk`",
    ),
    ("device", "sealed_auth_code"): (
        "auth_codes",
        "auth codes of devices: none is right any more, so that nobody comes in without; set them with `auth` in "
        "`PUT /devices/{id}`",
    ),
    ("subscription", "sealed_token"): (
        "push_tokens",
        "tokens of push receivers: new ones take their place, told once; give them to the receivers",
    ),
    ("subscription", "sealed_aes_key"): (
        "push_aes_keys",
        "AES keys of push receivers: new ones take their place, told once; give them to the receivers",
    ),
    ("dtls_association", "sealed_state"): (
        "dtls_associations",
        "DTLS associations: gone; devices shake hands again",
    ),
}
"""Of each kind of secret: what scripts call it, and what becomes of it."""
_KINDS: Final = {"master": "master_key", "access": "access_key", "register": "register_code"}


def abandonment_to_json(abandonment: Abandonment) -> dict[str, object]:
    """Give it as JSON."""
    loss = abandonment.loss
    return {
        "done": abandonment.is_done,
        "key_file": _text_or_none(abandonment.key_file),
        "kept_aside": _text_or_none(abandonment.kept_aside),
        "readable": sum(loss.opened),
        "lost": {name: loss.lost.get(place, 0) for place, (name, _) in _NAMES.items()},
        "products": [
            {"product_id": str(product_id), **{_KINDS[kind]: text for kind, text in keys.items()}}
            for product_id, keys in abandonment.product_keys.items()
        ],
        "subscriptions": [
            {
                "id": str(each.subscription_id),
                "product_id": str(each.product_id),
                "url": each.url,
                "token": each.token,
                "aes_key": each.aes_key,
            }
            for each in abandonment.receivers
        ],
    }


def describe_abandonment(abandonment: Abandonment) -> Iterator[str]:
    """Say it in lines."""
    loss = abandonment.loss
    lost = sum(loss.lost.values())
    if not lost:
        end = "is finished now" if abandonment.is_done else "is finished by `--yes`, or by the next start"
        yield f"All {loss.total} sealed values can be read. The change of keys that has begun {end}."
    else:
        yield f"{lost} of {loss.total} sealed values open with no key there is:"
        yield ""
        for place, count in loss.lost.items():
            yield f"{count:>8}  {_NAMES[place][1]}"
        yield ""
        yield "Devices, commands, history and datapoints stay."
    if not abandonment.is_done:
        if lost:
            yield "Nothing was changed. A key that turns up later will open nothing of this: copy the data directory,"
            yield "and if no copy of the key is left, do it with `--yes`."
        return
    yield from _describe_new(abandonment)


def _describe_new(abandonment: Abandonment) -> Iterator[str]:
    yield f"Everything is under the key of {abandonment.key_file or 'secret_key (COMMANDPOST_SECRET_KEY)'} now."
    if abandonment.kept_aside is not None:
        yield f"The key file that was there, and opened nothing, is {abandonment.kept_aside}."
    for product_id, keys in abandonment.product_keys.items():
        yield ""
        yield f"product {product_id}"
        for kind, text in keys.items():
            yield f"  {_KINDS[kind].replace('_', ' '):<13}  {text}"
    for each in abandonment.receivers:
        yield ""
        yield f"push receiver {each.subscription_id} of product {each.product_id}, {each.url}; told this once"
        for name, secret in (("token", each.token), ("AES key", each.aes_key)):
            if secret is not None:
                yield f"  {name:<13}  {secret}"


def _text_or_none(path: object) -> str | None:
    return None if path is None else str(path)
