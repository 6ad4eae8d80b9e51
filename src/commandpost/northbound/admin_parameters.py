"""What the operator's calls take: one record per call, checked before anything is done.

Not here: what the calls do (admin).
"""

from typing import Annotated, Final

import msgspec

from commandpost.domain.command import DeliveryPolicy
from commandpost.domain.device import DeviceSecurity, ImeiRule, KeyKind
from commandpost.services.product_keys import OVERLAP_S_MAX

LIST_MAX: Final = 100  # rows of one answer; a line of the socket stays far below its bound

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Text = Annotated[str, msgspec.Meta(max_length=2_048)]
_Key = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,128}$")]
_PageNumber = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_RowCount = Annotated[int, msgspec.Meta(ge=1, le=LIST_MAX)]


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that takes nothing."""


class CreateProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`product.create`."""

    name: _Name
    product_id: _Name | None = None
    master_key: _Key | None = None
    auto_discover: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None
    device_security: DeviceSecurity | None = None
    bootstrap_uri: _Text | None = None
    bootstrap_secure_uri: _Text | None = None


class OfProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key.show`, and what others begin with: the product, needed where there are several."""

    product_id: _Name | None = None


class ChangeProduct(OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`product.set`: what is None stays."""

    name: _Name | None = None
    auto_discover: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None
    device_security: DeviceSecurity | None = None
    bootstrap_uri: _Text | None = None
    bootstrap_secure_uri: _Text | None = None


class RotateKey(OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key.rotate`."""

    kind: KeyKind
    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=OVERLAP_S_MAX)] = 0


class AddDevice(OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`device.add`."""

    imei: _Name
    imsi: _Text = ""
    title: _Text = ""
    description: _Text = ""
    tags: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=64)] = ()
    auto_observe: bool = True
    auth_code: _Name | None = None
    psk: _Name | None = None
    psk_hex: _Name | None = None
    psk_identity: _Name | None = None


class ListDevices(OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`device.list`."""

    key_words: _Text = ""
    online: bool | None = None
    page: _PageNumber = 1
    limit: _RowCount = LIST_MAX


class OneDevice(OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`device.show`, `device.remove`."""

    device: _Name


class ListCommands(OfProduct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command.list`."""

    device: _Name | None = None
    before_seq: _Name | None = None
    limit: _RowCount = LIST_MAX


class OneCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command.show`, `command.cancel`."""

    command_id: _Name
