"""`/mqtt`: publishing, and who has subscribed what."""

import pytest

from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.topic import TopicMessage
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House


def test_a_message_goes_out_with_qos_0() -> None:
    """The body unchanged, to the caller's product."""
    house = House()

    assert house.ask("POST", "/mqtt?topic=a/b c", b"\x00\xff").body == b'{"errno":0,"error":"succ"}'

    assert house.topics.published == [(ProductId(1), TopicMessage(topic="a/b c", payload=b"\x00\xff", qos=0))]


@pytest.mark.parametrize(
    ("target", "body", "answer"),
    [
        ("/mqtt", b"x", (7, "parameter required: topic")),
        ("/mqtt?topic=", b"x", (7, "parameter required: topic")),
        ("/mqtt?topic=t", b"", (9, "entity data required: 1 to 65535 bytes of any kind")),
        (
            "/mqtt?topic=t",
            b"x" * 65_536,
            (5, "request entity too large: body has 65536 bytes: at most 65535 is allowed"),
        ),
    ],
)
def test_what_is_not_published(target: str, body: bytes, answer: tuple[int, str]) -> None:
    """Missing topic, missing body, too large."""
    house = House()

    assert house.envelope("POST", target, body) == {"errno": answer[0], "error": answer[1]}
    assert house.topics.published == []


@pytest.mark.parametrize("topic", ["a%FFb", "%D6%D0"])
def test_a_topic_that_is_no_utf_8_is_no_topic(topic: str) -> None:
    """It is not published under another name."""
    house = House()

    answer = house.envelope("POST", f"/mqtt?topic={topic}", b"x")

    assert answer["errno"] == 6
    assert answer["error"].startswith("invalid parameter: topic is ")
    assert answer["error"].endswith("text in UTF-8 is allowed")
    assert house.topics.published == []


def test_a_topic_that_cannot_be_published_to() -> None:
    """The broker knows which."""
    house = House()
    house.topics.failure = Invalid("topic", "$dp", "a topic without wildcards that does not begin with $")

    answer = house.envelope("POST", "/mqtt?topic=$dp", b"x")

    assert answer["errno"] == 6
    assert answer["error"].startswith("invalid parameter: topic is '$dp'")


def test_topics_and_their_devices() -> None:
    """Ids as numbers here, as the sample has them."""
    house = House()
    house.topics.subscriptions[DeviceId(7)] = ("news",)

    assert house.envelope("GET", "/mqtt/topic")["data"] == ["a/+", "news"]
    assert house.envelope("GET", "/mqtt/topic_device?topic=news&page=2&per_page=1")["data"] == {
        "per_page": 1,
        "devices": [7],
        "total_count": 2,
        "page": 2,
    }
    assert house.envelope("GET", "/mqtt/topic_device?topic=a/%2b")["data"]["devices"] == [int(DEVICE_ID)]
    assert house.envelope("GET", f"/mqtt/device_topic/{DEVICE_ID}")["data"] == ["a/+", "news"]


@pytest.mark.parametrize(
    ("target", "errno"),
    [
        ("/mqtt/topic_device", 7),
        ("/mqtt/topic_device?topic=x&page=0", 6),
        ("/mqtt/topic_device?topic=x&per_page=1001", 6),
        (f"/mqtt/topic_device?topic={'x' * 1025}", 6),
        ("/mqtt/device_topic/999", 8),
        ("/mqtt/device_topic/x", 8),
        (f"/mqtt/device_topic/{OTHER_PRODUCTS_DEVICE_ID}", 8),
    ],
)
def test_questions_that_are_refused(target: str, errno: int) -> None:
    """Missing, out of range, unknown."""
    assert House().envelope("GET", target)["errno"] == errno
