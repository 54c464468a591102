"""Calling an address of the internet, and no other: checked where it leads, at each call anew."""

import ipaddress
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import anyio

from agent_mem.errors import ActionFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
METADATA: Final = frozenset({ipaddress.ip_address("fd00:ec2::254")})
"""Where clouds tell a machine its secrets; the others are link-local."""


def inner(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def public(address: Address) -> bool:
    """Look whether an address is one of the internet."""
    real = inner(address)
    return real.is_global and not real.is_multicast


def reachable(address: Address, *, private: bool) -> bool:
    """Look whether an address may be called."""
    real = inner(address)
    never = real.is_link_local or real.is_multicast or real.is_unspecified or real in METADATA
    return not never and (private or public(address))


async def resolved(host: str, port: int, *, private: bool) -> Address:
    """Ask where a name leads, and choose an address; all of them must be allowed.

    Whoever asks again could be told another: so it is this address that is called.

    Raises:
        ActionFailed: the name leads nowhere, or where nothing may be called.
    """
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ActionFailed(f"{host} is not known ({error.strerror}).") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if not reachable(address, private=private):
            raise ActionFailed(f"{host} leads to {address}, which may not be called.")
    if not addresses:
        raise ActionFailed(f"{host} leads nowhere.")
    return addresses[0]


async def pinned(url: str, *, private: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Give what calls an address by its number: its URL, its headers, and what TLS checks.

    Raises:
        ActionFailed: it may not be called.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    if not secure and not private:
        raise ActionFailed(f"{host} is not called without encryption: write https.")
    port = parts.port or (443 if secure else 80)
    address = await resolved(host, port, private=private)
    number = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - a version
    target = parts._replace(netloc=f"{number}:{port}", fragment="").geturl()
    return target, {"Host": parts.netloc}, {"sni_hostname": host} if secure else {}
