"""Numbers that stand for topic names on one MQTT 5 connection.

Source: MQTT 5.0 section 3.3.2.3.4.
"""

from dataclasses import replace

from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.properties import Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode


class TopicAliases:
    """The aliases a peer has set, at most as many as it was told."""

    __slots__ = ("_aliases_max", "_topics")

    def __init__(self, *, aliases_max: int) -> None:
        self._aliases_max = aliases_max
        self._topics: dict[int, str] = {}

    def resolve(self, topic: str, properties: Properties) -> tuple[str, Properties]:
        """Give topic and properties as they would be without an alias, which means nothing beyond the connection.

        Raises:
            PacketError: an alias out of range, or never set.
        """
        alias = properties.topic_alias
        if alias is None:
            return topic, properties
        if not 1 <= alias <= self._aliases_max:
            raise PacketError(
                f"topic alias {alias}, 1 to {self._aliases_max} are allowed", reason=ReasonCode.TOPIC_ALIAS_INVALID
            )
        if topic:
            self._topics[alias] = topic
        elif alias in self._topics:
            topic = self._topics[alias]
        else:
            raise PacketError(f"topic alias {alias} was not set", reason=ReasonCode.TOPIC_ALIAS_INVALID)
        return topic, replace(properties, topic_alias=None)
