"""Skills in folders: read with everything in them, and written back byte for byte."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from agent_mem.errors import InvalidInput, StorageError
from agent_mem.records.portable import portable
from agent_mem.records.skill import LARGEST, MOST_FILES, SKILL_MD
from agent_mem.skills.document import decoded
from agent_mem.skills.drafting import completed
from agent_mem.skills.publishing import Draft

LEFT_OUT: Final = frozenset({".git", ".DS_Store", "__pycache__", "Thumbs.db"})
"""What tools leave in a folder, and nobody means."""


def drafts(folders: list[Path]) -> list[Draft]:
    """Read skills, or folders of skills.

    Raises:
        InvalidInput: a sentence for each thing that is wrong; then none may be published.
    """
    found: list[Draft] = []
    wrong: list[str] = []
    for folder in (skill for given in folders for skill in among(given)):
        try:
            found.append(draft(folder))
        except InvalidInput as error:
            wrong.append(f"{folder.name}: {error}")
        except OSError as error:
            wrong.append(f"{folder.name} cannot be read: {error.strerror}.")
    if wrong:
        raise InvalidInput(" ".join(wrong))
    return found


def among(folder: Path) -> list[Path]:
    """List the skills in a folder, or the one that it is.

    Raises:
        InvalidInput: there is none.
    """
    if (folder / SKILL_MD).is_file():
        return [folder.absolute()]
    if not folder.is_dir():
        raise InvalidInput(f"There is no folder {folder}.")
    found = [each for each in sorted(folder.iterdir()) if (each / SKILL_MD).is_file()]
    if not found:
        raise InvalidInput(f"In {folder} there is no {SKILL_MD}, nor in a folder in it.")
    return found


def draft(folder: Path) -> Draft:
    """Read one skill.

    Raises:
        InvalidInput: what is wrong with it.
        OSError: it cannot be read.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in walked(folder, folder.resolve())}
    refuse_paths(paths)
    if len(paths) > MOST_FILES:
        raise InvalidInput(f"It has {len(paths)} files, which is more than {MOST_FILES}.")
    if (size := sum(path.stat().st_size for path in paths.values())) > LARGEST:
        raise InvalidInput(f"Its files have {size} bytes, which is more than {LARGEST}.")
    text = decoded(paths.pop(SKILL_MD).read_bytes())
    read = Draft(
        body=text,
        files={name: path.read_bytes() for name, path in paths.items()},
        executable=frozenset(n for n, p in paths.items() if p.stat().st_mode & stat.S_IXUSR),
    )
    return completed(read, folder.name)


def walked(folder: Path, root: Path) -> Iterator[Path]:
    """List the files in a folder and its folders.

    Raises:
        InvalidInput: a link leads out of it, or to a folder; or there is what is no file.
    """
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT:
            continue
        if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(root)):
            raise InvalidInput(f"`{path.name}` is a link that leads to no file inside the folder.")
        if path.is_dir():
            yield from walked(path, root)
        elif path.is_file():
            yield path
        else:
            raise InvalidInput(f"`{path.name}` is neither a file nor a folder.")


def refuse_paths(paths: Mapping[str, object]) -> None:
    """Refuse what would not be the same files on another system.

    Raises:
        InvalidInput: which.
    """
    folded: dict[str, str] = {}
    for path in paths:
        try:
            portable(path)
        except ValueError as error:
            raise InvalidInput(f"It {error}.") from None
        if (other := folded.setdefault(path.casefold(), path)) != path:
            raise InvalidInput(f"`{other}` and `{path}` are one file on some systems: rename one.")


def write(folder: Path, files: Mapping[str, bytes], executable: frozenset[str]) -> None:
    """Write a skill into a folder that is not there, or has the same in it.

    Raises:
        InvalidInput: it has something else in it, or a path leads out of it.
        StorageError: it cannot be written.
    """
    refuse_paths(files)
    try:
        if folder.exists() and there(folder) != dict(files):
            raise InvalidInput(f"{folder} has something else in it: export elsewhere.")
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            if name in executable and os.name == "posix":
                path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error


def there(folder: Path) -> dict[str, bytes]:
    """Read what is in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in walked(folder, folder.resolve())
    }
