"""Where devices are heard over UDP, with DTLS and without: bound sockets, and the one link a platform gets of them."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from commandpost.app.disk import CannotStart
from commandpost.app.listening import bind_fault, format_address
from commandpost.app.part_settings import dtls_limits, dtls_parameters
from commandpost.config import ListenAddress, Settings
from commandpost.domain.ports import Clock, EventSink
from commandpost.services.dtls_associations import DtlsAssociations
from commandpost.southbound.coap_dtls import CoapDtlsLink
from commandpost.southbound.coap_links import CoapLinks
from commandpost.southbound.coap_udp import CoapUdpLink
from commandpost.southbound.dtls_claims import KeysFor
from commandpost.southbound.dtls_peers import DtlsPeers
from commandpost.southbound.dtls_saving import restore_associations


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapListeners:
    """The listeners of one server."""

    link: CoapLinks
    peers: DtlsPeers
    plain: Sequence[CoapUdpLink]
    secure: Sequence[CoapDtlsLink]
    secure_sockets: Sequence[CoapUdpLink]

    def addresses(self) -> dict[str, list[str]]:
        """Give where is listened, by flag; flags that were not given are left out."""
        found = {"coap": self.plain, "coaps": self.secure_sockets}
        return {
            name: [format_address(each.local_address) for each in sockets] for name, sockets in found.items() if sockets
        }

    async def prepare(
        self, *, keys_for: KeysFor, associations: DtlsAssociations, is_kept: bool, events: EventSink
    ) -> None:
        """Say who knows the keys, and bring back what an earlier run left, before anything is heard.

        Args:
            is_kept: whether associations outlive the process; where they do not, those of earlier runs are forgotten.
        """
        for each in self.secure:
            each.prepare(keys_for=keys_for, store=associations if is_kept else None)
        if not is_kept:
            await associations.forget_all()
        elif self.secure:
            await restore_associations(associations, {each.listener: each for each in self.secure}, events)

    def stop(self) -> None:
        """Hear no more over DTLS; devices are told unless their associations are kept."""
        for each in self.secure:
            each.stop()


def bind_coap(settings: Settings, stack: ExitStack, *, clock: Clock, events: EventSink) -> CoapListeners:
    """Bind every socket the settings ask for; the stack closes them.

    Raises:
        CannotStart: one cannot be bound.
    """
    peers = DtlsPeers()
    plain = _bind("coap", settings.coap.listen, settings, stack, events)
    sockets = _bind("coaps", settings.dtls.listen, settings, stack, events)
    secure = [
        CoapDtlsLink(
            link=each,
            listener=each.listener,
            parameters=dtls_parameters(settings),
            limits=dtls_limits(settings),
            peers=peers,
            clock=clock,
            scheduler=asyncio.get_running_loop(),
            events=events,
            random_bytes=os.urandom,
        )
        for each in sockets
    ]
    link = CoapLinks([*plain, *secure])
    stack.callback(link.close)
    return CoapListeners(link=link, peers=peers, plain=plain, secure=secure, secure_sockets=sockets)


def _bind(
    name: str, addresses: Sequence[ListenAddress], settings: Settings, stack: ExitStack, events: EventSink
) -> list[CoapUdpLink]:
    links: list[CoapUdpLink] = []
    for number, address in enumerate(addresses):
        try:
            link = CoapUdpLink.bind(
                loop=asyncio.get_running_loop(),
                host=address.host,
                port=address.port,
                events=events,
                listener=number,
                receive_buffer_bytes=settings.coap.receive_buffer_bytes,
            )
        except OSError as error:
            raise CannotStart(bind_fault(name, address, error)) from error
        stack.callback(link.close)
        links.append(link)
    return links
