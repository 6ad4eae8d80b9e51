"""The DTLS link on a virtual loop: who is where, what is sent where, and what ends in silence."""

import asyncio

from commandpost.domain.device import KeyLabel
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import PeerIdentity, Remote
from commandpost.southbound.dtls_claims import LOOKUPS_MAX
from commandpost.southbound.dtls_peers import ASSOCIATIONS_PER_DEVICE_MAX
from commandpost.southbound.remote import format_remote, is_association
from tests.unit.southbound.dtls_bench import House

SOON_S = 0.5


def test_a_payload_comes_under_a_name_that_says_who_proved_what() -> None:
    """And an answer finds the device by that name."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device(7)
        device.say(b"hello")
        await asyncio.sleep(SOON_S)

        ((remote, payload),) = house.heard
        assert payload == b"hello"
        assert is_association(remote)
        assert house.link.listener == remote[0]
        assert house.peers.identify(remote) == PeerIdentity(device_id=DeviceId(7), label=KeyLabel.ACCESS)
        assert house.peers.describe(remote) == f"coaps://{format_remote(device.link.address)}"
        house.link.send(remote, b"welcome")
        await asyncio.sleep(SOON_S)
        assert device.heard == [b"welcome"]

    house.run(scenario())


def test_the_same_payload_is_another_record_each_time() -> None:
    """A retransmission of CoAP is encrypted anew."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        remote = house.heard[0][0]
        for _ in range(2):
            house.link.send(remote, b"again")
        await asyncio.sleep(SOON_S)

        assert device.heard == [b"again", b"again"]  # the same record twice would have been a replay

    house.run(scenario())


def test_with_a_connection_id_the_name_stays_when_the_device_moves() -> None:
    """And what is sent goes where it is now."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"one")
        await asyncio.sleep(SOON_S)
        device.session.rebind()
        device.say(b"two")
        await asyncio.sleep(SOON_S)

        (first, _), (second, _) = house.heard
        assert first == second
        house.link.send(first, b"there you are")
        await asyncio.sleep(SOON_S)
        assert device.heard == [b"there you are"]
        assert device.session.handshakes == 1

    house.run(scenario())


def test_without_one_a_device_that_moves_comes_under_a_new_name() -> None:
    """The old name leads nowhere it is: silence, not an error."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device(has_connection_id=False)
        device.say(b"one")
        await asyncio.sleep(SOON_S)
        device.session.rebind()
        device.say(b"two")
        await asyncio.sleep(SOON_S)

        (first, _), (second, _) = house.heard
        assert first != second
        assert house.peers.identify(first) == house.peers.identify(second)
        house.link.send(first, b"lost")
        house.link.send(second, b"found")
        await asyncio.sleep(SOON_S)
        assert device.heard == [b"found"]

    house.run(scenario())


def test_what_is_sent_to_an_association_that_is_over_is_lost() -> None:
    """So an exchange with it ends as one with a device that is switched off."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"one")
        await asyncio.sleep(SOON_S)
        remote = house.heard[0][0]
        device.session.close()
        await asyncio.sleep(SOON_S)

        assert house.peers.identify(remote) is None
        house.link.send(remote, b"lost")
        house.link.send(Remote(b"\x80nobody.."), b"lost")
        assert house.link.sends_lost == 2
        assert house.events.count("dtls_closed") == 1

    house.run(scenario())


def test_a_wrong_key_opens_nothing_and_is_told_now_and_then() -> None:
    """The 1st, 2nd, 4th, … failure."""
    house = House()

    async def scenario() -> None:
        house.listen()
        for number in range(1, 6):
            house.device(number, key=b"wrong key").say(b"let me in")
        await asyncio.sleep(SOON_S)

        assert house.heard == []
        assert len(house.peers) == 0
        assert house.link.counters.handshakes_not_proven == 5
        assert [fields["times"] for name, fields in house.events.told if name == "dtls_refused"] == [1, 2, 4]

    house.run(scenario())


def test_while_the_store_is_gone_nobody_gets_in_and_nothing_breaks() -> None:
    """The device tries again, and by then the store is there."""
    house = House()

    async def scenario() -> None:
        house.listen()
        house.keys.is_broken = True
        device = house.device()
        device.say(b"one")
        await asyncio.sleep(SOON_S)
        assert house.heard == []

        house.keys.is_broken = False
        device.say(b"two")
        await asyncio.sleep(SOON_S)
        assert [payload for _, payload in house.heard] == [b"two"]
        assert house.events.count("dtls_keys_unavailable") == 1

    house.run(scenario())


def test_many_handshakes_at_once_ask_the_store_a_few_at_a_time_and_all_get_in() -> None:
    """A fleet that comes back."""
    house = House()
    fleet = 3 * LOOKUPS_MAX

    async def scenario() -> None:
        house.listen()
        house.keys.gate.clear()
        for number in range(1, fleet + 1):
            house.device(number).say(b"hello")
        await asyncio.sleep(SOON_S)
        assert len(house.keys.asked) == LOOKUPS_MAX
        house.keys.gate.set()
        await asyncio.sleep(SOON_S)

        assert len(house.heard) == fleet
        assert house.keys.open_max == LOOKUPS_MAX

    house.run(scenario())


def test_keys_that_change_while_they_are_asked_for_are_asked_for_again() -> None:
    """The old ones prove nothing any more, though they were read before the change."""
    house = House()

    async def scenario() -> None:
        house.listen()
        house.keys.gate.clear()
        house.device(1).say(b"with the old key")
        house.device(2, key=b"the new key").say(b"with the new key")
        await asyncio.sleep(SOON_S)
        house.keys.key = b"the new key"
        house.peers.keys_changed(DeviceId(1))
        house.keys.gate.set()
        await asyncio.sleep(SOON_S)

        assert [payload for _, payload in house.heard] == [b"with the new key"]

    house.run(scenario())


def test_changed_keys_end_what_was_proved_with_the_old_ones() -> None:
    """At once: the name proves nothing from then on. Other devices go on."""
    house = House()

    async def scenario() -> None:
        house.listen()
        changed, other = house.device(1), house.device(2)
        changed.say(b"one")
        other.say(b"two")
        await asyncio.sleep(SOON_S)
        names = {payload: remote for remote, payload in house.heard}

        house.peers.keys_changed(DeviceId(1))

        assert house.peers.identify(names[b"one"]) is None
        assert house.peers.identify(names[b"two"]) is not None
        await asyncio.sleep(SOON_S)
        assert changed.session.failures == 1  # it was told

    house.run(scenario())


def test_a_device_has_few_associations_and_the_oldest_goes() -> None:
    """Whoever shakes hands all day takes no room from others."""
    house = House()

    async def scenario() -> None:
        house.listen()
        for number in range(ASSOCIATIONS_PER_DEVICE_MAX + 2):
            house.device(1).say(b"%d" % number)
            await asyncio.sleep(SOON_S)

        names = [remote for remote, _ in house.heard]
        assert len(house.peers) == ASSOCIATIONS_PER_DEVICE_MAX
        assert [house.peers.identify(name) is not None for name in names] == [False] * 2 + [True] * 4

    house.run(scenario())


def test_a_receiver_that_fails_keeps_nobody_else_waiting() -> None:
    """Its fault goes to the loop; the next payload is delivered without another datagram."""
    house = House()
    failures: list[object] = []

    def fail_once(remote: Remote, payload: bytes) -> None:
        if not failures:
            failures.append(payload)
            raise RuntimeError("a handler's fault")
        house.heard.append((remote, payload))

    async def scenario() -> None:
        house.loop.set_exception_handler(lambda _loop, context: None)
        house.link.listen(fail_once)
        device = house.device()
        device.say(b"one")
        device.say(b"two")
        await asyncio.sleep(SOON_S)

        assert failures == [b"one"]
        assert [payload for _, payload in house.heard] == [b"two"]

    house.run(scenario())
