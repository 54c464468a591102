"""English stems: Porter's algorithm (1980, with his later changes) and irregular forms."""

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
}  # fmt: skip
_STEP_3 = {
    "icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": "",
}  # fmt: skip
_STEP_4 = dict.fromkeys(
    "al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize".split(), ""
)

# What no suffix rule finds: past forms and plurals that change inside.
_IRREGULAR = {
    form: base
    for base, forms in (
        entry.split(":")
        for entry in (
            "begin:began begun;bite:bit bitten;blow:blew blown;break:broke broken;"
            "bring:brought;build:built;burn:burnt;buy:bought;catch:caught;choose:chose chosen;"
            "come:came;deal:dealt;dig:dug;draw:drew drawn;dream:dreamt;drink:drank drunk;"
            "drive:drove driven;eat:ate eaten;fall:fell fallen;feed:fed;feel:felt;fight:fought;"
            "find:found;fly:flew flown flies;forget:forgot forgotten;forgive:forgave forgiven;"
            "freeze:froze frozen;get:got gotten;give:gave given;go:went gone goes;"
            "grow:grew grown;hang:hung;hear:heard;hide:hid hidden;hold:held;keep:kept;"
            "know:knew known;lead:led;learn:learnt;leave:left;lend:lent;lose:lost;make:made;"
            "mean:meant;meet:met;pay:paid;ride:rode ridden;ring:rang rung;rise:rose risen;"
            "run:ran;say:said;see:saw seen;seek:sought;sell:sold;send:sent;shake:shook shaken;"
            "shoot:shot;show:shown;shrink:shrank shrunk;sing:sang sung;sink:sank sunk;sit:sat;"
            "sleep:slept;speak:spoke spoken;spend:spent;stand:stood;steal:stole stolen;"
            "stick:stuck;strike:struck;swear:swore sworn;swim:swam swum;swing:swung;"
            "take:took taken;teach:taught;tear:tore torn;tell:told;think:thought;"
            "throw:threw thrown;understand:understood;wake:woke woken;wear:wore worn;"
            "weep:wept;win:won;write:wrote written;child:children;foot:feet;tooth:teeth;"
            "mouse:mice;goose:geese;man:men;woman:women;person:people persons;life:lives;"
            "wife:wives;knife:knives;leaf:leaves;half:halves;wolf:wolves;shelf:shelves;"
            "die:dying died dies;lie:lying lied;tie:tying tied;good:better best;bad:worse worst;"
            "index:indices indexes;matrix:matrices;vertex:vertices;datum:data"
        ).split(";")
    )
    for form in forms.split()
}


@lru_cache(maxsize=32768)
def stem(word: str) -> str:
    """The stem of one lower-case word; what is not made of `a` to `z` alone is returned as it is.

    M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980. Irregular forms are
    looked up first ("went" and "goes" are "go"), for people ask in another tense than they tell.
    """
    word = _IRREGULAR.get(word, word)
    if len(word) < 3 or not (word.isascii() and word.isalpha()):  # noqa: PLR2004 - Porter's own
        return word
    word = _past(_plural(word))
    if word.endswith("y") and _VOWEL.search(word, 0, len(word) - 1):
        word = word[:-1] + "i"
    word = _replaced(_replaced(word, _STEP_2, 1), _STEP_3, 1)
    return _final(_replaced(word, _STEP_4, 2))


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
            kept = _measure(stem) < measure or (suffix == "ion" and stem[-1] not in "st")
            return word if kept else stem + suffixes[suffix]
    return word


def _final(word: str) -> str:
    stem = word[:-1]
    if word.endswith("e"):
        measure = _measure(stem)
        if measure > 1 or (measure == 1 and not _SHORT_END.search(stem)):
            word = stem
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word
