"""Creating simulated devices over the platform's HTTP API before they register.

Here: `POST /devices`, and finding what it says exists already, on a kept connection, with as much of HTTP/1.1 as that
needs: answers with a Content-Length. Not here: any other call, redirects, proxies. Everything is bounded and every wait
has a deadline. Source: northbound reference 3.1, 3.5; RFC 9112.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from commandpost.simulation.fleet_settings import FleetError

CALL_S: Final = 15.0  # an accept waits for a disk at most; an overloaded server refuses earlier
HEADER_BYTES_MAX: Final = 16_384
BODY_BYTES_MAX: Final = 65_536
_ERRNO_INVALID_PARAMETER: Final = 6
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class DeviceRegistry:
    """A client of one HTTP API; one call at a time."""

    def __init__(self, *, url: str, api_key: str, call_s: float = CALL_S) -> None:
        """Take the address of the API; nothing is connected yet.

        Raises:
            FleetError: the address is not http(s)://host[:port], or the key cannot be sent.
        """
        self._target = _split(url)
        if not api_key.isascii() or not api_key.isprintable() or not api_key:
            raise FleetError("an api-key is printable ASCII text")
        self._api_key = api_key
        self._call_s = call_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def create(self, *, imei: str, imsi: str, psk: str | None = None) -> bool:
        """Create a device that is observed automatically.

        Args:
            psk: its access key, for one that comes over DTLS.
        Returns:
            False if the platform had the IMEI already.
        Raises:
            FleetError: there is no answer, or it refuses; the text says what it said.
        """
        body = {"title": f"simulated {imei}", "protocol": "LWM2M", "auth_info": {imei: imsi}, "obsv": True}
        if psk is not None:
            body["psk"] = psk
        return await self._create(imei, body) is not None

    async def create_stream_device(self, *, protocol: str, auth_info: str) -> tuple[str, bool]:
        """Create a device that logs in with an auth_info.

        Args:
            protocol: `MQTT` or `EDP`.
        Returns:
            Its id, and False if the platform had it already.
        Raises:
            FleetError: there is no answer, or it refuses, or the auth_info is another protocol's.
        """
        body = {"title": f"simulated {auth_info}", "protocol": protocol, "auth_info": auth_info}
        answer = await self._create(auth_info, body)
        if answer is None:
            return await self._find(protocol=protocol, auth_info=auth_info), False
        return _device_id(answer.get("data"), auth_info), True

    async def _create(self, name: str, body: Mapping[str, object]) -> dict[str, object] | None:
        """Create, and give the answer; None: it exists."""
        answer = await self._call("POST", "/devices", json.dumps(body).encode())
        errno, error = answer.get("errno"), answer.get("error")
        if errno == 0:
            return answer
        if errno == _ERRNO_INVALID_PARAMETER and "exists" in str(error):
            return None
        raise FleetError(f"the HTTP API refused device {name}: errno {errno}, {str(error)[:200]}")

    async def _find(self, *, protocol: str, auth_info: str) -> str:
        answer = await self._call("GET", f"/devices?{urlencode({'auth_info': auth_info})}", b"")
        data = answer.get("data")
        devices = data.get("devices") if isinstance(data, dict) else None
        for device in devices if isinstance(devices, list) else ():
            if isinstance(device, dict) and device.get("auth_info") == auth_info:
                if device.get("protocol") != protocol:
                    raise FleetError(f"auth_info {auth_info} is of a device that speaks {device.get('protocol')}")
                return _device_id(device, auth_info)
        raise FleetError(f"auth_info {auth_info} is taken, and no device of this key has it")

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _call(self, method: str, target: str, body: bytes) -> dict[str, object]:
        was_kept = self._streams is not None
        try:
            async with asyncio.timeout(self._call_s):
                try:
                    return await self._exchange(method, target, body)
                except (ConnectionError, asyncio.IncompleteReadError):
                    if not was_kept:
                        raise
                    # The server may have closed a kept connection; creating twice does no harm.
                    await self.close()
                    return await self._exchange(method, target, body)
        except TimeoutError:
            await self.close()
            raise FleetError(f"the HTTP API at {self._target.netloc} did not answer in {self._call_s:g} s") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            await self.close()
            raise FleetError(f"the HTTP API at {self._target.netloc} cannot be used: {error}") from error

    async def _exchange(self, method: str, target: str, body: bytes) -> dict[str, object]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._target.hostname,
                self._target.port or _DEFAULT_PORTS[self._target.scheme],
                ssl=self._target.scheme == "https" or None,
                limit=HEADER_BYTES_MAX,
            )
        reader, writer = self._streams
        writer.write(self._head(method, target, len(body)) + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            raise ValueError(f"{head[0]!r} with Content-Length {length!r}: 0 to {BODY_BYTES_MAX} is allowed")
        payload = await reader.readexactly(int(length))
        if headers.get("connection", "").lower() == "close":
            await self.close()
        answer = json.loads(payload)
        if not isinstance(answer, dict):
            raise ValueError(f"{head[0]!r} with a body that is no JSON object")
        return answer

    def _head(self, method: str, target: str, body_bytes: int) -> bytes:
        lines = (
            f"{method} {self._target.path.rstrip('/')}{target} HTTP/1.1",
            f"Host: {self._target.netloc}",
            f"api-key: {self._api_key}",
            "Content-Type: application/json; charset=utf-8",
            f"Content-Length: {body_bytes}",
        )
        return "\r\n".join((*lines, "", "")).encode("ascii")


def _device_id(data: object, name: str) -> str:
    """Read the id of a device from what the API gave: `device_id` of a new one, `id` of one in a list."""
    found = (data.get("device_id") or data.get("id")) if isinstance(data, dict) else None
    if not isinstance(found, str | int) or not str(found).isdigit():
        raise FleetError(f"the HTTP API gave no id of device {name}: {str(data)[:200]}")
    return str(found)


def _split(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        is_usable = target.scheme in _DEFAULT_PORTS and bool(target.hostname) and target.port != 0
    except ValueError:
        is_usable = False
        target = urlsplit("")
    if not is_usable or not url.isascii() or not url.isprintable() or " " in url:
        raise FleetError(f"{url!r:.200} is not the address of an HTTP API: http://HOST:PORT is expected")
    return target
