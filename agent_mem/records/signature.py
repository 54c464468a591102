"""What stays the same when the same problem comes again.

Each pattern begins where a word or a path begins and looks ahead so far at most: the time that a
text takes grows with its length, whatever is in it.
"""

import re
from typing import Final

from agent_mem.records.record import digest

LONGEST: Final = 300

KEPT: Final = r"""
    \b(?i:http(?:/[\d.]+)?|status|code|errno|error|exit|signal|sqlstate|hresult)
    [\s:=\#(\['"]{0,3} (?:0x[\dA-Fa-f]+|\d+)\b                 # HTTP 404, exit code 137, errno 13
    | \b[A-Z]{2,}-\d+(?:-\d+)*\b                               # ORA-00942, SHA-256
    | \b(?:utf|sha|iso|aes)-\d+(?:-\d+)*\b                     # the same in small letters
"""
"""What looks variable and names the problem."""

FOLDERS: Final = r"""
    (?: (?<![A-Za-z\d+.-])[a-z][a-z\d+.-]{0,30}://             # https://example.com:8080/a/
        [^\s/'"<>()\[\]]*+ (?:/(?:[^\s/'"<>()]*/)*)?
    |   [A-Za-z]:[\\/]+ (?:[^\\/:*?"'<>|\r\n]{1,80}[\\/]+)*    # C:\\Program Files\\x\\
    |   (?<![\w.~/])~?/ (?:[^\s\\/:'"`()\[\]<>|,;=*?]+/)*      # /usr/lib/
    |   (?<![\w.@+~/\\-]) (?:[\w.@+~-]{1,100}[\\/])+           # src/lib/ of src/lib/cart.ts
        (?=[\w.-]{0,100}\.[A-Za-z])
    )
"""
TEMPORARY: Final = r"""
    (?:/private)?(?:/var)?/tmp/[^\s:'"`()]+
    | (?<!\w)(?:tmp|temp)[._-]?(?=\w{0,40}\d)\w{5,}
"""
PLACE: Final = rf"""
    {FOLDERS}? (?<![\w.+-])
    (?: [\w.+-]{{0,100}}\w\.[A-Za-z]\w{{0,9}} | \w{{0,9}}[Mm]akefile )
    (?=['"]?(?:[:(]\d|:\ \d+:|:?,?\ (?:on\ )?line\ \d))        # cart.ts:3, cart.ts(3,7), line 3
    | (?:/home|/Users)/[^\s/:'"]+ (?![^\s:'"])                 # a user's own folder
"""
HEX: Final = r"[\dA-Fa-f]"
IPV6: Final = rf"""
    (?<![\w:]) (?=[:\dA-Fa-f]*\d) (?={HEX}*:(?:{HEX}*:)*?:|(?:{HEX}+:){{5}})
    (?:{HEX}{{0,4}}:){{2,7}} (?:{HEX}{{1,4}}|(?<=::)) (?::\d+)? (?!\w)
"""
ADDRESS: Final = rf"""
    (?<![\w.+-])[\w.+-]{{1,100}}@(?:(?!\d)(?:[\w-]+\.)+[A-Za-z]{{2,}}\b|\d+(?:\.\d+){{3}})
    | {IPV6} | \[{IPV6}\](?::\d+)?                             # and those of network cards
    | 0x{HEX}+
    | \b(?:DESKTOP|LAPTOP|WIN)-[A-Z\d]{{7,}}\b                 # machines that named themselves
"""
ID: Final = rf"""
    \b{HEX}{{8}}-(?:{HEX}{{4}}-){{3}}{HEX}{{12}}\b
    | -[bcdfghjklmnpqrstvwxz\d]{{5,10}}-[bcdfghjklmnpqrstvwxz\d]{{5}}\b       # of a pod
    | (?<![A-Za-z\d]) (?=[A-Fa-f]*\d)(?=\d*[A-Fa-f]) {HEX}{{7,}} (?![A-Za-z\d])
    | (?<![A-Za-z\d]) (?=[A-Za-z\d]{{8}})                      # letters and digits by turns
      (?:(?:[A-Za-z]+\d+){{2}}[A-Za-z]|(?:\d+[A-Za-z]+){{2}}\d)[A-Za-z\d]*
"""
ZONE: Final = r"(?:\s(?:UTC|GMT|[CEMPW]E?[SD]?T|[+-]\d{4})\b){0,2}"
TIME: Final = rf"""
    \d{{4}}-\d\d-\d\d[T_]\d\d[:_]\d\d(?:[:_]\d\d)?(?:[.,_]\d+)?(?:Z|[+-]\d\d:?\d\d)?
    | (?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)? (?:\b\d{{1,2}}[\ /-])?
      \b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*
      [\ /-]\s?\d{{1,4}}(?:[\ :,]+\d+)* {ZONE}
    | (?<![A-Za-z\d])(?:\d+(?:\.\d+)?(?:[nuµm]?s|[dhm]))+(?![A-Za-z\d])       # 3m2s
"""
UNIT: Final = r"""
    (?: \s?(?: % | [nuµm]?s | sec(?:ond)?s? | min(?:ute)?s? | h(?:ou)?rs? | days?
    | [kKMGTP]i?[Bb] | [Bb]ytes? ) | [mhdkKMGTB] ) (?![A-Za-z\d])
"""
NUMBER: Final = rf"""
    (?<![A-Za-z\d])(?:(?<![\w.])-)?v?\d+(?:[.,:/x-]\d+)*       # versions, ports, times, shapes, too
    (?:-(?:alpha|beta|rc|dev|pre|next|canary|SNAPSHOT)[.\d-]*)? (?:,(?=\)))?
    (?:{UNIT}|\s?[AaPp][Mm]\b)? {ZONE}
"""
COLOUR: Final = r"\x1b\[[\d;]*[A-Za-z]"
FOUND: Final = re.compile(
    f"(?P<kept>{KEPT})|{COLOUR}|{TEMPORARY}|{PLACE}|(?P<folders>{FOLDERS})|{ADDRESS}|{ID}|{TIME}"
    f"|{NUMBER}",
    re.VERBOSE,
)
RUN: Final = re.compile(r"#(?:[\s.,:;/+_-]{0,3}\(?#\)?)+")
COUNTED: Final = re.compile(r"(?<=# )([a-z]{3,}?)s\b")
RULED: Final = re.compile(r"([~^=_-])\1{2,}|[~^]+")
QUOTES: Final = str.maketrans(
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}`"
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}",
    "'''\"\"",
)


def signature(text: str) -> str:
    """Reduce a problem to what stays when it comes again: no places, addresses, ids or counts.

    A quoted name stays, since the fix for one module is not the fix for another; what is variable
    in it goes, as everywhere. A file's name stays unless it only tells where in the code it was.
    """
    reduced = RULED.sub("", FOUND.sub(instead, text.translate(QUOTES))).lower()
    same = COUNTED.sub(r"\1", RUN.sub("#", " ".join(reduced.split())))
    # The end of a long problem, where a traceback has its error, is told by its hash.
    return same if len(same) <= LONGEST else f"{same[:LONGEST]}… {digest(same)[:16]}"


def instead(match: re.Match[str]) -> str:
    """Write what stands for a part of a text: itself, a mark, or nothing."""
    return match["kept"] or ("" if match["folders"] else "#")
