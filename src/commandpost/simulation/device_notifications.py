"""What a simulated LwM2M device notifies by itself: when the next is due, and how many are on their way.

Not here: who observes what (object_server), what is measured (objects), whether its radio is on (lwm2m_device).

Source: OMA LwM2M 1.1 core section 6.4; southbound reference 1.7.
"""

from random import Random

from commandpost.simulation.device_channel import DeviceChannel
from commandpost.simulation.device_settings import DeviceCounters, DeviceSettings
from commandpost.simulation.object_server import ObjectServer
from commandpost.simulation.objects import ObjectTree


class DeviceNotifications:
    """The notifications of one device."""

    __slots__ = ("_channel", "_counters", "_objects", "_random", "_settings", "_tree", "_undelivered", "due_at")

    def __init__(
        self,
        *,
        settings: DeviceSettings,
        channel: DeviceChannel,
        objects: ObjectServer,
        tree: ObjectTree,
        random: Random,
        counters: DeviceCounters,
    ) -> None:
        """Begin with none on its way; the first is due at once."""
        self._settings = settings
        self._channel = channel
        self._objects = objects
        self._tree = tree
        self._random = random
        self._counters = counters
        self._undelivered = 0
        self.due_at = 0.0
        """When the next is due, if they are regular."""

    @property
    def are_regular(self) -> bool:
        """Whether the device notifies by itself, and somebody observes."""
        return bool(self._settings.notify_s) and bool(self._objects.observations)

    @property
    def are_delivered(self) -> bool:
        """Whether none waits for being confirmed."""
        return self._undelivered == 0

    def send(self) -> None:
        """Measure, and notify everything that is observed."""
        now = self._channel.now()
        self.due_at = now + (self._settings.notify_s or 0.0)
        self._tree.measure(self._random)
        for observation, content in self._objects.notifications():
            self._counters.notifications += 1
            self._undelivered += self._settings.confirms_notifications
            self._channel.endpoint.send_message(
                self._channel.server,
                code=content.code,
                token=observation.coap_token,
                options=content.options,
                payload=content.payload,
                confirmable=self._settings.confirms_notifications,
                now=now,
                delivery_id=observation.number,
            )

    def ended(self) -> None:
        """One was confirmed, refused or given up."""
        self._undelivered = max(0, self._undelivered - 1)

    def forget(self) -> None:
        """The device has restarted."""
        self._undelivered = 0
