"""A small receiver of pushes, as a user might write one: http.server, hashlib, and nothing of ours.

It answers the verification of its url, checks every signature over the bytes as they came, keeps the order of arrival,
and can be told to fail. Encrypted messages are kept as they came; whoever wants them open has to have the key.
"""

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

JsonObject = dict[str, Any]  # Any: a message is whatever JSON came

_MSG = b'"msg":'
_SIGNATURE = b',"msg_signature":"'


@dataclass(frozen=True)
class Arrival:
    """One request."""

    at: float
    body: bytes
    content: JsonObject
    is_signed: bool
    status: int


@dataclass
class PushReceiver:
    """Listens on a port of 127.0.0.1 of its own; `url` is where."""

    token: str = "demoToken01"
    tls: ssl.SSLContext | None = None
    respond: Callable[[JsonObject], int] = lambda message: 200
    """Gives the status of the answer to a POST."""
    answer_verification: Callable[[str], bytes] = lambda msg: msg.encode()
    arrivals: list[Arrival] = field(default_factory=list)
    verifications: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        scheme = "http"
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.port = self._server.server_address[1]
        host = "127.0.0.1" if self.tls is None else "localhost"
        self.url = f"{scheme}://{host}:{self.port}/receive?from=test"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def messages(self) -> list[JsonObject]:
        """Every message of a request that was answered 200, in order of arrival."""
        found: list[JsonObject] = []
        for arrival in list(self.arrivals):
            if arrival.status == 200:
                msg = arrival.content.get("msg", arrival.content)
                found += msg if isinstance(msg, list) else [msg]
        return found

    def wait_for(self, condition: Callable[["PushReceiver"], object], *, timeout_s: float = 10.0) -> None:
        """Wait until a condition on what has arrived holds."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while not condition(self):
                left = deadline - time.monotonic()
                assert left > 0, f"it did not come: {[each.body for each in self.arrivals][-5:]}"
                self._arrived.wait(left)

    def take(self, body: bytes) -> int:
        """Keep a request; gives the status of its answer."""
        content = json.loads(body)
        status = self.respond(content)
        arrival = Arrival(
            at=time.monotonic(), body=body, content=content, is_signed=self._is_signed(body, content), status=status
        )
        with self._arrived:
            self.arrivals.append(arrival)
            self._arrived.notify_all()
        return status

    def _is_signed(self, body: bytes, content: JsonObject) -> bool:
        if "msg_signature" not in content:
            return False
        if "enc_msg" in content:
            text = content["enc_msg"].encode()
        else:
            # The very bytes between the two members, not what a library would make of them.
            text = body[body.index(_MSG) + len(_MSG) : body.rindex(_SIGNATURE)]
        return bool(content["msg_signature"] == signature(self.token, content["nonce"], text))


def signature(token: str, nonce: str, text: bytes) -> str:
    """base64(md5(token, nonce, text)), as the documents have it."""
    return base64.b64encode(hashlib.md5(token.encode() + nonce.encode() + text).digest()).decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: the library's own
        """A caller that hangs up is no news."""


def _handler(receiver: PushReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            receiver.verifications.append(query)
            expected = signature(receiver.token, query["nonce"], query["msg"].encode())
            if query["signature"] != expected:
                self._answer(401, b"signature")
            else:
                self._answer(200, receiver.answer_verification(query["msg"]))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._answer(receiver.take(body), b"ok")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", receiver.url)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
