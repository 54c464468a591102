"""The address of a server: what of it is ours to read before the driver does."""

import os
import re
import ssl
from typing import Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

LOOPBACK: Final = re.compile(r"(localhost|127\.0\.0\.1|\[?::1]?)(:\d+)?|/.*", re.IGNORECASE)
"""A host that is this machine, or the folder of its socket."""
LIBPQ: Final = frozenset({"channel_binding", "connect_timeout", "gssencmode", "pgbouncer"})
"""What hosts write in addresses for other drivers; this one would send it to the server."""


def local(url: str) -> bool:
    """Tell whether every server that the driver would try is on this machine."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    named = parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc
    if not named and "host" in asked:
        named = asked["host"][-1]
    elif not named:
        service = "service" in asked or "PGSERVICE" in os.environ
        named = "of the service" if service else os.environ.get("PGHOST", "localhost")
    return all(LOOPBACK.fullmatch(unquote(host)) for host in named.split(","))


def encryption(url: str) -> ssl.SSLContext | None:
    """Ask for a checked certificate of every server that is not on this machine.

    What the address itself says of it (`sslmode`) is done by the driver instead, which does not
    know the system's certificates.
    """
    asked = parse_qs(urlsplit(url).query)
    by_driver = "sslmode" in asked and asked.get("sslrootcert") != ["system"]
    return None if by_driver or local(url) else ssl.create_default_context()


def understood(url: str) -> str:
    """Leave out of an address what only other drivers understand."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in LIBPQ]
    return parts._replace(query=urlencode(kept)).geturl()
