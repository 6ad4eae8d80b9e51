"""What a simulated device asks its server: bootstrap, Register, Update, De-register, one at a time.

Here: the requests, and which of them is open. Not here: when it asks, and what it makes of the answer (lwm2m_device).

Source: OMA LwM2M 1.1 core section 6; southbound reference 1.3 to 1.5.
"""

from enum import Enum
from random import Random
from typing import Final

from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.lwm2m.bootstrap import format_bootstrap_request
from commandpost.protocols.lwm2m.registration import format_deregister, format_register, format_update
from commandpost.simulation.device_channel import DeviceChannel
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.objects import ObjectTree
from commandpost.simulation.registration_path import below_rd

EXCHANGE_S: Final = 93.0  # RFC 7252 section 4.8.2: MAX_TRANSMIT_WAIT, the longest a device waits for its server


class Purpose(Enum):
    """What a request is for."""

    BOOTSTRAP = "bootstrap"
    REGISTER = "register"
    UPDATE = "update"
    DEREGISTER = "deregister"


class OwnExchange:
    """The exchange that a device has with its server by its own wish, or none."""

    __slots__ = ("_channel", "_number", "_purpose", "_random", "_settings", "_tree")

    def __init__(self, *, settings: DeviceSettings, channel: DeviceChannel, tree: ObjectTree, random: Random) -> None:
        """Begin without one."""
        self._settings = settings
        self._channel = channel
        self._tree = tree
        self._random = random
        self._purpose: Purpose | None = None
        self._number = 0

    @property
    def is_open(self) -> bool:
        """Whether a request waits for its answer."""
        return self._purpose is not None

    def bootstrap(self) -> None:
        """Ask for a bootstrap."""
        settings = self._settings
        request = format_bootstrap_request(
            settings.endpoint_name, auth_code=settings.auth_code, preferred_format=settings.preferred_format
        )
        self._send(Purpose.BOOTSTRAP, request)

    def register(self) -> None:
        """Send a Register with everything the device has."""
        settings = self._settings
        request = format_register(
            settings.endpoint_name,
            links=self._tree.links,
            lifetime_s=settings.lifetime_s,
            binding=settings.binding,
            auth_code=settings.auth_code,
        )
        self._send(Purpose.REGISTER, request)

    def update(self, location: str) -> None:
        """Send an Update of a registration."""
        settings = self._settings
        request = format_update(below_rd(location), lifetime_s=settings.lifetime_s, auth_code=settings.auth_code)
        self._send(Purpose.UPDATE, request)

    def deregister(self, location: str) -> None:
        """Send a De-register, in the place of whatever is open."""
        if self.is_open:
            self._channel.endpoint.cancel_exchange(self._number)
        self._send(Purpose.DEREGISTER, format_deregister(below_rd(location), auth_code=self._settings.auth_code))

    def take_end(self, exchange_id: int) -> Purpose | None:
        """Note that an exchange has ended; gives what it was for, None if it is not the open one."""
        if exchange_id != self._number:
            return None
        purpose, self._purpose = self._purpose, None
        return purpose

    def forget(self) -> None:
        """The device has restarted."""
        self._purpose = None

    def _send(self, purpose: Purpose, request: Request) -> None:
        now = self._channel.now()
        self._number += 1
        self._purpose = purpose
        self._channel.endpoint.send_request(
            self._channel.server,
            request,
            exchange_id=self._number,
            token=self._random.getrandbits(32).to_bytes(4, "big"),
            deadline=now + EXCHANGE_S,
            now=now,
        )
