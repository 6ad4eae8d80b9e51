"""The certificate of listeners with TLS: loading it, and loading it again while connections go on.

One context serves `--https` and `--mqtts`. Connections that are open keep what they began with.
"""

import ssl
from pathlib import Path

from commandpost.app.disk import CannotStart
from commandpost.config import Settings
from commandpost.domain.ports import EventSink


class TlsIdentity:
    """The server's certificate and private key, and the context that shows them."""

    def __init__(self, certificate: Path, private_key: Path | None) -> None:
        """Load them.

        Args:
            private_key: None: it is in the certificate's file.
        Raises:
            OSError, ssl.SSLError: they cannot be used.
        """
        self._certificate = certificate
        self._private_key = private_key
        self.context = self._load()

    def reload(self, events: EventSink) -> bool:
        """Take what is in the files now, for connections from now on; what cannot be used changes nothing."""
        try:
            self._load()  # on the side: a context that took half of a pair would be of no use any more
            self.context.load_cert_chain(self._certificate, self._private_key, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            events.emit("tls_reload_failed", certificate=self._certificate, error=_reason(error))
            return False
        events.emit("tls_reloaded", certificate=self._certificate)
        return True

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(self._certificate, self._private_key, password=_no_password)
        return context


def load_tls_identity(settings: Settings) -> TlsIdentity | None:
    """Give the certificate of the settings; None when no listener wants one.

    Raises:
        CannotStart: it cannot be used.
    """
    if not (settings.http.tls_listen or settings.mqtt.tls_listen):
        return None
    certificate, private_key = settings.tls.certificate, settings.tls.private_key
    assert certificate is not None, "the settings were checked"
    try:
        return TlsIdentity(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(
            f"tls.certificate {certificate} with tls.private_key {private_key or 'in the same file'} cannot be used: "
            f"{_reason(error)}"
        ) from error


def _no_password() -> bytes:
    """A server has nobody who could type one: a key that needs it is refused, not waited for."""
    return b""


def _reason(error: OSError) -> str:
    return getattr(error, "strerror", None) or str(error)
