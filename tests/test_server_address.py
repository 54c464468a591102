"""The address of a PostgreSQL: what is wrong with it, in a sentence, and whom to trust there."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers_postgres import Cluster
from helpers_tls import DAY, HOST, Authority, door

from agent_mem.errors import AgentMemError, InvalidInput, ServerRefused, ServerUnreachable
from agent_mem.storage import postgres
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.server_address import encryption, local, understood

pytestmark = pytest.mark.anyio

SECRET = "hunter22"  # noqa: S105 - looked for in what is said


async def complaint(url: str) -> AgentMemError:
    """Open a database that cannot be opened; give what is said of it."""
    with pytest.raises(AgentMemError) as raised:
        async with Postgres.open(url, "me"):
            pass
    said = str(raised.value)
    assert said.endswith(".")
    assert not said.endswith("..")
    assert SECRET not in said
    assert "\n" not in said
    return raised.value


def at(cluster: Cluster, **more: object) -> str:
    parts = {"role": "plain", "host": "127.0.0.1", "port": cluster.server.port, "name": "x", **more}
    return "postgresql://{role}:{secret}@{host}:{port}/{name}".format(**{"secret": SECRET, **parts})


async def test_a_wrong_password_is_refused(cluster: Cluster) -> None:
    error = await complaint(at(cluster))

    assert type(error) is ServerRefused
    assert str(error) == 'PostgreSQL: password authentication failed for user "plain".'


async def test_a_database_that_is_not_there_is_told_by_its_name(cluster: Cluster) -> None:
    error = await complaint(at(cluster, secret="plain"))  # noqa: S106 - of a test's role

    assert type(error) is ServerRefused
    assert str(error) == 'PostgreSQL: database "x" does not exist.'


async def test_a_port_where_nobody_listens_is_unreachable(cluster: Cluster) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        error = await complaint(at(cluster, port=closed.getsockname()[1]))

    assert type(error) is ServerUnreachable


async def test_a_host_that_is_not_there_is_unreachable(cluster: Cluster) -> None:
    assert type(await complaint(at(cluster, host="nowhere.invalid"))) is ServerUnreachable


async def test_a_server_that_says_nothing_is_given_up(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error = await complaint(at(cluster, port=silent.getsockname()[1]))

    assert type(error) is ServerUnreachable
    assert str(error) == "PostgreSQL cannot be reached: it does not answer."


async def test_a_server_that_is_no_postgresql_is_refused(cluster: Cluster) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as web:
        error = await complaint(at(cluster, port=web.sockets[0].getsockname()[1]))

    assert type(error) is ServerRefused


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"me:{SECRET}@host/db",
        f"mysql://me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@host:port/db",
        f"postgresql://me:{SECRET}/more@host/db",
        f"postgresql://me:{SECRET}@[host/db",
        f"postgresql://me:{SECRET}\u2100@host/db",
        f"postgresql://me:{SECRET}@host/db?sslmode=perhaps",
        f"postgresql://me:{SECRET}@host/db?sslmode=verify-full&sslnegotiation=no",
        f"postgresql://me:{SECRET}@{'x' * 64}.de/db",
    ],
)
async def test_an_address_that_makes_no_sense_is_invalid(url: str) -> None:
    error = await complaint(url)

    assert type(error) is InvalidInput
    assert str(error).startswith("AGENT_MEM_SERVER ")


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "verify_full"])
async def test_who_asks_for_a_certificate_and_names_no_authority_is_told_how(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    error = await complaint(f"{at(cluster)}?sslmode={mode}")

    assert type(error) is InvalidInput
    assert str(error) == (
        "AGENT_MEM_SERVER cannot be used: it asks for a checked certificate, and no authority is"
        " named: write sslrootcert=system for the authorities of this system, or the path of your"
        " own, as in sslrootcert=/path/to/ca.pem."
    )


@pytest.mark.parametrize("mode", ["verify-full", "require"])
@pytest.mark.parametrize("by", ["address", "environment"])
async def test_an_authority_that_cannot_be_read_is_told_by_its_name(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str, by: str
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (empty, tmp_path, tmp_path / "nowhere.pem"):
        monkeypatch.setenv("PGSSLROOTCERT", str(path) if by == "environment" else "")
        named = f"&sslrootcert={path}" if by == "address" else ""
        error = await complaint(f"{at(cluster)}?sslmode={mode}{named}")

        assert type(error) is InvalidInput
        assert f"sslrootcert={path} is no file of certificates: " in str(error)
        assert "sslrootcert=system" in str(error)


@pytest.mark.parametrize("name", ["sslcert", "sslkey", "sslcrl"])
async def test_a_file_that_the_address_names_and_that_is_not_there_is_told(
    cluster: Cluster, name: str
) -> None:
    error = await complaint(f"{at(cluster)}?sslmode=require&{name}=/nowhere.pem")

    assert type(error) is InvalidInput
    assert str(error) == f"AGENT_MEM_SERVER: {name}=/nowhere.pem is no file here."


async def test_a_file_that_the_mode_does_not_read_need_not_be_there(server_url: str) -> None:
    async with Postgres.open(f"{server_url}?sslmode=prefer&sslrootcert=/nowhere.pem", "me"):
        pass


@pytest.mark.parametrize(
    "hosts",
    [
        "",
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "[::1]",
        "[::1]:5432",
        "%2Ftmp",
        "localhost,[::1]:1",
    ],
)
def test_this_machine_is_local(hosts: str) -> None:
    assert local(f"postgresql://me:secret@{hosts}/db")
    assert encryption(f"postgresql://me:secret@{hosts}/db") is None


@pytest.mark.parametrize(
    "address",
    [
        "//me:secret@example.org/db",
        "//example.org/localhost",
        "//127.0.0.2/db",
        "//localhost.example.org/db",
        "//me:secret@localhost:1,example.org:2/db",
        "//me:x@localhost@example.org/db",
        "//me:x@example.org@localhost/db",
        "///db?host=example.org",
        "///db?host=localhost,example.org",
        "///db?service=far",
        "//db.example.org/db?host=/tmp",
    ],
)
def test_every_other_server_has_to_show_a_certificate(address: str) -> None:
    context = encryption(f"postgresql:{address}")

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("query", ["host=/tmp", "host=%2Ftmp", "host=localhost", "host=::1"])
def test_a_socket_or_this_machine_may_be_named_in_the_query(query: str) -> None:
    assert local(f"postgresql:///db?{query}")


@pytest.mark.parametrize(
    ("name", "value", "is_local"),
    [("PGHOST", "example.org", False), ("PGHOST", "/tmp", True), ("PGSERVICE", "far", False)],  # noqa: S108 - where sockets are
)
def test_a_host_of_the_environment_counts_where_the_address_has_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, *, is_local: bool
) -> None:
    monkeypatch.setenv(name, value)

    assert local("postgresql:///db") is is_local
    assert local("postgresql://localhost/db")


def test_what_the_address_says_of_certificates_is_left_to_the_driver() -> None:
    assert encryption("postgresql://example.org/db?sslmode=require") is None
    assert encryption("postgresql://example.org/db?sslmode=") is not None


def test_the_certificates_of_the_system_are_used_where_the_address_asks_for_them() -> None:
    for host in ("example.org", "localhost"):
        context = encryption(f"postgresql://{host}/db?sslmode=verify-full&sslrootcert=system")

        assert context is not None
        assert context.check_hostname


def test_what_only_other_drivers_understand_is_left_out() -> None:
    url = "postgresql://me:p%2Fw@ep-x.example.org/db?sslmode=require&channel_binding=require"

    assert understood(url) == "postgresql://me:p%2Fw@ep-x.example.org/db?sslmode=require"
    assert understood("postgres://h/db?pgbouncer=true") == "postgres://h/db"
    assert urlsplit(understood("postgresql:///db?host=/tmp")).path == "/db"


async def test_an_address_for_other_drivers_is_understood(server_url: str) -> None:
    async with Postgres.open(f"{server_url}?connect_timeout=5&gssencmode=disable", "me"):
        pass


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Have this system trust an authority."""
    trusted = Authority.make(tmp_path, "trusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.root()))
    try:
        socket.create_server((HOST, 0)).close()
    except OSError:
        pytest.skip(f"this system has no {HOST}")
    return trusted


async def through(url: str, paper: Path | None, query: str = "") -> Any:  # noqa: ANN401 - what is wrong
    """Open a database through a door that shows a certificate."""
    parts = urlsplit(url)
    async with door(parts.port or 0, paper) as (opened, port):
        there = f"postgresql://plain:plain@{HOST}:{port}{parts.path}{query}"
        try:
            async with Postgres.open(there, "me") as engine:
                await engine.found()
        except AgentMemError as error:
            assert opened.plain == 0
            return error
    return None


async def test_a_good_certificate_is_accepted(server_url: str, authority: Authority) -> None:
    assert await through(server_url, authority.issue(HOST)) is None


async def test_a_certificate_of_ones_own_authority_is_accepted(
    server_url: str, authority: Authority, tmp_path: Path
) -> None:
    del authority
    mine = Authority.make(tmp_path, "mine")
    query = f"?sslmode=verify-full&sslrootcert={mine.root()}"

    assert await through(server_url, mine.issue(HOST), query) is None
    refused(await through(server_url, mine.issue("127.0.0.3"), query), "IP address mismatch")


async def test_a_certificate_that_has_expired_is_refused(
    server_url: str, authority: Authority
) -> None:
    old = authority.issue(HOST, datetime.now(UTC) - DAY)

    refused(await through(server_url, old), "certificate has expired")


async def test_a_certificate_of_another_host_is_refused(
    server_url: str, authority: Authority
) -> None:
    error = await through(server_url, authority.issue("127.0.0.3"))

    refused(error, f"IP address mismatch, certificate is not valid for '{HOST}'")


async def test_a_certificate_that_nobody_trusted_signed_is_refused(
    server_url: str, authority: Authority, tmp_path: Path
) -> None:
    del authority
    mine = Authority.make(tmp_path, "mine").issue(HOST)

    refused(await through(server_url, mine), "unable to get local issuer certificate")


async def test_a_certificate_that_signed_itself_is_refused(
    server_url: str, authority: Authority, tmp_path: Path
) -> None:
    del authority
    itself = Authority.make(tmp_path, "itself").root()

    refused(await through(server_url, itself), "self-signed certificate")


async def test_a_server_without_tls_is_told_nothing(server_url: str, authority: Authority) -> None:
    del authority
    refused(await through(server_url, None), "rejected SSL upgrade")


async def test_less_is_checked_where_the_address_says_so(
    server_url: str, authority: Authority, tmp_path: Path
) -> None:
    del authority
    mine = Authority.make(tmp_path, "mine").issue(HOST)

    assert await through(server_url, mine, "?sslmode=require") is None


def refused(error: AgentMemError, why: str) -> None:
    assert type(error) is ServerRefused
    assert str(error).startswith("No safe connection to PostgreSQL: ")
    assert why in str(error)
    assert str(error).endswith(".")
