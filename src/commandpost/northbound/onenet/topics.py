"""Messages on MQTT topics, and who has subscribed which. Source: northbound reference 6.6."""

from typing import Final

from commandpost.domain.command import PAYLOAD_BYTES_MAX
from commandpost.domain.topic import TopicMessage
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import succeed, succeed_with
from commandpost.northbound.onenet.further_parameters import TOPIC, TOPIC_FILTER, TOPIC_PER_PAGE
from commandpost.northbound.onenet.parameters import PAGE, PER_PAGE_DEFAULT

TOPICS_SHOWN_MAX: Final = 10_000  # the call has no pages; more would be nobody's list to read


async def publish(call: Call) -> ApiResponse:
    """`POST /mqtt`: to every device of the product that has subscribed the topic, with QoS 0."""
    topic = call.get(TOPIC)
    payload = call.raw_body(bytes_max=PAYLOAD_BYTES_MAX)
    await call.platform.topics.publish(call.product.id, TopicMessage(topic=topic, payload=payload, qos=0))
    return succeed()


async def list_topics(call: Call) -> ApiResponse:
    """`GET /mqtt/topic`."""
    topics = await call.platform.topics.list_topics(call.product.id)
    return succeed_with(list(topics[:TOPICS_SHOWN_MAX]))


async def list_subscribers(call: Call) -> ApiResponse:
    """`GET /mqtt/topic_device`."""
    topic, page = call.get(TOPIC_FILTER), call.find_or(PAGE, 1)
    per_page = call.find_or(TOPIC_PER_PAGE, PER_PAGE_DEFAULT)
    devices = await call.platform.topics.list_subscribers(call.product.id, topic)
    shown = devices[(page - 1) * per_page : page * per_page]
    return succeed_with({"per_page": per_page, "devices": list(shown), "total_count": len(devices), "page": page})


async def list_subscriptions(call: Call) -> ApiResponse:
    """`GET /mqtt/device_topic/{device_id}`."""
    device = await call.platform.devices.find(call.product, call.device_id())
    return succeed_with(list(await call.platform.topics.list_subscriptions(call.product.id, device.id)))
