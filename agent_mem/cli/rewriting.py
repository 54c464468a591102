"""Change another program's file: all of it or nothing, with a copy of what it was beside it."""

import stat
from pathlib import Path

from agent_mem.errors import InvalidInput, Outdated
from agent_mem.storage.archive import replacing, writing

SUFFIX = ".before-agent-mem"


def read(path: Path) -> str | None:
    """Read a file as it is, ends of lines too; None where there is none.

    Raises:
        InvalidInput: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8: nothing was changed.") from None
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}."
        raise InvalidInput(f"{why} Nothing was changed.") from None


def replace(path: Path, old: str | None, new: str | None) -> None:
    """Put new text where the old one was, None for no file; links and modes stay what they were.

    Raises:
        Outdated: what is there is not the old text any more.
        StorageError: it cannot be written.
    """
    if new is None:
        unchanged(path, old)
        remove(path)
        return
    with writing(str(path)):
        path.resolve().parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(path.stat().st_mode) if old is not None else None
    with replacing(path) as file:
        file.write(new.encode())
        unchanged(path, old)
    if mode is not None:
        path.chmod(mode)


def unchanged(path: Path, old: str | None) -> None:
    if read(path) != old:
        raise Outdated(f"{path} has just been changed by another program: run this again.", {})


def remove(path: Path) -> None:
    with writing(str(path)):
        path.unlink(missing_ok=True)


def backup(path: Path) -> Path:
    """Name the copy of what a file was before us."""
    return path.with_name(path.name + SUFFIX)


def keep(path: Path, text: str | None) -> None:
    """Copy what a file is, in place of an older copy; as few may read it. No file is an empty copy.

    Raises:
        StorageError: it cannot be written.
    """
    copy = backup(path)
    with writing(str(copy)):
        copy.parent.mkdir(parents=True, exist_ok=True)
    with replacing(copy) as file:
        file.write((text or "").encode())
    if text is not None:
        copy.chmod(stat.S_IMODE(path.stat().st_mode))
