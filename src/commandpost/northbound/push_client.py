"""The outgoing side of pushes: requests to the users' servers, each within 5 s, wherever they may go.

A PushSender on aiohttp. Here: connections, what is allowed of them, and what came back in a few words. Not here: what
is said (push_format), which addresses are allowed (push_addresses), when and how often (services/push).

Source: northbound reference 8.1, 8.6.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

import aiohttp
from yarl import URL

from commandpost import __version__
from commandpost.domain.errors import Invalid
from commandpost.domain.push import REASON_CHARACTERS_MAX, TIMEOUT_S
from commandpost.domain.push_ports import PushMessage, PushOutcome, PushTarget
from commandpost.northbound.push_addresses import AddressRefused, CheckedResolver, LookupRefused, check_host
from commandpost.northbound.push_format import PushFormat

ANSWER_BYTES_MAX: Final = 65_536  # of a receiver's answer are read; it should say `ok`, or nothing
CONNECTIONS_MAX: Final = 256  # above what may be open at one time, so that the client itself never waits
KEEP_ALIVE_S: Final = 30.0  # between two events of a busy product
STATUS_ACCEPTED: Final = 200

_ACCEPTED: Final = PushOutcome(is_accepted=True)


class PushClient:
    """See the module."""

    def __init__(
        self,
        *,
        push_format: PushFormat,
        allow_private: bool,
        timeout_s: float = TIMEOUT_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Make a client that has no connection yet.

        Args:
            allow_private: whether requests may go to loopback, private and other special addresses.
            ssl_context: whom to trust; None: the system's authorities. Certificates are always verified.
        """
        self._format = push_format
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._resolver: CheckedResolver | None = None

    def check_url(self, url: str) -> None:
        """Refuse a url whose host is an address where pushes may not go.

        Raises:
            Invalid: names `url`.
        """
        if self._allow_private:
            return
        try:
            check_host(URL(url, encoded=True).host or "")
        except AddressRefused:
            allowed = "an address of the open internet (push.allow_private lifts this)"
            raise Invalid("url", url, allowed) from None

    async def verify(self, target: PushTarget) -> PushOutcome:
        """Ask a receiver to show that it is one: it has to answer 200 and the very `msg`."""
        request = self._format.verification(target.url, target.token or "")
        return await self._request("GET", request.url, expected=request.msg.encode())

    async def push(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> PushOutcome:
        """Hand messages over in one request: a single one as it is, or an array of them."""
        return await self._request("POST", target.url, body=self._format.body(target, messages, is_array=is_array))

    async def close(self) -> None:
        """Let go of every connection."""
        session, self._session = self._session, None
        resolver, self._resolver = self._resolver, None
        if session is not None:
            await session.close()
        if resolver is not None:
            await resolver.close()

    async def _request(
        self, method: str, url: str, *, body: bytes | None = None, expected: bytes | None = None
    ) -> PushOutcome:
        try:
            # A literal address is connected to without asking the resolver.
            self.check_url(url)
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, url, body, expected)
        except Invalid:
            return _failed("the address is not one of the open internet")
        except TimeoutError:
            return _failed(f"no answer within {self._timeout_s:g} s")
        except aiohttp.ClientError as error:
            return _failed(_describe(error))
        except (OSError, ValueError, UnicodeError) as error:
            return _failed(f"the request could not be made: {type(error).__name__}")

    async def _exchange(self, method: str, url: str, body: bytes | None, expected: bytes | None) -> PushOutcome:
        headers = {} if body is None else {"Content-Type": "application/json; charset=utf-8"}
        request = self._open_session().request(
            # As it is: what was checked is what is asked for.
            method,
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
        )
        async with request as response:
            if response.status != STATUS_ACCEPTED:
                return _failed(f"http {response.status}")
            answer = await _read(response)
            if expected is not None and answer != expected:
                return _failed("the answer was not the msg of the request")
            return _ACCEPTED

    def _open_session(self) -> aiohttp.ClientSession:
        """Give the session; made at the first request, because it belongs to the loop that runs then."""
        if self._session is None:
            self._resolver = CheckedResolver(allow_private=self._allow_private)
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                limit=CONNECTIONS_MAX,
                ssl=True if self._ssl_context is None else self._ssl_context,
                keepalive_timeout=KEEP_ALIVE_S,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"User-Agent": f"commandpost/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its bound; one that is longer ends its connection."""
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > ANSWER_BYTES_MAX:
            response.close()
            break
    return bytes(answer)


def _failed(reason: str) -> PushOutcome:
    return PushOutcome(is_accepted=False, reason=reason[:REASON_CHARACTERS_MAX])


def _describe(error: aiohttp.ClientError) -> str:
    """Say in a few words what went wrong; never with the url, whose query may hold a secret."""
    match error:
        case aiohttp.InvalidURL():
            return "the url is none that can be asked"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate is not valid: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            return "TLS could not be agreed on"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, AddressRefused):
            return "the address is not one of the open internet"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, LookupRefused):
            return "too many names of hosts are being asked for"
        case aiohttp.ClientConnectorDNSError():
            return "the name of the host is not known"
        case aiohttp.ClientConnectorError():
            return f"cannot connect: {error.os_error.strerror or type(error.os_error).__name__}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer"
        case aiohttp.ClientResponseError():
            return "the answer was no HTTP"
    return f"the request failed: {type(error).__name__}"
