"""English stems: Porter's algorithm (1980, with some of his later changes) and irregular forms."""

import re
from functools import lru_cache

VOWEL = "[aeiou]|(?<=[^aeiou])y"
"""A vowel; `y` is one after a consonant."""

_SYLLABLE = re.compile(f"(?:{VOWEL})+(?:(?!{VOWEL}).)+")
_VOWEL = re.compile(VOWEL)
_SHORT_END = re.compile(f"(?!{VOWEL}).(?:{VOWEL})(?!{VOWEL})[^wxy]$")

_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize",
    "bli": "ble", "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize",
    "ation": "ate", "ator": "ate", "alism": "al", "iveness": "ive", "fulness": "ful",
    "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble", "logi": "log",
    "li": "",
}  # fmt: skip
_STEP_3 = {
    "icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": "",
}  # fmt: skip
_STEP_4 = "al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize"
_STEPS: tuple[tuple[dict[str, str], int], ...] = (
    (_STEP_2, 1),
    (_STEP_3, 1),
    (dict.fromkeys(_STEP_4.split(), ""), 2),
)
"""What each suffix becomes, and how many syllables must stand before it."""

_BEFORE = {"ion": "st", "li": "cdeghkmnrt"}
"""After which letters alone a suffix is one."""

# What no suffix rule finds: past forms and plurals that change inside, after their base.
_FORMS = """
    begin began begun; bite bit bitten; blow blew blown; break broke broken; bring brought;
    build built; burn burnt; buy bought; catch caught; choose chose chosen; come came;
    deal dealt; dig dug; draw drew drawn; dream dreamt; drink drank drunk; drive drove driven;
    eat ate eaten; fall fell fallen; feed fed; feel felt; fight fought; find found;
    fly flew flown flies; forget forgot forgotten; forgive forgave forgiven;
    freeze froze frozen; get got gotten; give gave given; go went gone goes; grow grew grown;
    hang hung; hear heard; hide hid hidden; hold held; keep kept; know knew known; lead led;
    learn learnt; leave left; lend lent; lose lost; make made; mean meant; meet met; pay paid;
    ride rode ridden; ring rang rung; rise rose risen; run ran; say said; see saw seen;
    seek sought; sell sold; send sent; shake shook shaken; shoot shot; show shown;
    shrink shrank shrunk; sing sang sung; sink sank sunk; sit sat; sleep slept;
    speak spoke spoken; spend spent; stand stood; steal stole stolen; stick stuck;
    strike struck; swear swore sworn; swim swam swum; swing swung; take took taken;
    teach taught; tear tore torn; tell told; think thought; throw threw thrown;
    understand understood; wake woke woken; wear wore worn; weep wept; win won;
    write wrote written; child children; foot feet; tooth teeth; mouse mice; goose geese;
    man men; woman women; person people persons; life lives; wife wives; knife knives;
    leaf leaves; half halves; wolf wolves; shelf shelves; die dying died dies; lie lying lied;
    tie tying tied; index indices indexes; matrix matrices; vertex vertices
"""
_IRREGULAR = {
    form: base for entry in _FORMS.split(";") for base, *forms in [entry.split()] for form in forms
}


@lru_cache(maxsize=32768)
def stem(word: str) -> str:
    """Find the stem of one lower-case word; what is not all `a` to `z` is returned as it is.

    M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980. Irregular forms are
    looked up first ("went" and "goes" are "go"), for people ask in another tense than they tell.
    """
    word = _IRREGULAR.get(word, word)
    if len(word) < 3 or not (word.isascii() and word.isalpha()):  # noqa: PLR2004 - Porter's own
        return word
    word = _past(_plural(word))
    if word.endswith("y") and len(word) > 2 and word[-2] not in "aeiou":  # noqa: PLR2004 - "by"
        word = word[:-1] + "i"
    for suffixes, measure in _STEPS:
        word = _replaced(word, suffixes, measure)
    return _final(word)


def _measure(stem: str) -> int:
    return len(_SYLLABLE.findall(stem))


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for suffix in ("ed", "ing"):
        stem = word.removesuffix(suffix)
        if stem != word and _VOWEL.search(stem):
            return _mended(stem)
    return word


def _mended(stem: str) -> str:
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if stem[-1:] == stem[-2:-1] and stem[-1] not in "aeioulsz":
        return stem[:-1]
    return stem + "e" if _measure(stem) == 1 and _SHORT_END.search(stem) else stem


def _replaced(word: str, suffixes: dict[str, str], measure: int) -> str:
    for length in range(7, 1, -1):
        suffix = word[-length:]
        if suffix in suffixes and length < len(word):
            stem = word[:-length]
            fits = stem[-1] in _BEFORE.get(suffix, stem)
            return stem + suffixes[suffix] if fits and _measure(stem) >= measure else word
    return word


def _final(word: str) -> str:
    stem = word[:-1]
    if word.endswith("e"):
        measure = _measure(stem)
        if measure > 1 or (measure == 1 and not _SHORT_END.search(stem)):
            word = stem
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word
