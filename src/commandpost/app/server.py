"""A server on real sockets, from the first lock to the last write."""

import asyncio
import gc
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from commandpost import __version__
from commandpost.app.assembly import Platform, build_platform
from commandpost.app.coap_listeners import bind_coap
from commandpost.app.disk import CannotStart, commit_driver, open_disk
from commandpost.app.http_server import HTTP_STOP_S, HttpServer, bind_http, build_http_server
from commandpost.app.part_settings import keeps_associations
from commandpost.app.stop_budget import StopBudget
from commandpost.app.stream_sockets import bind_streams
from commandpost.app.system import SystemClock
from commandpost.app.system_world import open_event_log, system_world
from commandpost.app.tls import TlsIdentity, load_tls_identity
from commandpost.config import Settings
from commandpost.domain.ports import Clock, EventSink
from commandpost.northbound.admin import AdminApi
from commandpost.northbound.admin_socket import AdminSocket
from commandpost.services.products import CreatedProduct, Products
from commandpost.stores.commit_drivers import STOP_MAX_S
from commandpost.stores.data_directory import DataDirectory
from commandpost.stores.errors import StoreBroken
from commandpost.stores.group_commit import GroupCommit

EXIT_OK: Final = 0
EXIT_STORE_BROKEN: Final = 1
STOP_S: Final = 4.75  # SIGTERM promises 5 s: a quarter of a second for what has no bound, such as closing files
WRITER_STOP_S: Final = 1.5  # set aside of it for the last writes, besides what its thread is waited for
CALLERS_WAIT_S: Final = HTTP_STOP_S / 2  # for answers of devices to instant commands; then callers get theirs
FIRST_PRODUCT_NAME: Final = "default"
DESCRIPTORS_SPARE: Final = 64  # store, logs, sockets for devices that have no connection


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
    _raise_descriptor_limit(settings)
    with ExitStack() as stack:
        disk = stack.enter_context(open_disk(settings, clock))
        coap = bind_coap(settings, stack, clock=clock, events=events)
        http_sockets = bind_http(settings, stack)
        tls = load_tls_identity(settings)
        tls_context = None if tls is None else tls.context
        stream_sockets = bind_streams(settings, stack, tls=tls_context)
        loop.add_signal_handler(signal.SIGHUP, _reload, tls, events)
        writer = GroupCommit(
            commit_driver(settings, disk, clock),
            clock=clock,
            scheduler=loop,
            events=events,
            on_broken=ending.break_off,
            fsync_s=disk.fsync_s,
        )
        platform = build_platform(
            settings, system_world(settings, disk, clock, writer, coap.link, events, peers=coap.peers)
        )
        listeners = {
            **http_sockets.addresses(),
            **coap.addresses(),
            **stream_sockets.addresses(),
        }
        admin = _admin_socket(platform, disk.directory, listeners, events, clock)
        await _ensure_first_product(settings, platform.products, events, on_first_product)
        await coap.prepare(
            keys_for=platform.identities.keys_for,
            associations=platform.associations,
            is_kept=keeps_associations(settings),
            events=events,
        )
        await platform.start()
        stream_servers = await stream_sockets.serve(platform.streams)
        await admin.open()
        http = build_http_server(settings, platform.api, http_sockets, tls_context)
        http_task = loop.create_task(http.run_until_told(), name="http")
        try:
            await _wait_until_serving(http, http_task)
            gc.collect()
            gc.freeze()  # what was built so far stays: no need to walk it again and again
            on_ready(_ready_line(listeners))
            await _wait_for_end(ending, http_task)
        finally:
            budget = StopBudget(clock, STOP_S - WRITER_STOP_S - STOP_MAX_S)
            http.should_exit = True
            for server in stream_servers:
                server.close()
            await asyncio.gather(
                admin.close(),
                platform.lwm2m.dispatcher.answer_callers(CALLERS_WAIT_S),
                asyncio.wait([http_task], timeout=HTTP_STOP_S + 0.5),
            )
            await platform.stop(budget.left())
            coap.stop()
            is_drained = await writer.close(timeout_s=WRITER_STOP_S)
            if not is_drained and ending.exit_code == EXIT_OK:
                ending.exit_code = EXIT_STORE_BROKEN
    return ending.exit_code


def _reload(tls: TlsIdentity | None, events: EventSink) -> None:
    """SIGHUP: the certificate may be a new one. Nothing else is read again."""
    if tls is None:
        events.emit("reload_ignored", reason="no listener has TLS")
    else:
        tls.reload(events)


def _raise_descriptor_limit(settings: Settings) -> None:
    """Have as many files open as connections are allowed, as far as the system lets a process raise its own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.descriptors_wanted + DESCRIPTORS_SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def _ready_line(listeners: Mapping[str, Sequence[str]]) -> str:
    return " ".join(["ready", *(f"{name}={each}" for name, addresses in listeners.items() for each in addresses)])


def _admin_socket(
    platform: Platform,
    directory: DataDirectory,
    listeners: Mapping[str, Sequence[str]],
    events: EventSink,
    clock: Clock,
) -> AdminSocket:
    status = {
        "version": __version__,
        "pid": os.getpid(),
        "listeners": {name: list(listeners[name]) for name in listeners},
    }
    api = AdminApi(
        products=platform.products,
        devices=platform.devices,
        commands=platform.commands,
        audit=platform.audit,
        subscriptions=platform.pushing.subscriptions,
        clock=clock,
        status=lambda: status,
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
        keys = await products.keyring.show(existing[0].id)
        if keys.master_key != settings.master_key:
            # Not set anew: a key that was rotated must not come back with the next start.
            events.emit("master_key_setting_unused", product_id=existing[0].id, reason="the product has a key already")


async def _wait_until_serving(http: HttpServer, http_task: "asyncio.Task[None]") -> None:
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
