"""What stays the same when the same problem comes again."""

import re

from agent_mem.records.record import digest

LONGEST = 300
VARIABLE = re.compile(
    # What names the error stays: HTTP 404, status=500, exit code 3, and a number that is part of
    # a word, as in ORA-00942.
    r"(?P<kept>\b(?:http|status|code|errno|error|exit|signal|sqlstate)[\s:=#(\[]{0,3}\d+\b)"
    r"|0x[0-9a-f]+"  # addresses
    r"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b"  # ids
    r"|(?:[a-z]:)?[\\/][\w.\\/-]*[\\/]"  # the folders of a path; the file's name says more
    r"|\b[0-9a-f]{12,}\b"  # hashes
    r"|(?<![a-z\d])(?<![a-z]-)\d+(?:[.,:-]\d+)*"  # numbers, dates, times, versions, ports
)


def signature(text: str) -> str:
    """Reduce a problem to what stays when it comes again: no ids, folders, or loose numbers."""
    reduced = VARIABLE.sub(lambda match: match["kept"] or "#", text.lower())
    same = " ".join(reduced.split())
    # The end of a long problem, where a traceback has its error, is told by its hash.
    return same if len(same) <= LONGEST else f"{same[:LONGEST]}… {digest(same)[:16]}"
