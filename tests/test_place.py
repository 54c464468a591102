"""Where a database is refused, before anything is made there."""

import sys
from pathlib import Path

import pytest

from agent_mem.config import Settings
from agent_mem.errors import UnsafePlace
from agent_mem.storage.place import check, filesystem
from agent_mem.storage.sqlite import SQLite

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells its mounts")

MOUNTS = """\
/dev/root / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/me/disk ext4 rw 0 0
//server/my\\040files /media/my\\040files cifs rw 0 0
C:\\134 /mnt/c 9p rw 0 0
me@server: /media/far fuse.sshfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mounts"
    path.write_text(MOUNTS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "folder",
    [
        "Dropbox/memory",
        "Dropbox (Work)",
        "OneDrive - Company/x/y",
        "Google Drive",
        "GoogleDrive-me@example.org",
        "iCloud Drive",
        "Library/Mobile Documents/com~apple~CloudDocs/memory",
    ],
)
def test_a_folder_that_a_cloud_client_syncs_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UnsafePlace, match=r"is synced by .* set AGENT_MEM_DB to a file on a local"):
        check(tmp_path / folder / "memory.db")


@pytest.mark.parametrize("folder", ["drop/box", "my onedrive notes", "documents"])
def test_a_folder_that_only_sounds_alike_is_not(tmp_path: Path, folder: str) -> None:
    check(tmp_path / folder / "memory.db")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_into_a_synced_folder_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "Dropbox").mkdir()
    (tmp_path / "memory").symlink_to(tmp_path / "Dropbox")

    with pytest.raises(UnsafePlace, match="is synced by Dropbox"):
        check(tmp_path / "memory" / "memory.db")


@linux
@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/homely", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/me/disk/x", "ext4"),
        ("/media/my files/x", "cifs"),
        ("/mnt/c/Users", "9p"),
    ],
)
def test_the_innermost_mount_says_what_a_folder_is_on(mounts: Path, folder: str, kind: str) -> None:
    assert filesystem(Path(folder), mounts) == kind


@linux
@pytest.mark.parametrize("folder", ["/home/me", "/media/my files", "/mnt/c/Users", "/media/far"])
def test_a_network_drive_is_refused(mounts: Path, folder: str) -> None:
    with pytest.raises(UnsafePlace, match=r"is on .*, where several processes cannot share"):
        check(Path(folder) / "memory.db", mounts)


@linux
def test_a_disk_inside_a_network_drive_is_a_disk(mounts: Path) -> None:
    check(Path("/home/me/disk/memory.db"), mounts)


def test_where_the_system_tells_no_mounts_a_folder_is_trusted(tmp_path: Path) -> None:
    assert filesystem(tmp_path, tmp_path / "none") == ""

    check(tmp_path / "memory.db", tmp_path / "none")


@pytest.mark.anyio
async def test_nothing_is_made_where_no_database_may_be(tmp_path: Path) -> None:
    settings = Settings(db=tmp_path / "Dropbox" / "memory.db")

    with pytest.raises(UnsafePlace):
        async with SQLite.open(settings.db):
            pass

    assert not settings.db.parent.exists()
