"""Real requests to a real receiver: what is sent, what counts as accepted, and where no request may go."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.push_ports import DataMessage, PushOutcome, PushTarget
from commandpost.northbound.onenet.values import ValueStyle
from commandpost.northbound.push_client import PushClient
from commandpost.northbound.push_format import PushFormat
from tests.acceptance.certificates import write_certificate
from tests.acceptance.push_receiver import JsonObject, PushReceiver

ResultT = TypeVar("ResultT")

TOKEN = "demoToken01"
AES_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"


def message(value: str = "21.5", number: int = 1) -> DataMessage:
    """A datapoint."""
    return DataMessage(
        device_id=DeviceId(1_000_001), imei="860000000000001", stream_id="t", at=Instant(number), value=value
    )


def client(*, allow_private: bool = True, timeout_s: float = 5.0, trust: ssl.SSLContext | None = None) -> PushClient:
    """A client whose chance is the same in every run."""
    style = PushFormat(random=Random(1), value_style=ValueStyle())
    return PushClient(push_format=style, allow_private=allow_private, timeout_s=timeout_s, ssl_context=trust)


def run(work: Callable[[PushClient], Coroutine[Any, Any, ResultT]], sender: PushClient | None = None) -> ResultT:
    """Let a client work, and close it."""
    used = client() if sender is None else sender

    async def main() -> ResultT:
        try:
            return await work(used)
        finally:
            await used.close()

    return asyncio.run(main())


def push(url: str, sender: PushClient | None = None, *, aes_key: str | None = None) -> PushOutcome:
    """Push one message."""
    target = PushTarget(url=url, token=TOKEN, aes_key=aes_key)
    return run(lambda used: used.push(target, [message()], is_array=False), sender)


def verify(url: str, sender: PushClient | None = None) -> PushOutcome:
    """Verify a url."""
    return run(lambda used: used.verify(PushTarget(url=url, token=TOKEN, aes_key=None)), sender)


class TestRequests:
    @pytest.mark.parametrize("aes_key", [None, AES_KEY])
    def test_what_arrives_is_signed_over_its_very_bytes(self, aes_key: str | None) -> None:
        """A receiver with hashlib alone agrees, plain and encrypted, non-ASCII too."""
        target = PushTarget(url="", token=TOKEN, aes_key=aes_key)
        with PushReceiver() as receiver:

            async def work(sender: PushClient) -> None:
                there = PushTarget(url=receiver.url, token=TOKEN, aes_key=aes_key)
                for value in ("21.5", '"温度"', '{"b":[1,2],"a":"</x>"}'):
                    assert (await sender.push(there, [message(value)], is_array=False)).is_accepted
                assert (await sender.push(there, [message(), message("2")], is_array=True)).is_accepted

            run(work)

            assert [arrival.is_signed for arrival in receiver.arrivals] == [True] * 4
            assert all(len(arrival.content["nonce"]) == 8 for arrival in receiver.arrivals)
        if aes_key is None:
            assert receiver.messages[0]["value"] == 21.5
            assert [each["value"] for each in receiver.messages[-2:]] == [21.5, 2]
        assert "demoToken01" not in repr(target)
        assert AES_KEY not in repr(target)

    def test_one_connection_serves_many_requests(self) -> None:
        """A busy product does not connect anew for every event."""
        ports = set()
        with PushReceiver() as receiver:
            receiver.respond = lambda _: 200

            async def work(sender: PushClient) -> None:
                target = PushTarget(url=receiver.url, token=TOKEN, aes_key=None)
                for _ in range(5):
                    await sender.push(target, [message()], is_array=False)
                    ports.add(len(sender._open_session().connector._conns))  # type: ignore[union-attr]  # it has one

            run(work)

        assert ports == {1}

    def test_a_verified_url_keeps_its_own_query(self) -> None:
        """Ours is added behind it; the signature holds no `+`."""
        with PushReceiver() as receiver:
            outcome = verify(receiver.url)

        assert outcome.is_accepted
        (query,) = receiver.verifications
        assert query["from"] == "test"
        assert "+" not in query["signature"]

    @pytest.mark.parametrize(
        "answer", [b"", b"ok", b"verify123456 ", b"x" * 100_000], ids=["nothing", "ok", "other", "far too long"]
    )
    def test_any_other_answer_does_not_verify(self, answer: bytes) -> None:
        """It has to be `msg` to the letter."""
        with PushReceiver(answer_verification=lambda _: answer) as receiver:
            outcome = verify(receiver.url)

        assert not outcome.is_accepted
        assert "msg" in outcome.reason

    def test_a_receiver_with_another_token_does_not_verify(self) -> None:
        """It answers 401, and that is said."""
        with PushReceiver(token="anotherToken") as receiver:
            outcome = verify(receiver.url)

        assert outcome == PushOutcome(is_accepted=False, reason="http 401")


class TestFailures:
    @pytest.mark.parametrize("status", [201, 204, 302, 307, 400, 404, 500, 503])
    def test_only_200_is_accepted_and_no_redirect_is_followed(self, status: int) -> None:
        """One request, one answer."""
        with PushReceiver(respond=lambda _: status) as receiver:
            outcome = push(receiver.url)
            count = len(receiver.arrivals)

        assert outcome == PushOutcome(is_accepted=False, reason=f"http {status}")
        assert count == 1

    def test_a_receiver_that_hangs_is_given_up_in_time(self) -> None:
        """Within the whole time there is, not that of each step."""
        release = threading.Event()

        def wait(_: JsonObject) -> int:
            release.wait(5)
            return 200

        with PushReceiver(respond=wait) as receiver:
            outcome = push(receiver.url, client(timeout_s=0.2))
            release.set()

        assert outcome == PushOutcome(is_accepted=False, reason="no answer within 0.2 s")

    def test_an_answer_without_end_is_cut_off(self) -> None:
        """64 KiB are read, then the connection goes."""
        listener = socket.create_server(("127.0.0.1", 0))
        sent = 0

        def flood() -> None:
            nonlocal sent
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                try:
                    while sent < 50_000_000:
                        connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                        sent += 65_536
                except OSError:
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        outcome = push(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(10)
        listener.close()

        assert outcome.is_accepted  # the status was 200; what follows it is nobody's business
        assert sent < 20_000_000

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"garbage\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ],
        ids=["nothing", "garbage", "a header without end", "a length below nothing"],
    )
    def test_nonsense_is_a_failure_and_never_an_exception(self, answer: bytes) -> None:
        """Whatever speaks on that port."""
        listener = socket.create_server(("127.0.0.1", 0))

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        outcome = push(f"http://127.0.0.1:{listener.getsockname()[1]}/?secret=hidden")
        thread.join(10)
        listener.close()

        assert not outcome.is_accepted
        assert outcome.reason
        assert "hidden" not in outcome.reason

    def test_nobody_there_is_a_failure(self) -> None:
        """The port was somebody's a moment ago."""
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]

        outcome = push(f"http://127.0.0.1:{port}/")

        assert not outcome.is_accepted
        assert outcome.reason.startswith("cannot connect")

    def test_a_name_nobody_knows_is_a_failure(self) -> None:
        """RFC 2606 keeps it free."""
        outcome = push("http://receiver.invalid/")

        assert not outcome.is_accepted
        assert "name" in outcome.reason or "no answer" in outcome.reason


class TestCertificates:
    def test_a_certificate_of_a_trusted_authority_is_accepted_another_is_not(self, tmp_path: Path) -> None:
        """A receiver that changes its certificate to one nobody vouches for fails until it is vouched for."""
        serving, trusting = make_certificate(tmp_path)

        with PushReceiver(tls=serving) as receiver:
            trusted = push(receiver.url, client(trust=trusting))
            plain = push(receiver.url, client())

        assert trusted.is_accepted
        assert not plain.is_accepted
        assert "certificate" in plain.reason


class TestAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "localhost"])
    def test_nothing_is_sent_inside_unless_it_is_allowed(self, host: str) -> None:
        """By literal or by name, however it is written; the receiver hears nothing."""
        with PushReceiver() as receiver:
            outcome = push(f"http://{host}:{receiver.port}/", client(allow_private=False))
            count = len(receiver.arrivals)

        assert not outcome.is_accepted
        assert "open internet" in outcome.reason or "the url is none" in outcome.reason
        assert count == 0

    def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name server that says something else the second time is not asked a second time."""
        asked: list[str] = []
        with PushReceiver() as receiver:

            def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
                asked.append(host)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            outcome = push(f"http://rebinding.example:{receiver.port}/")

        assert outcome.is_accepted
        assert asked == ["rebinding.example"]

    def test_one_bad_address_of_several_refuses_the_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else the choice between them would be the attacker's."""

        def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in ("93.184.216.34", "10.0.0.1")
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        outcome = push("http://both.example/", client(allow_private=False))

        assert outcome == PushOutcome(is_accepted=False, reason="the address is not one of the open internet")

    def test_a_literal_address_is_refused_when_it_is_configured(self) -> None:
        """Before anybody is asked; allowed where private addresses are."""
        with pytest.raises(Invalid, match="url"):
            client(allow_private=False).check_url("http://10.1.2.3/in")
        client(allow_private=False).check_url("http://receiver.example/in")
        client(allow_private=True).check_url("http://10.1.2.3/in")


def make_certificate(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a fresh certificate for localhost, and that of a client that trusts it."""
    chain, secret = write_certificate(directory, "localhost")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(chain, secret)
    return serving, ssl.create_default_context(cafile=str(chain))


def test_the_receiver_itself_tells_a_wrong_signature() -> None:
    """The oracle of these tests can say no."""
    body = b'{"msg":{"a":1},"msg_signature":"xxxx","nonce":"Zk3Qw8Rt"}'
    with PushReceiver() as receiver:
        receiver.take(body)
        assert not receiver.arrivals[0].is_signed
        good = b'{"msg":[1,2],"msg_signature":"%b","nonce":"Zk3Qw8Rt"}'
        receiver.take(good % sign_by_hand(b"[1,2]"))
        assert receiver.arrivals[1].is_signed
    assert json.loads(body)["nonce"] == "Zk3Qw8Rt"


def sign_by_hand(text: bytes) -> bytes:
    """The rule of the documents, once more."""
    import base64
    import hashlib

    return base64.b64encode(hashlib.md5(b"demoToken01" + b"Zk3Qw8Rt" + text).digest())
