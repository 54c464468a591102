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
    ],
)
def test_an_expression_of_time_means_these_days(text: str, first: str, last: str) -> None:
    assert days(text) == [f"{first}..{last}"]
    assert temporal(text)


@pytest.mark.parametrize(
    "text", ["I may go", "march on", "version 3.1", "route 66", "a second fall", ""]
)
def test_what_names_no_time_gives_none(text: str) -> None:
    assert spans(text, NOW) == []
    assert not temporal(text)


def test_a_day_that_does_not_exist_is_passed_over() -> None:
    assert spans("31 June 2023, and 2023-13-01, and 39/39/2023", NOW) == []


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
