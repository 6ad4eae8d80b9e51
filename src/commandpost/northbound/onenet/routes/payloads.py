"""The routes of `/cmds` and `/mqtt`. Source: northbound reference 6."""

from collections.abc import Sequence
from typing import Final

from commandpost.domain.command import PAYLOAD_BYTES_MAX
from commandpost.northbound.onenet import payloads, topics
from commandpost.northbound.onenet.dialect import CallRoute, Subject
from commandpost.northbound.onenet.further_parameters import (
    HISTORY_CURSOR,
    HISTORY_DURATION,
    HISTORY_LIMIT,
    PAYLOAD_KIND,
    QOS,
    STATUS,
    TOPIC,
    TOPIC_FILTER,
    TOPIC_PER_PAGE,
    WAIT,
)
from commandpost.northbound.onenet.parameters import DEVICE_ID, END, HISTORY_PAGE, PAGE, PER_PAGE, SORT, START
from commandpost.northbound.onenet.route_samples import PAYLOAD_HISTORY, UUID
from commandpost.northbound.onenet.routes.shapes import ARRAY, OBJECT, general, raw_body

_PAYLOADS: Final = "Payloads"
_TOPICS: Final = "MQTT topics"


def payload_routes() -> Sequence[CallRoute]:
    """Payloads for a device that is connected over MQTT or EDP, and what became of them."""
    return (
        general(
            "POST",
            "/cmds",
            payloads.submit,
            name="sendPayload",
            tag=_PAYLOADS,
            summary="Send a payload to a device",
            description="The body goes to the device unchanged, whatever its Content-Type. The device has to be of "
            "protocol MQTT or EDP.",
            parameters=(DEVICE_ID, QOS, WAIT, PAYLOAD_KIND),
            body=raw_body("ping", bytes_max=PAYLOAD_BYTES_MAX),
            data_schema=OBJECT,
            data={"cmd_uuid": UUID},
            subject=Subject.DEVICE_OF_QUERY,
        ),
        general(
            "GET",
            "/cmds/history/{device_id}",
            payloads.list_history,
            name="listPayloads",
            tag=_PAYLOADS,
            summary="List the payloads of a device",
            description="`body` and `confirm_body` are hex text. `cursor` is there when more follows. Bodies of one "
            f"answer have {payloads.HISTORY_BODIES_BYTES_MAX} bytes at most, hex not counted: items beyond have "
            "neither, and show them on a page with fewer (`per_page`).",
            parameters=(
                START,
                END,
                HISTORY_DURATION,
                HISTORY_PAGE,
                PER_PAGE,
                HISTORY_LIMIT,
                HISTORY_CURSOR,
                SORT,
                STATUS,
            ),
            data_schema=OBJECT,
            data=PAYLOAD_HISTORY,
            subject=Subject.DEVICE_OF_PATH,
        ),
        general(
            "GET",
            "/cmds/{uuid}",
            payloads.show_status,
            name="showPayload",
            tag=_PAYLOADS,
            summary="Show how a payload stands",
            description="`status`: 1 created, 2 sent, 3 failed, 4 answered, 5 not answered in time, 6 answer too long.",
            data_schema=OBJECT,
            data={"status": 4, "desc": "Command Response Received"},
            subject=Subject.FOUND_BY_HANDLER,
        ),
        general(
            "GET",
            "/cmds/{uuid}/resp",
            payloads.show_answer,
            name="showPayloadAnswer",
            tag=_PAYLOADS,
            summary="Give the device's answer",
            description="Until there is one, in status 4, it is `errno` 8.",
            subject=Subject.FOUND_BY_HANDLER,
            answers_with_bytes=True,
        ),
    )


def topic_routes() -> Sequence[CallRoute]:
    """Messages on the topics of a product."""
    return (
        general(
            "POST",
            "/mqtt",
            topics.publish,
            name="publish",
            tag=_TOPICS,
            summary="Publish to every device that has subscribed a topic",
            description="With QoS 0, to the devices of the product that are connected.",
            parameters=(TOPIC,),
            body=raw_body("hello", bytes_max=PAYLOAD_BYTES_MAX),
        ),
        general(
            "GET",
            "/mqtt/topic",
            topics.list_topics,
            name="listTopics",
            tag=_TOPICS,
            summary="List the topics that devices have subscribed",
            description=f"At most the first {topics.TOPICS_SHOWN_MAX}.",
            data_schema=ARRAY,
            data=["news"],
        ),
        general(
            "GET",
            "/mqtt/topic_device",
            topics.list_subscribers,
            name="listSubscribers",
            tag=_TOPICS,
            summary="List the devices that have subscribed a topic",
            parameters=(TOPIC_FILTER, PAGE, TOPIC_PER_PAGE),
            data_schema=OBJECT,
            data={"per_page": 30, "devices": [1000001], "total_count": 1, "page": 1},
        ),
        general(
            "GET",
            "/mqtt/device_topic/{device_id}",
            topics.list_subscriptions,
            name="listSubscriptions",
            tag=_TOPICS,
            summary="List the topics a device has subscribed",
            data_schema=ARRAY,
            data=["news"],
        ),
    )
