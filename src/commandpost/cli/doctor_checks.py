"""What `commandpost doctor` looks at: each check says what was found and what to do about it.

Here: the checks; every one leaves the machine as it was. Not here: showing them (doctor).
"""

import errno
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from commandpost.config import ListenAddress, Settings
from commandpost.stores.commit_drivers import choose_driver
from commandpost.stores.data_directory import LOCK_NAME, measure_fsync

FSYNC_TOO_SLOW_S: Final = 0.05  # a release run of ten commands would take half a second of waiting for the disk
FSYNC_TOO_QUICK_S: Final = 0.000_02  # no medium writes in less: memory, or a layer that swallows fsync
DISK_FREE_MIN_BYTES: Final = 100 * 1024 * 1024
DISK_FREE_GOOD_BYTES: Final = 1024 * 1024 * 1024
WALL_MS_MIN: Final = 1_735_689_600_000  # 2025-01-01: before this software was written
WALL_MS_MAX: Final = 4_102_444_800_000  # 2100-01-01
CLOCK_SLACK_MS: Final = 60_000  # network file systems stamp files with their own clock
DESCRIPTORS_SPARE: Final = 64  # store, logs, sockets for devices


class State(Enum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    state: State
    found: str
    advice: str = ""


def check_listeners(settings: Settings, serving: Mapping[str, object] | None) -> Iterator[Check]:
    """Say of every address whether a server could listen there, or this data directory's own does already.

    Args:
        serving: what `server.status` tells; None: no server runs on the data directory.
    """
    for name, kind, addresses in (
        ("http", socket.SOCK_STREAM, settings.http.listen),
        ("https", socket.SOCK_STREAM, settings.http.tls_listen),
        ("coap", socket.SOCK_DGRAM, settings.coap.listen),
        ("coaps", socket.SOCK_DGRAM, settings.dtls.listen),
        ("mqtt", socket.SOCK_STREAM, settings.mqtt.listen),
        ("mqtts", socket.SOCK_STREAM, settings.mqtt.tls_listen),
        ("edp", socket.SOCK_STREAM, settings.edp.listen),
    ):
        ours = _ports_of(name, serving)
        for address in addresses:
            yield _check_listener(name, kind, address, ours)


def _ports_of(name: str, serving: Mapping[str, object] | None) -> tuple[int, ...]:
    listeners = (serving or {}).get("listeners")
    texts = listeners.get(name, ()) if isinstance(listeners, Mapping) else ()
    return tuple(int(str(text).rpartition(":")[2]) for text in ([texts] if isinstance(texts, str) else texts))


def _check_listener(name: str, kind: socket.SocketKind, address: ListenAddress, ours: Sequence[int]) -> Check:
    title = f"{name} port"
    try:
        _try_to_bind(kind, address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and address.port in ours:
            return Check(title, State.OK, f"{address} is held by the server of this data directory")
        return Check(
            title, State.FAIL, f"{address} cannot be bound: {error.strerror or error}", _bind_advice(name, error)
        )
    return Check(title, State.OK, f"{address} is free" if address.port else f"{address}: any free port will be taken")


def _try_to_bind(kind: socket.SocketKind, address: ListenAddress) -> None:
    family, _, protocol, _, where = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)[
        0
    ]
    with socket.socket(family, kind, protocol) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(where)


def _bind_advice(name: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            listing = "ss -lunp" if name in ("coap", "coaps") else "ss -ltnp"
            return f"choose another with --{name}, or stop who holds it (`{listing}` tells)"
        case errno.EACCES | errno.EPERM:
            return f"ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one with --{name}"
        case errno.EADDRNOTAVAIL:
            return f"no interface of this machine has it: choose another with --{name}"
        case _:
            return f"check the host's name, or choose another with --{name}"


def check_data_dir(data_dir: Path) -> Iterator[Check]:
    """Say whether the data directory is there, can be written, and is closed to others."""
    name = "data directory"
    if not data_dir.exists():
        parent = next(folder for folder in data_dir.absolute().parents if folder.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Check(name, State.OK, f"{data_dir} does not exist yet; `commandpost serve` will make it")
        else:
            yield Check(name, State.FAIL, f"{data_dir} does not exist and {parent} cannot be written", _OWN_ADVICE)
        return
    if not data_dir.is_dir():
        yield Check(name, State.FAIL, f"{data_dir} is not a directory", "name another with --data-dir")
        return
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        yield Check(name, State.FAIL, f"{data_dir} cannot be written", _OWN_ADVICE)
        return
    open_to_others = [path for path in (data_dir, *sorted(data_dir.iterdir())) if _is_open_to_others(path)]
    if open_to_others:
        paths = " ".join(str(path) for path in open_to_others[:5])
        found = f"{paths} can be read by other users"
        yield Check(name, State.WARN, found, f"it holds keys and data: chmod go-rwx {paths}")
    else:
        yield Check(name, State.OK, f"{data_dir} can be written, and by nobody else")


_OWN_ADVICE: Final = "give it to the user who runs the server (chown), or name another with --data-dir"


def _is_open_to_others(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077) and not path.is_symlink()
    except FileNotFoundError:
        return False  # a file of the running server that went away meanwhile


def check_server(data_dir: Path, serving: Mapping[str, object] | None, refusal: str | None) -> Check:
    """Say who has the data directory.

    Args:
        refusal: why the one that listens there did not answer.
    """
    name = "server"
    advice = "see its log; if it hangs, end it and start it again"
    if serving is not None:
        return Check(name, State.OK, f"process {serving.get('pid')} serves this data directory")
    if refusal is not None:
        return Check(name, State.FAIL, f"the one that serves this data directory does not answer: {refusal}", advice)
    holder = _find_holder(data_dir / LOCK_NAME)
    if holder is not None:
        found = f"process {holder} has the data directory and does not listen: it starts, or ends"
        return Check(name, State.WARN, found, advice)
    return Check(name, State.OK, "none runs on this data directory")


def _find_holder(lock: Path) -> str | None:
    """Give the process that holds the lock, by the kernel's table: trying it could keep a server from starting."""
    try:
        inode = lock.stat().st_ino
        table = Path("/proc/locks").read_text()
    except OSError:
        return None  # no lock yet, or a system without that table
    rows = (line.split() for line in table.splitlines())
    return next((row[4] for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}")), None)


def check_disk(folder: Path) -> Check:
    """Say how much room there is."""
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.1f} GiB are free"
    if free < DISK_FREE_MIN_BYTES:
        return Check("disk", State.FAIL, found, "make room: a full disk stops the server")
    if free < DISK_FREE_GOOD_BYTES:
        return Check("disk", State.WARN, found, "make room, or lower store.retention_days")
    return Check("disk", State.OK, found)


def check_fsync(folder: Path, monotonic: Callable[[], float]) -> Check:
    """Say how long a promise takes to reach the disk, and what follows for store.commit."""
    name = "fsync"
    try:
        median_s = measure_fsync(folder, monotonic=monotonic)
    except OSError as error:
        return Check(name, State.FAIL, f"{folder} cannot be written: {error.strerror}", _OWN_ADVICE)
    driver = choose_driver(median_s).value
    rate = 1 / max(median_s, 1e-9)
    found = f"median {median_s * 1000:.3g} ms: at most {rate:,.0f} commits a second; store.commit auto is {driver} here"
    if median_s > FSYNC_TOO_SLOW_S:
        return Check(name, State.WARN, found, "put the data directory on a disk with power-loss protection")
    if median_s < FSYNC_TOO_QUICK_S:
        advice = (
            "no disk is that quick: the file system is in memory, or fsync is swallowed; a power cut loses commands"
        )
        return Check(name, State.WARN, found, advice)
    return Check(name, State.OK, found)


def check_receive_buffer(wanted: int) -> Check:
    """Say how much of a burst of datagrams the system will hold for us."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if hasattr(socket, "SO_RCVBUFFORCE") or Path("/proc/sys/net/core/rmem_max").exists():
        granted //= 2  # Linux reports twice what it granted, its own bookkeeping included
    found = f"{wanted} bytes asked, {granted} granted"
    if granted >= wanted:
        return Check("receive buffer", State.OK, found)
    advice = f"bursts of datagrams may be lost: sysctl -w net.core.rmem_max={wanted}"
    return Check("receive buffer", State.WARN, found, advice)


def check_clock(wall_ms: Callable[[], int], monotonic: Callable[[], float], data_dir: Path) -> Check:
    """Say whether the clock can be right: windows of commands are measured by it."""
    name = "clock"
    advice = "set the clock and keep it set (chrony, systemd-timesyncd): windows of commands are measured by it"
    before, now, later = monotonic(), wall_ms(), monotonic()
    if later < before:
        return Check(
            name, State.FAIL, f"the monotonic clock went back by {before - later:.3f} s", "restart the machine"
        )
    if not WALL_MS_MIN <= now <= WALL_MS_MAX:
        return Check(name, State.FAIL, f"it is {now} ms after 1970", advice)
    ahead_ms = _newest_ms(data_dir) - now
    if ahead_ms > CLOCK_SLACK_MS:
        return Check(name, State.FAIL, f"it is {ahead_ms / 1000:.0f} s behind the newest file of {data_dir}", advice)
    return Check(name, State.OK, "plausible, and not behind the data directory")


def _newest_ms(data_dir: Path) -> int:
    if not data_dir.is_dir():
        return 0
    return max((path.lstat().st_mtime_ns // 1_000_000 for path in data_dir.iterdir()), default=0)


def check_descriptors(settings: Settings) -> Check:
    """Say whether every connection that is allowed may be open at one time."""
    import resource

    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)  # the server raises its own limit as far as this one
    wanted = settings.descriptors_wanted + DESCRIPTORS_SPARE
    found = f"{limit} open files are allowed, {wanted} wanted"
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return Check("open files", State.OK, found)
    return Check(
        "open files", State.WARN, found, f"ulimit -Hn {wanted}, or lower connections_max of http, mqtt and edp"
    )


def describe_limits(settings: Settings) -> Check:
    """Say the limits a caller may run into."""
    limits = settings.limits
    found = (
        f"{limits.waiting_max_per_device} cached commands waiting for a device, {limits.instants_max} instant ones, "
        f"{settings.store.retention_days} days of history, calls by the profile {limits.profile.value!r}"
    )
    return Check("limits", State.OK, found)
