"""Paths that are the same file on every system, and never outside the folder that they are of."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

LONGEST: Final = 200
"""Bytes of one name, and below of a whole path: an unpacked archive has to fit on Windows, too."""
LONGEST_PATH: Final = 400
UNPORTABLE: Final = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"|?*\\\\]')
RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever comes after the dot."""


def portable(path: str) -> str:
    """Refuse a path that leads out of its folder, or that some system has no such file for."""
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        raise ValueError(f"is a path of more than {LONGEST_PATH} bytes: shorten it")
    if path.startswith("/"):
        raise ValueError(f"is an absolute path, `{path}`: name a file inside the folder")
    for name in path.split("/"):
        if wrong := unportable(name):
            raise ValueError(f"has the path {path!r}, in which `{name}` {wrong}: rename it")
    return path


def unportable(name: str) -> str | None:
    """Say why a name cannot be a file's everywhere; None if it can."""
    if name in ("", ".", ".."):
        return "is no name"
    if UNPORTABLE.search(name):
        return "has a character that is not allowed everywhere"
    if name != name.strip(" ").rstrip("."):
        return "begins or ends with a space, or ends with a dot"
    if RESERVED.fullmatch(name):
        return "is a device on Windows"
    if len(name.encode(errors="replace")) > LONGEST:
        return f"has more than {LONGEST} bytes"
    return None


Portable = Annotated[str, AfterValidator(portable)]
