from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.dates import spans, temporal

NOW = datetime(2023, 5, 17, 14, 30, tzinfo=UTC)
"""A Wednesday."""


def days(text: str, now: datetime = NOW) -> list[str]:
    """Write the spans as first and last day."""
    return [
        f"{start:%Y-%m-%d}..{end - timedelta(days=1):%Y-%m-%d}" for start, end in spans(text, now)
    ]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("on 2023-05-07", "2023-05-07", "2023-05-07"),
        ("at 2023-05-07T10:00:00Z", "2023-05-07", "2023-05-07"),
        ("in 2023-02", "2023-02-01", "2023-02-28"),
        ("05/07/2023", "2023-05-07", "2023-05-07"),
        ("25/12/2022", "2022-12-25", "2022-12-25"),
        ("7 May 2023", "2023-05-07", "2023-05-07"),
        ("the 7th of May, 2021", "2021-05-07", "2021-05-07"),
        ("May 7, 2021", "2021-05-07", "2021-05-07"),
        ("Sept 3rd", "2023-09-03", "2023-09-03"),
        ("on may 3", "2023-05-03", "2023-05-03"),
        ("30 December", "2022-12-30", "2022-12-30"),
        ("March 2022", "2022-03-01", "2022-03-31"),
        ("in March", "2023-03-01", "2023-03-31"),
        ("in December", "2022-12-01", "2022-12-31"),
        ("last June", "2022-06-01", "2022-06-30"),
        ("next June", "2023-06-01", "2023-06-30"),
        ("January was cold", "2023-01-01", "2023-01-31"),
        ("in 2022", "2022-01-01", "2022-12-31"),
        ("summer of 2021", "2021-06-01", "2021-08-31"),
        ("last summer", "2022-06-01", "2022-08-31"),
        ("next winter", "2023-12-01", "2024-02-29"),
        ("this spring", "2023-03-01", "2023-05-31"),
        ("yesterday", "2023-05-16", "2023-05-16"),
        ("the day before yesterday", "2023-05-15", "2023-05-15"),
        ("tomorrow", "2023-05-18", "2023-05-18"),
        ("this morning", "2023-05-17", "2023-05-17"),
        ("last night", "2023-05-16", "2023-05-16"),
        ("two days ago", "2023-05-15", "2023-05-15"),
        ("in 10 days", "2023-05-27", "2023-05-27"),
        ("a couple of weeks ago", "2023-04-30", "2023-05-06"),
        ("two weeks from now", "2023-05-28", "2023-06-03"),
        ("the past 3 days", "2023-05-14", "2023-05-17"),
        ("next two weeks", "2023-05-17", "2023-05-31"),
        ("last week", "2023-05-08", "2023-05-14"),
        ("this week", "2023-05-15", "2023-05-21"),
        ("last weekend", "2023-05-13", "2023-05-14"),
        ("next month", "2023-06-01", "2023-06-30"),
        ("last year", "2022-01-01", "2022-12-31"),
        ("next day", "2023-05-18", "2023-05-18"),
        ("last Friday", "2023-05-12", "2023-05-12"),
        ("last Wednesday", "2023-05-10", "2023-05-10"),
        ("next Wednesday", "2023-05-24", "2023-05-24"),
        ("on Friday", "2023-05-19", "2023-05-19"),
        ("on Monday", "2023-05-15", "2023-05-15"),
        ("on Saturday", "2023-05-20", "2023-05-20"),
        ("on Sunday", "2023-05-14", "2023-05-14"),
        ("this may 4", "2023-05-04", "2023-05-04"),
        ("last may", "2022-05-01", "2022-05-31"),
        ("before May", "2023-05-01", "2023-05-31"),
        ("dec 12", "2022-12-12", "2022-12-12"),
        ("March the 3rd", "2023-03-03", "2023-03-03"),
        ("December 1,2022", "2022-12-01", "2022-12-01"),
        ("2024/03/05", "2024-03-05", "2024-03-05"),
        ("05.03.2024", "2024-03-05", "2024-03-05"),
        ("1-5 May 2024", "2024-05-01", "2024-05-05"),
        ("between 1 and 5 May", "2023-05-01", "2023-05-05"),
        ("May 1 to 5, 2024", "2024-05-01", "2024-05-05"),
        ("from March to May", "2023-03-01", "2023-05-31"),
        ("between November and February 2023", "2022-11-01", "2023-02-28"),
        ("2019-2021", "2019-01-01", "2021-12-31"),
        ("Q3 2024", "2024-07-01", "2024-09-30"),
        ("2024-Q3", "2024-07-01", "2024-09-30"),
        ("in Q1", "2023-01-01", "2023-03-31"),
        ("the third quarter of 2022", "2022-07-01", "2022-09-30"),
        ("the last quarter of 2022", "2022-10-01", "2022-12-31"),
        ("last quarter", "2023-01-01", "2023-03-31"),
        ("this quarter", "2023-04-01", "2023-06-30"),
        ("early March", "2023-03-01", "2023-03-10"),
        ("mid-March 2022", "2022-03-11", "2022-03-20"),
        ("too early in January", "2023-01-01", "2023-01-31"),
        ("at the end of March", "2023-03-21", "2023-03-31"),
        ("at the start of yesterday", "2023-05-16", "2023-05-16"),
        ("the first half of September 2022", "2022-09-01", "2022-09-15"),
        ("the second week of November", "2022-11-08", "2022-11-14"),
        ("the last week of April", "2023-04-24", "2023-04-30"),
        ("the first weekend of August 2023", "2023-08-05", "2023-08-06"),
        ("the last Friday of April", "2023-04-28", "2023-04-28"),
        ("the 2nd Tuesday in May 2023", "2023-05-09", "2023-05-09"),
        ("the last day of February 2024", "2024-02-29", "2024-02-29"),
        ("the week of 3 May", "2023-05-01", "2023-05-07"),
        ("earlier this week", "2023-05-15", "2023-05-17"),
        ("later this week", "2023-05-17", "2023-05-21"),
        ("earlier in June", "2023-06-01", "2023-06-30"),
        ("later in April", "2023-04-01", "2023-04-30"),
        ("by the end of the week", "2023-05-19", "2023-05-21"),
        ("at the weekend", "2023-05-20", "2023-05-21"),
        ("in the last week", "2023-05-10", "2023-05-17"),
        ("the past year", "2022-05-17", "2023-05-17"),
        ("over the past two months", "2023-03-18", "2023-05-17"),
        ("in the last 24 hours", "2023-05-16", "2023-05-17"),
        ("3 hours ago", "2023-05-17", "2023-05-17"),
        ("a few days ago", "2023-05-13", "2023-05-15"),
        ("half a year ago", "2022-08-17", "2023-02-15"),
        ("two weeks before", "2023-04-30", "2023-05-06"),
        ("last Fri", "2023-05-12", "2023-05-12"),
        ("on Tue", "2023-05-16", "2023-05-16"),
        ("Tuesday last week", "2023-05-09", "2023-05-09"),
        ("on the 15th", "2023-05-15", "2023-05-15"),
        ("on the 30th, they said", "2023-05-30", "2023-05-30"),
        ("on the 31st", "2023-05-31", "2023-05-31"),
        ("at Christmas", "2022-12-24", "2022-12-26"),
        ("next Christmas Eve", "2023-12-24", "2023-12-24"),
        ("New Year's Eve 2021", "2021-12-31", "2021-12-31"),
        ("before the new year", "2023-01-01", "2023-01-01"),
        ("Valentine\u2019s Day", "2023-02-14", "2023-02-14"),
        ("the Fourth of July 2022", "2022-07-04", "2022-07-04"),
        ("last Halloween", "2022-10-31", "2022-10-31"),
        ("in the 1990s", "1990-01-01", "1999-12-31"),
    ],
)
def test_an_expression_of_time_means_these_days(text: str, first: str, last: str) -> None:
    assert days(text) == [f"{first}..{last}"]
    assert temporal(text)


@pytest.mark.parametrize(
    "text",
    [
        "I may go",
        "May I go",
        "march on",
        "version 3.1",
        "route 66",
        "a second fall",
        "",
        "Maria",
        "Decided: Marketing",
        "Maybe",
        "for 25 minutes",
        "hier im Haus",
        "Julio",
        "mission to Mars",
        "with mayo",
        "3\u4e2a\u6708",
    ],
)
def test_what_names_no_time_gives_none(text: str) -> None:
    assert spans(text, NOW) == []
    assert not temporal(text)


def test_a_day_that_does_not_exist_is_passed_over() -> None:
    assert spans("31 June 2023, and 2023-13-01, and 39/39/2023", NOW) == []


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("was war gestern", "2023-05-16", "2023-05-16"),
        ("letzte Woche", "2023-05-08", "2023-05-14"),
        ("in der letzten Woche", "2023-05-08", "2023-05-14"),
        ("am 3. M\u00e4rz 2024", "2024-03-03", "2024-03-03"),
        ("im Mai", "2023-05-01", "2023-05-31"),
        ("seit Oktober 2022", "2022-10-01", "2022-10-31"),
        ("le 1er mai 2021", "2021-05-01", "2021-05-01"),
        ("hier nous avons", "2023-05-16", "2023-05-16"),
        ("la semaine derni\u00e8re", "2023-05-08", "2023-05-14"),
        ("aujourd'hui", "2023-05-17", "2023-05-17"),
        ("el 5 de mayo de 2024", "2024-05-05", "2024-05-05"),
        ("ayer", "2023-05-16", "2023-05-16"),
        ("el mes pasado", "2023-04-01", "2023-04-30"),
        ("\u5728 2024\u5e743\u67085\u65e5", "2024-03-05", "2024-03-05"),
        ("3\u67085\u65e5\u306b", "2023-03-05", "2023-03-05"),
        ("2024\u5e743\u6708", "2024-03-01", "2024-03-31"),
        ("\u6628\u65e5", "2023-05-16", "2023-05-16"),
        ("\u4eca\u5929", "2023-05-17", "2023-05-17"),
    ],
)
def test_other_languages_have_words_of_time_too(text: str, first: str, last: str) -> None:
    assert days(text) == [f"{first}..{last}"]
    assert temporal(text)


@pytest.mark.parametrize(
    "text", ["This may break", "the last may fail", "1.2.3", "on the 4th floor", "too early"]
)
def test_what_looks_like_a_time_beside_one_is_none(text: str) -> None:
    assert days(f"{text} yesterday") == ["2023-05-16..2023-05-16"]


def test_the_weekend_is_the_last_one_on_a_monday_unless_it_is_planned_for() -> None:
    monday = datetime(2023, 5, 15, tzinfo=UTC)
    assert days("over the weekend", monday) == ["2023-05-13..2023-05-14"]
    assert days("for the weekend", monday) == ["2023-05-20..2023-05-21"]


def test_a_span_that_ends_before_it_begins_and_a_fifth_quarter_are_none() -> None:
    assert spans("5-1 May 2024, 2021-2019", NOW) == []
    assert days("the 5th quarter of 2022") == ["2022-01-01..2022-12-31"]


def test_several_times_come_in_the_order_of_the_text() -> None:
    assert days("yesterday, not 7 May 2021 nor last week") == [
        "2023-05-16..2023-05-16",
        "2021-05-07..2021-05-07",
        "2023-05-08..2023-05-14",
    ]


def test_how_long_or_how_often_is_temporal_without_naming_a_day() -> None:
    assert temporal("we met every week")
    assert temporal("at 5pm")
    assert spans("we met every week at 5pm", NOW) == []


def test_today_is_counted_in_utc() -> None:
    night = datetime(2023, 5, 17, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert days("today", night) == ["2023-05-18..2023-05-18"]


def test_the_first_and_last_days_of_the_calendar_raise_nothing() -> None:
    text = "yesterday tomorrow last year next year in May, 12 years ago, last summer, next June"
    spans(text, datetime.min.replace(tzinfo=UTC))
    spans(text, datetime.max.replace(tzinfo=UTC))


@given(st.text(), st.datetimes(timezones=st.just(UTC)))
def test_no_text_raises(text: str, now: datetime) -> None:
    assert all(start < end for start, end in spans(text, now))


@pytest.mark.parametrize("word", ["before ", "May ", "1 ", "a ", "in the ", "2024-", "\u6708", " "])
def test_a_long_text_of_one_word_ends(word: str) -> None:
    assert spans(word * 50_000 + "may 2024", NOW)


WORDS = "last next this 2023 may March 3 7th ago two weeks of in summer Friday year , - / yesterday"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join))
def test_no_jumble_of_time_words_raises(text: str) -> None:
    found = spans(text, NOW)
    assert all(start < end and start.tzinfo is UTC for start, end in found)


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)))
def test_every_date_is_read_as_iso_and_in_words(day: date) -> None:
    for text in (day.isoformat(), f"{day.day} {day:%B %Y}", f"{day:%B} {day.day}, {day.year}"):
        ((start, end),) = spans(text, NOW)
        assert start.date() == day
        assert end - start == timedelta(days=1)


def test_a_day_that_is_not_in_every_year_is_the_nearest_that_was_or_will_be() -> None:
    assert spans("born on 29 February", datetime(2025, 5, 1, tzinfo=UTC)) == [
        (datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    ]
