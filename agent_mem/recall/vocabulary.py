"""Words of time: what the English ones mean, and the foreign ones, put into English."""

import re
from typing import Final

SEASONS: Final = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
# The month, the day, and how many days, of what falls on the same date each year.
HOLIDAYS: Final = {
    "christmas eve": (12, 24, 1),
    "christmas day": (12, 25, 1),
    "christmas": (12, 24, 3),
    "xmas": (12, 24, 3),
    "boxing day": (12, 26, 1),
    "new years eve": (12, 31, 1),
    "new years day": (1, 1, 1),
    "new years": (1, 1, 1),
    "new year": (1, 1, 1),
    "halloween": (10, 31, 1),
    "valentines day": (2, 14, 1),
    "valentines": (2, 14, 1),
    "fourth of july": (7, 4, 1),
}
COUNTS: Final = (
    {"a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "few": 3, "several": 3}
    | {"four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
    | {"eleven": 11, "twelve": 12, "half a": 0.5}
)  # fmt: skip
ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1, "final": -1}
UNITS: Final = (
    {"minute": 0, "hour": 1 / 24, "day": 1, "night": 1, "week": 7, "weekend": 7}
    | {"fortnight": 14, "month": 30, "quarter": 91, "year": 365}
)  # fmt: skip
"""How many days each has, about."""

DEICTIC: Final = {
    "day before yesterday": -2,
    "day after tomorrow": 2,
    "yesterday": -1,
    "last night": -1,
    "tomorrow": 1,
    "today": 0,
    "tonight": 0,
    "this morning": 0,
    "this afternoon": 0,
    "this evening": 0,
}

# The months whose names are not English ones; "mai" and "mars" are German and French alike.
_MONTHS: Final = {
    "January": "januar jänner janvier enero",
    "February": "februar février fevrier febrero",
    "March": "märz maerz mars marzo",
    "April": "avril abril",
    "May": "mai mayo",
    "June": "juni juin junio",
    "July": "juli juillet julio",
    "August": "août aout agosto",
    "September": "septembre septiembre setiembre",
    "October": "oktober octobre octubre",
    "November": "novembre noviembre",
    "December": "dezember décembre decembre diciembre",
}
_SAID: Final = {
    "day before yesterday": "vorgestern, avant-hier, anteayer, 前天, 一昨日, おととい",
    "day after tomorrow": "übermorgen, après-demain, 后天, 後天",
    "yesterday": "gestern, ayer, 昨日, 昨天, きのう",
    "today": "heute, aujourd'hui, aujourd\u2019hui, hoy, 今天, 今日",
    "tomorrow": "demain, 明天, 明日",
    "last night": "anoche, 昨晚, 昨夜",
    "last week": "letzte woche, letzten woche, letzter woche, la semaine dernière, la semana pasada"
    ", 上周, 上週, 上星期, 先週",
    "last month": "letzten monat, letztem monat, le mois dernier, el mes pasado"
    ", 上个月, 上個月, 先月",
    "last year": "letztes jahr, letztem jahr, l'année dernière, l\u2019année dernière"
    ", el año pasado, 去年",
    "this week": "diese woche, dieser woche, cette semaine, esta semana, 本周, 今週",
    "next week": "nächste woche, nächster woche, la semaine prochaine, la próxima semana"
    ", 下周, 下週, 来週",
    "this year": "今年",
    "next year": "明年, 来年",
}
_NAMES: Final = {name: month for month, names in _MONTHS.items() for name in names.split()}
_PHRASES: Final = {name: said for said, names in _SAID.items() for name in names.split(", ")}
_HIER: Final = "hier"

# A German "hier" is a place; a French one, told by the words around it, is a day.
_FRENCH: Final = re.compile(
    r"\b(?:que|quel\w*|nous|les|est|avons|avez|soir|matin|fait)\b|\bqu['\u2019]"
)
_WESTERN: Final = "|".join(sorted((p for p in _PHRASES if p < "\u3000"), key=len, reverse=True))
_EASTERN: Final = "|".join(sorted((p for p in _PHRASES if p > "\u3000"), key=len, reverse=True))
_SAID_THERE: Final = re.compile(rf"\b(?:{_WESTERN}|{_HIER})\b|{_EASTERN}", re.IGNORECASE)
# Some names of months are also words, or people: so they need what a date has around it.
_MONTH_THERE: Final = re.compile(
    r"(?:(?P<day>\b[0-3]?\d)(?:\.|er|º)?\s+(?:de\s+)?|\b(?P<lead>im|en|ab|seit|depuis|desde)\s+)?"
    rf"\b(?P<month>{'|'.join(_NAMES)})\b(?P<year>\s+(?:del?\s+)?(?=(?:19|20)\d\d\b))?",
    re.IGNORECASE,
)
_LEADS: Final = {"ab": "since", "seit": "since", "depuis": "since", "desde": "since"}
# One of these is in a text that has something to be put into English: of a phrase, a long word.
_TELLING: Final = frozenset(
    [*_NAMES, *(max(reversed(re.findall(r"\w+", said)), key=len) for said in _PHRASES)]
)
_CJK: Final = re.compile(f"{_EASTERN}|[0-9]\u6708|[0-9]{{4}}\u5e74")
_CJK_STARTS: Final = frozenset(said[0] for said in _PHRASES if said > "\u3000") | {
    "\u6708",
    "\u5e74",
}


def foreign(text: str, words: list[str]) -> bool:
    """Look, cheaply, whether a text of these words has one of time that is not English."""
    if not _TELLING.isdisjoint(words) or (_HIER in words and _FRENCH.search(text)):
        return True
    # Most of what is not ASCII is a quotation mark, or has none of these characters.
    return not (text.isascii() or _CJK_STARTS.isdisjoint(text)) and _CJK.search(text) is not None


def english(text: str, words: list[str]) -> str:
    """Put the words of time in a text of these words into English, and leave all else as it is."""
    french = _FRENCH.search(text) is not None

    def translated(match: re.Match[str]) -> str:
        said = match[0].lower()
        if said == _HIER:
            return "yesterday" if french else match[0]
        return f" {_PHRASES[said]} "

    text = _SAID_THERE.sub(translated, text)
    return text if _NAMES.keys().isdisjoint(words) else _MONTH_THERE.sub(_in_english, text)


def _in_english(match: re.Match[str]) -> str:
    day, lead, year = match["day"], match["lead"], match["year"]
    if not (day or lead or year):
        return match[0]
    before = day or _LEADS.get((lead or "in").lower(), "in")
    return f"{before} {_NAMES[match['month'].lower()]} "
