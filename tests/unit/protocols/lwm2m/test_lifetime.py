"""How long a registration lasts."""

import pytest

from commandpost.protocols.lwm2m.lifetime import clamp_lifetime, expires_at_ms, renewal_delay_s


@pytest.mark.parametrize(("asked_s", "given_s"), [(1, 5), (5, 5), (86400, 86400)])
def test_short_lifetime_is_lengthened(asked_s: int, given_s: int) -> None:
    assert clamp_lifetime(asked_s) == given_s


def test_registration_ends_after_its_lifetime_and_the_grace() -> None:
    assert expires_at_ms(1_000, 300) == 301_000
    assert expires_at_ms(1_000, 300, grace_s=60) == 361_000


@pytest.mark.parametrize(("lifetime_s", "delay_s"), [(86400, 86307.0), (94, 1.0), (93, 46.5), (5, 2.5)])
def test_device_renews_as_the_sdk_does(lifetime_s: int, delay_s: float) -> None:
    assert renewal_delay_s(lifetime_s) == delay_s
