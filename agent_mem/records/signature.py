"""What stays the same when the same problem comes again."""

import re

LONGEST = 300
VARIABLE = re.compile(
    r"0x[0-9a-f]+"  # addresses
    r"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b"  # ids
    r"|(?:[a-z]:)?[\\/][\w.\\/-]*[\\/]"  # the folders of a path; the file's name says more
    r"|\b[0-9a-f]{12,}\b"  # hashes
    r"|\d+(?:[.,:]\d+)*"  # numbers, times, versions, ports
)


def signature(text: str) -> str:
    """Reduce a problem to its signature: no numbers, ids or folders, one space, lower case."""
    return " ".join(VARIABLE.sub("#", text.lower()).split())[:LONGEST]
