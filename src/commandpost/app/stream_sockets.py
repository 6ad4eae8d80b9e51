"""The TCP sockets of MQTT and EDP: binding them, and accepting on them.

Here: addresses and listeners. Not here: who answers a connection (streams), the sockets of HTTP (http_server) and of
CoAP (coap_listeners).
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from commandpost.app.disk import CannotStart
from commandpost.app.listening import bind_fault, format_address
from commandpost.app.streams import Streams
from commandpost.config import ListenAddress, Settings
from commandpost.southbound.edp.peer import EdpPeer
from commandpost.southbound.mqtt.peer import MqttPeer
from commandpost.southbound.stream_server import StreamServer


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSockets:
    """Bound sockets by the flag that asked for them."""

    mqtt: Sequence[socket.socket]
    mqtts: Sequence[socket.socket]
    edp: Sequence[socket.socket]
    tls: ssl.SSLContext | None

    def addresses(self) -> dict[str, list[str]]:
        """Give where is listened, by flag; flags that were not given are left out."""
        found = {"mqtt": self.mqtt, "mqtts": self.mqtts, "edp": self.edp}
        return {
            name: [format_address(each.getsockname()) for each in sockets] for name, sockets in found.items() if sockets
        }

    async def serve(self, streams: Streams) -> list[StreamServer]:
        """Begin to accept."""
        return [
            await StreamServer.start(self.mqtt, lambda: MqttPeer(streams.mqtt)),
            await StreamServer.start(self.mqtts, lambda: MqttPeer(streams.mqtt), tls=self.tls),
            await StreamServer.start(self.edp, lambda: EdpPeer(streams.edp)),
        ]


def bind_streams(settings: Settings, stack: ExitStack, *, tls: ssl.SSLContext | None) -> StreamSockets:
    """Bind every socket the settings ask for.

    Raises:
        CannotStart: one cannot be bound.
    """
    return StreamSockets(
        mqtt=_bind("mqtt", settings.mqtt.listen, stack),
        mqtts=_bind("mqtts", settings.mqtt.tls_listen, stack),
        edp=_bind("edp", settings.edp.listen, stack),
        tls=tls,
    )


def _bind(name: str, addresses: Sequence[ListenAddress], stack: ExitStack) -> list[socket.socket]:
    sockets = []
    for address in addresses:
        try:
            bound = StreamServer.bind(address.host, address.port)
        except OSError as error:
            raise CannotStart(bind_fault(name, address, error)) from error
        stack.callback(bound.close)
        sockets.append(bound)
    return sockets
