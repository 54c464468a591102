"""Where a database may live: WAL needs shared memory, which network and cloud folders lack."""

import sys
from pathlib import Path

from agent_mem.errors import UnsafePlace

CLOUD_FOLDERS = (
    "dropbox",
    "onedrive",
    "google drive",
    "googledrive",
    "icloud drive",
    "com~apple~clouddocs",
)
NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "afs", "davfs", "ncp")
MOUNTS = Path("/proc/self/mounts")


def check(path: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a folder in which two processes would not see each other's locks.

    Raises:
        UnsafePlace: the folder is synced by a cloud client, or is on a network drive.
    """
    folder = path.expanduser().resolve().parent
    if named := [part for part in folder.parts if part.lower().startswith(CLOUD_FOLDERS)]:
        raise UnsafePlace(
            f"{folder} is synced by {named[0]}, which copies a database while it is written:"
            " set AGENT_MEM_DB to a file on a local disk."
        )
    kind = "a network share" if str(folder).startswith("\\\\") else filesystem(folder, mounts)
    if kind.startswith(("a network", *NETWORK_FILESYSTEMS)):
        raise UnsafePlace(
            f"{folder} is on {kind}, where several processes cannot share a database:"
            " set AGENT_MEM_DB to a file on a local disk."
        )


def filesystem(folder: Path, mounts: Path) -> str:
    """Name the file system of a folder where the system tells (Linux); else nothing."""
    if sys.platform != "linux" or not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, name, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind
