"""PostgreSQL behind TLS: a door in front of a server that has none, and papers for the door."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from anyio import create_task_group
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.2"
"""An address of this machine that does not look like one: TLS is asked for."""
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


@dataclass(frozen=True)
class Authority:
    """Someone who signs certificates; themselves, too."""

    folder: Path
    name: str
    key: Key

    @classmethod
    def make(cls, folder: Path, name: str) -> "Authority":
        return cls(folder, name, ec.generate_private_key(ec.SECP256R1()))

    def root(self) -> Path:
        """Write the certificate that others trust."""
        basic = x509.BasicConstraints(ca=True, path_length=None)
        signed = self._draft(self.name, self.key, datetime.now(UTC) + DAY)
        return self._written(signed.add_extension(basic, critical=True), self.key, self.name)

    def issue(self, host: str, until: datetime | None = None) -> Path:
        """Write a certificate for a host, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        draft = self._draft(host, key, until or datetime.now(UTC) + DAY)
        return self._written(draft.add_extension(names, critical=False), key, f"{self.name}-{host}")

    def _draft(self, subject: str, key: Key, until: datetime) -> x509.CertificateBuilder:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - 3 * DAY)
            .not_valid_after(until)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(authority, critical=False)
        )

    def _written(self, draft: x509.CertificateBuilder, key: Key, name: str) -> Path:
        path = self.folder / f"{name}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certificate = draft.sign(self.key, hashes.SHA256())
        path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
        return path


class Door:
    """Takes connections for a server, with TLS or refusing it, and counts what is said in plain."""

    def __init__(self, behind: int, paper: Path | None) -> None:
        self.behind = behind
        self.plain = 0
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if paper else None
        if self._context and paper:
            self._context.load_cert_chain(paper)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a client's wish for TLS, and pass on what comes after it."""
        async with AsyncExitStack() as opened:
            opened.enter_context(closing(writer))
            await reader.readexactly(8)  # the client asks for TLS
            writer.write(b"S" if self._context else b"N")
            if self._context is None:
                self.plain += len(await reader.read(1))
                return
            try:
                await writer.start_tls(self._context)
            except (OSError, ssl.SSLError):
                return
            there = await asyncio.open_connection("127.0.0.1", self.behind)
            opened.enter_context(closing(there[1]))
            async with create_task_group() as both:
                both.start_soon(pass_on, reader, there[1])
                await pass_on(there[0], writer)
                both.cancel_scope.cancel()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(1 << 16):
        writer.write(some)
        await writer.drain()


@asynccontextmanager
async def door(behind: int, paper: Path | None) -> AsyncGenerator[tuple[Door, int]]:
    """Open a door on a port of its own."""
    made = Door(behind, paper)
    listening = await asyncio.start_server(made.serve, HOST, 0)
    async with listening:
        yield made, listening.sockets[0].getsockname()[1]
