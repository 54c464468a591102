"""From text to terms: the one analyzer, for what is stored and for what is asked."""

import re
import unicodedata
from functools import lru_cache

from agent_mem.recall.stemming import stem

_FUNCTION_WORDS = """
    a about after again all also although am an and any anything are aren as at be because been
    before being both but by can cannot could did do does doing don done down during each else
    ever every few for from further had has have having he her here hers herself hey him himself
    his how i if in into is it its itself just let lot me more most much my myself no nor not of
    off oh ok okay on once only or other our ours ourselves out over own quite really s same
    shall she should so some something such t than that the their theirs them themselves then
    there these they this those though through till to too under until up us very was we were
    what when where whether which while who whom whose why will with would yeah yes yet you your
    yours yourself yourselves
"""
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())

# Letters that Unicode does not take apart, the apostrophe, and a sigma at a word's end.
_FOLDED = str.maketrans(
    {"ß": "ss", "æ": "ae", "ø": "o", "ð": "d", "þ": "th", "đ": "d", "ħ": "h", "ĸ": "k", "ł": "l"}
    | {"ŋ": "n", "œ": "oe", "ŧ": "t", "\u0131": "i", "\u03c2": "\u03c3", "\u2019": "'"}
    | {"ẞ": "SS", "Æ": "AE", "Ø": "O", "Ð": "D", "Þ": "TH", "Đ": "D", "Ħ": "H", "Ł": "L"}
    | {"Ŋ": "N", "Œ": "OE", "Ŧ": "T"}
)
_DIACRITIC = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\ufe00-\ufe0f]+")

# Scripts that are written without spaces.
_UNSPACED = "\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4db5\u4e00-\u9fcc\uac00-\ud7a3"
# Greek, Cyrillic, Hebrew and Arabic letters. These, the unspaced, and ASCII letters and digits are
# kept inside one token by every build of FTS5's unicode61; all else is spelt by its code point.
_LETTERS = "\u03b1-\u03c1\u03c3-\u03c9\u0430-\u045f\u05d0-\u05ea\u0621-\u063a\u0641-\u064a"
_FOREIGN = re.compile(f"[^\x00-\x7f{_UNSPACED}{_LETTERS}]")

_WORD = f"[a-zA-Z0-9_{_LETTERS}]+"
_TOKEN = re.compile(
    rf"[{_UNSPACED}]+|{_WORD}(?:(?:[-'./\\:@]+|(?<=[0-9]),(?=[0-9]{{3}})){_WORD})*"
    r"(?:\+\+|(?<=\b[a-zA-Z])#(?!\w))?"
)
_CLITIC = re.compile("(?:'(?:s|m|re|ve|ll|d)?)+$", re.IGNORECASE)
_PART = re.compile(f"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+[a-z]*|[{_LETTERS}]+")
_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_NOT_IN_TERM = re.compile(r"[-'._/\\:@,]+")
_CLITICS = 16
"""Characters at a token's end in which its clitics are."""
_LONGEST = 64
"""Characters of a term; what is longer is cut, and is not worth a place in the cache."""


def terms(text: str) -> list[str]:
    """Make the terms of a text, in its order; never fail, whatever the text.

    Case, width and diacritics are folded (NFKC), stop words dropped, English words stemmed. An
    identifier (snake_case, CamelCase, path, error code, version) gives itself, without its
    punctuation, and then its parts. Scripts without spaces give overlapping pairs of characters.
    An emoji gives its code point (`u1f600`).

    SQLite FTS5's `unicode61` tokenizer takes `" ".join(terms(text))` apart into the same terms.
    """
    if not text.isascii():
        text = _plain(text)
    found: list[str] = []
    for token in _TOKEN.findall(text):
        found += _analysed(token) if len(token) <= _LONGEST else _analysed.__wrapped__(token)
    return found


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).translate(_FOLDED)
    text = _DIACRITIC.sub("", unicodedata.normalize("NFD", text))
    return _FOREIGN.sub(_spelt, unicodedata.normalize("NFC", text))


def _spelt(match: re.Match[str]) -> str:
    folded = match[0].lower()
    if not _FOREIGN.match(folded):
        return folded
    category = unicodedata.category(folded[0])
    if category[0] in "LMN":
        return "".join(f"u{ord(character):x}" for character in folded)
    return f" u{ord(folded):x} " if category in {"So", "Sk"} else " "


@lru_cache(maxsize=32768)
def _analysed(token: str) -> tuple[str, ...]:
    """Make the terms of one token: none of a stop word, several of an identifier."""
    if "\u3041" <= token[0] <= "\ud7a3":
        return tuple(token[i : i + 2] for i in range(len(token) - 1)) or (token,)
    if token.isalpha():
        token = token.lower() if token[1:].islower() or token.isupper() else token
        if token.islower():
            return () if token in STOP_WORDS else (stem(token[:_LONGEST]),)
    return _identified(token)


def _identified(token: str) -> tuple[str, ...]:
    # Only the end is looked at: the pattern tries every quote, of which there may be thousands.
    token = token[:-_CLITICS] + _CLITIC.sub("", token[-_CLITICS:])
    if token.lower().endswith("n't"):
        return ()
    token = token.replace("++", "plusplus").replace("#", "sharp")
    whole = _NOT_IN_TERM.sub("", _POINT.sub("p", token)).lower()
    if not whole or whole in STOP_WORDS:
        return ()
    parts = [part.lower() for part in _PART.findall(token)] if whole != token else []
    kept = [stem(part[:_LONGEST]) for part in parts if part not in STOP_WORDS and part != whole]
    return (stem(whole[:_LONGEST]), *kept)
