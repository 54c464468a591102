"""The address of a server: what of it is ours to read before the driver does."""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from agent_mem.errors import InvalidInput

LOOPBACK: Final = re.compile(r"(localhost|127\.0\.0\.1|\[?::1]?)(:\d+)?|/.*", re.IGNORECASE)
"""A host that is this machine, or the folder of its socket."""
LIBPQ: Final = frozenset({"channel_binding", "connect_timeout", "gssencmode", "pgbouncer"})
"""What hosts write in addresses for other drivers; this one would send it to the server."""
READ: Final = frozenset({"require", "verify-ca", "verify-full"})
"""The modes in which the authority is read that the address names."""
AUTHORITY: Final = (
    "write sslrootcert=system for the authorities of this system, or the path of your own, as in"
    " sslrootcert=/path/to/ca.pem."
)
"""What to do where there is none."""


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

    Raises:
        InvalidInput: a file that the address names, or an authority, is not there.
    """
    asked = dict(parse_qsl(urlsplit(url).query))
    if "sslmode" not in asked:
        return None if local(url) else ssl.create_default_context()
    if asked.get("sslrootcert") == "system":
        return ssl.create_default_context()
    look_for_files(asked)
    return None


def look_for_files(asked: Mapping[str, str]) -> None:
    """Look for what the driver will read: it would say that the server cannot be reached."""
    for name in ("sslcert", "sslkey", "sslcrl"):
        if name in asked and not Path(asked[name]).is_file():
            raise InvalidInput(f"AGENT_MEM_SERVER: {name}={asked[name]} is no file here.")
    named = asked.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if named and asked["sslmode"].replace("_", "-") in READ:
        try:
            ssl.create_default_context(cafile=named)
        except OSError:
            why = f"sslrootcert={named} is no file of certificates"
            raise InvalidInput(f"AGENT_MEM_SERVER: {why}: {AUTHORITY}") from None


def understood(url: str) -> str:
    """Leave out of an address what only other drivers understand."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in LIBPQ]
    return parts._replace(query=urlencode(kept)).geturl()
