"""Headers that every answer has, so that a browser makes nothing of it but what it is. Source: RFC 9111, RFC 6797;
the Fetch standard; Content Security Policy level 3.

Not here: headers of single calls.
"""

from typing import Final

from commandpost.northbound.messages import Headers

HEADERS_OF_ANSWERS: Final[Headers] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
"""No answer is kept by anybody: what a key opens today it may not open tomorrow."""

HEADERS_OF_PAGES: Final[Headers] = (
    # The pages have their style inside, and need nothing else: no script, no image, no form, no frame around them.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
"""Beside those, what an HTML page has."""

HEADERS_OVER_TLS: Final[Headers] = ((b"strict-transport-security", b"max-age=31536000"),)
"""A year. Without includeSubDomains: the neighbours of this name are not ours to decide about."""
