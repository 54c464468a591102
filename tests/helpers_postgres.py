"""A real PostgreSQL for tests: one server a test process, one database a test."""

import itertools
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from agent_mem.cli.trial import Trial, trial
from agent_mem.storage.postgres import Postgres, asyncpg

PLAIN = "plain"
"""The role that tests use: it may log in, and owns its databases."""
TEMPLATE = "migrated"
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'plain'"


class Cluster:
    """A server with a database whose tables are made, to be copied."""

    def __init__(self, server: Trial, portal: BlockingPortal) -> None:
        self.server = server
        self._portal = portal
        self._numbers = itertools.count(1)

    def url(self, database: str, role: str = PLAIN) -> str:
        """Give the address of a database for a role; its password is its name."""
        return f"postgresql://{role}:{role}@127.0.0.1:{self.server.port}/{database}"

    def prepare(self) -> None:
        self.sql(f"CREATE ROLE {PLAIN} LOGIN PASSWORD '{PLAIN}'")
        self.sql(f"CREATE DATABASE {TEMPLATE} OWNER {PLAIN}")
        self.sql("CREATE EXTENSION vector", TEMPLATE)
        self._portal.call(self._migrate)
        self.sql("DELETE FROM agent_mem.feed", TEMPLATE)

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Generator[str]:
        """Make a database for one test, and drop it."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} OWNER {PLAIN} TEMPLATE {template}")
        try:
            yield name
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def sql(self, text: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        self._portal.call(execute, self.server.url(database), text)

    def worker(self, role: str, database: str) -> None:
        """Make a role that may work with the tables, and neither make nor change one."""
        self.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
        self.sql(f"GRANT USAGE ON SCHEMA agent_mem TO {role}", database)
        may = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA agent_mem TO"
        self.sql(f"{may} {role}", database)

    def cut(self) -> None:
        """Break all connections of the role that tests use."""
        self.sql(CUT)

    async def _migrate(self) -> None:
        async with Postgres.open(self.url(TEMPLATE), "nobody"):
            pass


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Any]:
    """Open a connection that knows nothing of ours."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def execute(url: str, text: str) -> None:
    async with connected(url) as connection:
        await connection.execute(text)


async def analyzed(url: str, table: str) -> bool:
    """Tell whether the planner knows how many rows a table has."""
    sql = f"SELECT reltuples > 0 FROM pg_class WHERE oid = 'agent_mem.{table}'::regclass"  # noqa: S608 - ours
    ((known,),) = await fetch(url, sql)
    return known


async def fetch(url: str, text: str) -> list[Any]:
    async with connected(url) as connection:
        return await connection.fetch(text)


@contextmanager
def running() -> Generator[Cluster]:
    with trial() as server, start_blocking_portal() as portal:
        cluster = Cluster(server, portal)
        cluster.prepare()
        yield cluster
