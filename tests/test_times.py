from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.dates import spans
from agent_mem.recall.times import asked, earlier_years

NOW = datetime(2023, 5, 17, 14, 30, tzinfo=UTC)
"""A Wednesday."""


def days(text: str) -> list[str]:
    """Write the spans as first and last day, and as nothing where a side is open."""
    return [
        f"{'' if start.year == 1 else start.date()}..{'' if end.year == 9999 else last.date()}"
        for start, end in asked(text, NOW).spans
        for last in [end - timedelta(days=1)]
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("what broke before 3 March 2023", "..2023-03-02"),
        ("before early March", "..2023-02-28"),
        ("before the end of March", "..2023-03-31"),
        ("prior to last week", "..2023-05-07"),
        ("after last Tuesday", "2023-05-17.."),
        ("after the end of March", "2023-04-01.."),
        ("since May", "2023-05-01.."),
        ("since December", "2022-12-01.."),
        ("what is new since Friday", "2023-05-12.."),
        ("starting on 3 May 2023", "2023-05-03.."),
        ("from May onwards", "2023-05-01.."),
        ("3 May 2023 or later", "2023-05-03.."),
        ("May 2022 or earlier", "..2022-05-31"),
        ("until June", "..2023-06-30"),
        ("by the end of 2023", "..2023-12-31"),
        ("more than two weeks ago", "..2023-05-06"),
        ("less than a week ago", "2023-05-07.."),
        ("over Christmas", "2022-12-24..2022-12-26"),
        ("emails from last week", "2023-05-08..2023-05-14"),
        ("between 1 and 5 May", "2023-05-01..2023-05-05"),
        ("between August 11 and August 15 2023", "2023-08-11..2023-08-15"),
        ("from 3 March 2022 to 5 January", "2022-03-03..2023-01-05"),
        ("from 3 March 2022 until yesterday", "2022-03-03..2023-05-16"),
        ("from Monday to Friday", "2023-05-15..2023-05-19"),
        ("since March until May", "2023-03-01..2023-05-31"),
        ("between 1 May 2023 and 5 May 2023", "2023-05-01..2023-05-05"),
        ("in the last 3 days", "2023-05-14..2023-05-17"),
        ("the week before 16 November 2022", "2022-11-09..2022-11-15"),
        ("the day after 3 May", "2023-05-04..2023-05-04"),
        ("since the day after 3 May", "2023-05-04.."),
        ("two weeks before August 11, 2022", "2022-07-25..2022-07-31"),
        ("three days after 3 May", "2023-05-06..2023-05-06"),
        ("the last Sunday before October 25, 2022", "2022-10-23..2022-10-23"),
        ("the weekend after 3 May", "2023-05-06..2023-05-07"),
        ("in the weeks before 16 November 2022", "..2022-11-15"),
        ("what did we do in December", "2022-12-01..2022-12-31"),
        ("what did we do on Friday", "2023-05-12..2023-05-12"),
        ("what did we do at the weekend", "2023-05-13..2023-05-14"),
        ("what was planned for Friday", "2023-05-19..2023-05-19"),
        ("what is on Friday", "2023-05-19..2023-05-19"),
        ("what did we say of next Friday", "2023-05-19..2023-05-19"),
        ("seit M\u00e4rz", "2023-03-01.."),
    ],
)
def test_a_question_names_one_side_of_a_time_or_a_span(text: str, meant: str) -> None:
    assert days(text) == [meant]


def test_a_stored_text_names_a_time_and_no_side_of_it() -> None:
    assert spans("since May", NOW) == [
        (datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC))
    ]


def test_two_times_that_are_only_listed_stay_two() -> None:
    assert days("on 1 May 2023 and 5 May 2023") == [
        "2023-05-01..2023-05-01",
        "2023-05-05..2023-05-05",
    ]


@pytest.mark.parametrize("text", ["what is the port", "before", "since then", ""])
def test_a_question_that_names_no_time_has_none(text: str) -> None:
    assert asked(text, NOW).spans == ()
    assert asked(text, NOW).as_of is None


@pytest.mark.parametrize(
    ("text", "last_day"),
    [
        ("which port as of 1 May?", datetime(2023, 5, 1, tzinfo=UTC)),
        ("who led the team as of December 2022", datetime(2022, 12, 31, tzinfo=UTC)),
        ("as at last week, who led it", datetime(2023, 5, 14, tzinfo=UTC)),
        ("at the time of Christmas", datetime(2022, 12, 26, tzinfo=UTC)),
        ("who was it, as things stood on 3 May", datetime(2023, 5, 3, tzinfo=UTC)),
        ("as of 1 May deploys", datetime(2023, 5, 1, tzinfo=UTC)),
        ("as of May 1st deploys", datetime(2023, 5, 1, tzinfo=UTC)),
        ("as of 2023-05-01 deploys", datetime(2023, 5, 1, tzinfo=UTC)),
        ("as of last week deploys", datetime(2023, 5, 14, tzinfo=UTC)),
    ],
)
def test_a_question_as_of_a_date_means_the_last_moment_of_it(text: str, last_day: datetime) -> None:
    assert asked(text, NOW).as_of == last_day + timedelta(days=1, microseconds=-1)


@pytest.mark.parametrize(
    "text",
    [
        *("as of today", "as of this week", "in May", "at the time of the Saturday sessions"),
        *("as of the April release", "as of the Q1 release", "as of the 2022 release"),
    ],
)
def test_a_question_as_of_now_or_of_what_is_only_called_by_a_date_is_as_of_none(text: str) -> None:
    assert asked(text, NOW).as_of is None


def test_a_text_with_many_times_is_no_question_about_a_side_of_them() -> None:
    assert len(days("before 3 May 2023, " * 16)) == 16
    assert days("before 3 May 2023, " * 17) == ["2023-05-03..2023-05-03"] * 17


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("what broke before 3 March 2023?", "what broke ?"),
        ("2023-05-05", ""),
        ("logs since 2023-05-05T10:30:00.5Z in prod", "logs in prod"),
        ("deploys yesterday at 10:30 UTC", "deploys"),
        ("May 2022 or earlier", ""),
        ("the ports between 1 May 2023 and 5 May 2023", "the ports"),
        ("which bugs from last week and from 3 May 2023", "which bugs from and from"),
        ("was lief letzte Woche", "was lief"),
        ("which port", "which port"),
    ],
)
def test_a_question_says_something_else_besides_its_times(text: str, rest: str) -> None:
    assert asked(text, NOW).rest.split() == rest.split()


WORDS = (
    "before after since until by from to and between the of as 3 May 2024 week ago last Friday on"
)


@given(st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))
def test_no_jumble_of_words_of_time_is_an_error(text: str) -> None:
    assert all(start < end for start, end in asked(text, NOW).spans)


@given(
    st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]),
    st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join),
)
def test_no_question_at_the_end_of_the_calendar_is_an_error(now: datetime, text: str) -> None:
    assert all(start < end for start, end in asked(text, now).spans)


@pytest.mark.parametrize("word", ["before ", "a week before ", "the ", "between ", " ", "by 2023 "])
def test_a_long_text_of_one_word_ends(word: str) -> None:
    assert asked(word * 50_000 + "may 2024", NOW).spans


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("what did we do in March?", "2022-03-01..2022-03-31", "2018-03-01..2018-03-31"),
        ("on 29 February", "2023-02-28..2023-02-28", "2019-02-28..2019-02-28"),
    ],
)
def test_a_date_without_a_year_may_be_of_any_of_five_earlier_years(
    text: str, first: str, last: str
) -> None:
    now = NOW if "March" in text else NOW.replace(year=2024)
    found = [
        f"{start.date()}..{(end - timedelta(days=1)).date()}"
        for start, end in earlier_years(text, asked(text, now).spans)
    ]

    assert len(found) == 5
    assert (found[0], found[-1]) == (first, last)


@pytest.mark.parametrize(
    "text", ["in March 2023", "last March", "last week", "yesterday", "what broke?", "since March"]
)
def test_a_time_that_is_fixed_or_open_has_no_other_years(text: str) -> None:
    assert earlier_years(text, asked(text, NOW).spans) == ()
