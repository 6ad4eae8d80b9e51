"""What `commandpost doctor` looks at for safety's sake: who can reach what in the clear, certificates, keys, files.

Here: the checks; every one leaves the machine as it was. Not here: showing them (doctor), and checks of the machine
itself (doctor_checks).
"""

import ipaddress
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from commandpost.cli.doctor_checks import Check, State
from commandpost.config import ListenAddress, Settings
from commandpost.services.product_keys import is_weak_master_key

EXPIRY_WARNING_MS: Final = 30 * 86_400_000  # a month: what renews certificates by itself does so before
_PLAIN_ADVICE: Final = {
    "http": "keys travel in the clear: listen on 127.0.0.1 and serve others with --https, or behind a TLS proxy",
    "coap": "whoever knows an IMEI can claim to be that device: use DTLS, or a network of your own (private APN)",
    "mqtt": "passwords travel in the clear: use --mqtts, or a network of your own",
    "edp": "passwords travel in the clear, and EDP has no TLS: use a network of your own",
}


def check_exposure(settings: Settings) -> Iterator[Check]:
    """Say of every door without encryption whether strangers can come to it."""
    doors = {
        "http": settings.http.listen,
        "coap": settings.coap.listen,
        "mqtt": settings.mqtt.listen,
        "edp": settings.edp.listen,
    }
    for name, addresses in doors.items():
        exposed = [str(address) for address in addresses if is_exposed(address)]
        if exposed:
            found = f"{', '.join(exposed)} can be reached from outside, unencrypted"
            yield Check(f"{name} exposure", State.WARN, found, _PLAIN_ADVICE[name])
    if not any(is_exposed(address) for addresses in doors.values() for address in addresses):
        yield Check("exposure", State.OK, "no door without encryption can be reached from outside")


def is_exposed(address: ListenAddress) -> bool:
    """Tell whether strangers may come to an address: a wildcard, a public one, or a name that may be one."""
    if address.host == "localhost":
        return False
    try:
        parsed = ipaddress.ip_address(address.host.partition("%")[0])
    except ValueError:
        return True
    return parsed.is_unspecified or parsed.is_global


def check_certificate(settings: Settings, now_ms: int) -> Iterator[Check]:
    """Say whether the certificate can be used, and for how long."""
    certificate, private_key = settings.tls.certificate, settings.tls.private_key
    if certificate is None:
        return
    name = "certificate"
    reason = _find_fault(certificate, private_key)
    if reason is not None:
        yield Check(name, State.FAIL, f"{certificate} cannot be used: {reason}", "see tls.certificate, tls.private_key")
        return
    from cryptography import x509

    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    end = leaf.not_valid_after_utc
    left_ms = round(end.timestamp() * 1000) - now_ms
    advice = "renew it, then send SIGHUP to the server: connections go on"
    if left_ms <= 0:
        yield Check(name, State.FAIL, f"{certificate} expired on {end:%Y-%m-%d}", advice)
    elif left_ms < EXPIRY_WARNING_MS:
        found = f"{certificate} expires on {end:%Y-%m-%d}, in {left_ms // 86_400_000} days"
        yield Check(name, State.WARN, found, advice)
    else:
        yield Check(name, State.OK, f"{certificate} is good until {end:%Y-%m-%d}")


def _find_fault(certificate: Path, private_key: Path | None) -> str | None:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private_key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def check_keys(settings: Settings, serving: Mapping[str, object] | None) -> Iterator[Check]:
    """Say whether a MasterKey can be guessed: the one of the settings, and those of the server that runs.

    Args:
        serving: what `server.status` tells; it names products with such a key, never the key.
    """
    name, advice = "master key", "`commandpost key rotate --overlap 86400` makes a good one; change applications next"
    if settings.master_key is not None and is_weak_master_key(settings.master_key):
        found = "master_key is short, or the one of the README: it can be guessed"
        yield Check(name, State.WARN, found, "leave it out: a good one is made at the first start")
    products = (serving or {}).get("weak_master_keys")
    if isinstance(products, Sequence) and products:
        found = f"the MasterKey of product {', '.join(str(each) for each in products)} is short, or an example's"
        yield Check(name, State.WARN, found, advice)


def check_secret_files(settings: Settings, config_file: Path | None) -> Iterator[Check]:
    """Say whether others can read a file that holds a secret, outside of the data directory."""
    private_key = settings.tls.private_key or settings.tls.certificate
    files = {
        "key file": settings.secret_key_file,
        "private key": private_key,
        "configuration": config_file if settings.master_key is not None or settings.secret_key is not None else None,
    }
    for name, path in files.items():
        if path is None or not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        # A group may hold those who have to read it, such as one for certificates.
        if mode & 0o007 or (name == "key file" and mode & 0o077):
            yield Check(name, State.WARN, f"{path} can be read by other users (mode {mode:04o})", f"chmod 600 {path}")
