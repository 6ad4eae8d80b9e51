"""A server on real sockets, from the first lock to the last write."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import uvicorn

from commandpost import __version__
from commandpost.app.assembly import Platform, build_platform
from commandpost.app.disk import CannotStart, commit_driver, open_disk
from commandpost.app.system import SystemClock
from commandpost.app.system_world import open_event_log, system_world
from commandpost.config import ListenAddress, Settings
from commandpost.domain.ports import EventSink
from commandpost.northbound.admin import AdminApi
from commandpost.northbound.admin_socket import AdminSocket
from commandpost.northbound.api import Api
from commandpost.services.products import CreatedProduct, Products
from commandpost.southbound.coap_udp import CoapUdpLink, CoapUdpLinks
from commandpost.stores.data_directory import DataDirectory
from commandpost.stores.errors import StoreBroken
from commandpost.stores.group_commit import GroupCommit

EXIT_OK: Final = 0
EXIT_STORE_BROKEN: Final = 1
# What stopping may take, piece by piece: less than the 5 s that SIGTERM promises.
HTTP_STOP_S: Final = 1
WRITER_STOP_S: Final = 1.5
HTTP_BACKLOG: Final = 2_048
HTTP_KEEP_ALIVE_S: Final = 75  # longer than the pause between two calls of a polling application
FIRST_PRODUCT_NAME: Final = "default"


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: `serve` decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@dataclass(slots=True, kw_only=True)
class _Ending:
    """Why and when a server ends."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    exit_code: int = EXIT_OK

    def break_off(self, _error: StoreBroken) -> None:
        """The store failed: nothing more can be promised."""
        self.exit_code = EXIT_STORE_BROKEN
        self.asked.set()


def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str], object],
    on_first_product: Callable[[CreatedProduct], object] | None = None,
) -> int:
    """Run a server until SIGTERM or SIGINT.

    Args:
        on_ready: gets the ready line, once everything is recovered and listening.
        on_first_product: hears of the product that the first start makes, with its keys; not called when the
            MasterKey was given in the settings.
    Returns:
        The exit code: 0 after a signal, 1 when the store failed.
    Raises:
        CannotStart, and what `open_disk` raises.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings, on_ready, on_first_product))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(
    settings: Settings,
    on_ready: Callable[[str], object],
    on_first_product: Callable[[CreatedProduct], object] | None,
) -> int:
    clock = SystemClock()
    events = open_event_log(settings, clock)
    ending = _Ending()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.asked.set)
    with ExitStack() as stack:
        disk = stack.enter_context(open_disk(settings, clock))
        links = _bind_coap(settings, events)
        stack.callback(links.close)
        http_sockets = _bind_http(settings, stack)
        writer = GroupCommit(
            commit_driver(settings, disk, clock),
            clock=clock,
            scheduler=loop,
            events=events,
            on_broken=ending.break_off,
            fsync_s=disk.fsync_s,
        )
        platform = build_platform(settings, system_world(disk, clock, writer, links, events))
        listeners = {
            "http": [_format_address(each.getsockname()) for each in http_sockets],
            "coap": [_format_address(each) for each in links.local_addresses],
        }
        admin = _admin_socket(platform, disk.directory, listeners, events)
        await _ensure_first_product(settings, platform.products, events, on_first_product)
        await platform.start()
        await admin.open()
        http = _http_server(settings, platform.api)
        http_task = loop.create_task(http.serve(sockets=list(http_sockets)), name="http")
        try:
            await _wait_until_serving(http, http_task)
            gc.collect()
            gc.freeze()  # what was built so far stays: no need to walk it again and again
            on_ready(_ready_line(listeners))
            await _wait_for_end(ending, http_task)
        finally:
            http.should_exit = True
            await admin.close()
            await asyncio.wait([http_task], timeout=HTTP_STOP_S + 0.5)
            await platform.stop()
            is_drained = await writer.close(timeout_s=WRITER_STOP_S)
            if not is_drained and ending.exit_code == EXIT_OK:
                ending.exit_code = EXIT_STORE_BROKEN
    return ending.exit_code


def _bind_coap(settings: Settings, events: EventSink) -> CoapUdpLinks:
    links: list[CoapUdpLink] = []
    for number, address in enumerate(settings.coap.listen):
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
            for each in links:
                each.close()
            raise CannotStart(_bind_fault("coap", address, error)) from error
        links.append(link)
    return CoapUdpLinks(links)


def _bind_http(settings: Settings, stack: ExitStack) -> Sequence[socket.socket]:
    sockets: list[socket.socket] = []
    for address in settings.http.listen:
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            bound = socket.create_server((address.host, address.port), family=family, backlog=HTTP_BACKLOG)
        except OSError as error:
            raise CannotStart(_bind_fault("http", address, error)) from error
        stack.callback(bound.close)
        bound.setblocking(False)
        sockets.append(bound)
    return sockets


def _bind_fault(name: str, address: ListenAddress, error: OSError) -> str:
    return f"--{name} {address} cannot be bound: {error.strerror or error}"


def _format_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    return str(ListenAddress(host=address[0], port=address[1]))


def _ready_line(listeners: Mapping[str, Sequence[str]]) -> str:
    return " ".join(["ready", *(f"{name}={each}" for name, addresses in listeners.items() for each in addresses)])


def _admin_socket(
    platform: Platform, directory: DataDirectory, listeners: Mapping[str, Sequence[str]], events: EventSink
) -> AdminSocket:
    status = {
        "version": __version__,
        "pid": os.getpid(),
        "listeners": {name: list(listeners[name]) for name in listeners},
    }
    api = AdminApi(
        products=platform.products, devices=platform.devices, commands=platform.commands, status=lambda: status
    )
    return AdminSocket(api=api, data_dir=directory.path, events=events)


async def _ensure_first_product(
    settings: Settings,
    products: Products,
    events: EventSink,
    on_first_product: Callable[[CreatedProduct], object] | None,
) -> None:
    existing = await products.list()
    if not existing:
        created = await products.create(name=FIRST_PRODUCT_NAME, master_key=settings.master_key)
        if settings.master_key is None and on_first_product is not None:
            on_first_product(created)
    elif settings.master_key is not None:
        keys = await products.keys(existing[0].id)
        if keys.master_key != settings.master_key:
            # Not set anew: a key that was rotated must not come back with the next start.
            events.emit("master_key_setting_unused", product_id=existing[0].id, reason="the product has a key already")


def _http_server(settings: Settings, api: Api) -> _HttpServer:
    return _HttpServer(
        uvicorn.Config(
            app=api,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=HTTP_BACKLOG,
            limit_concurrency=settings.http.connections_max,
            timeout_keep_alive=HTTP_KEEP_ALIVE_S,
            timeout_graceful_shutdown=HTTP_STOP_S,
        )
    )


async def _wait_until_serving(http: _HttpServer, http_task: "asyncio.Task[None]") -> None:
    while not http.started:
        if http_task.done():
            http_task.result()
            raise CannotStart("the HTTP server ended before it began")
        await asyncio.sleep(0.005)


async def _wait_for_end(ending: _Ending, http_task: "asyncio.Task[None]") -> None:
    asked = asyncio.ensure_future(ending.asked.wait())
    try:
        await asyncio.wait([asked, http_task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    if http_task.done():
        http_task.result()
