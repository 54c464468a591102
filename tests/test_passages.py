from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.passages import LONGEST, NAME, NUMBER, QUESTION, TEMPORAL, describe, split

NOW = datetime(2023, 5, 17, tzinfo=UTC)


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in split(text)]


def test_a_short_text_is_one_passage_without_the_space_around_it() -> None:
    assert pieces("  We deploy on Fridays. Never on Mondays.\n") == [
        "We deploy on Fridays. Never on Mondays."
    ]


def test_a_long_text_is_cut_at_sentence_ends() -> None:
    sentence = "The release train leaves on Thursday at noon, and whoever misses it waits a week."
    found = pieces(" ".join([sentence] * 10))
    assert len(found) == 4
    assert all(len(piece) % (len(sentence) + 1) == len(sentence) for piece in found)


def test_quotation_marks_and_wide_full_stops_end_a_sentence_too() -> None:
    first = "x" * 200 + '."'
    assert pieces(f"{first} {'y' * 200}")[0] == first
    assert pieces("字" * 200 + "。" + "字" * 200) == ["字" * 200 + "。", "字" * 200]


def test_a_version_does_not_end_a_sentence() -> None:
    text = "word " * 50 + "v2.3.1 " + "word " * 50
    assert pieces(text)[0].endswith("word")


def test_a_text_without_sentence_ends_is_cut_at_a_space() -> None:
    found = pieces("longword " * 100)
    assert set(" ".join(found).split()) == {"longword"}


def test_a_text_without_spaces_is_cut_anywhere() -> None:
    assert [len(piece) for piece in pieces("x" * 1000)] == [LONGEST, LONGEST, LONGEST, 40]


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_text_has_no_passage(text: str) -> None:
    assert split(text) == []


@given(st.text(alphabet=st.sampled_from("ab .!?\n\t\u3002\u00a0\"'\ud800"), max_size=2000))
def test_passages_are_short_in_order_and_lose_nothing_but_space(text: str) -> None:
    spans = split(text)
    assert all(0 < end - start <= LONGEST for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert "".join("".join(pieces(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("we talked", 0),
        ("we met last week", TEMPORAL),
        ("there were three dogs", NUMBER),
        ("port 8080", NUMBER),
        ("we met Caroline there", NAME),
        ("Nice. Great thing, and I agree", 0),
        ("are you there? ", QUESTION),
        ("did Ann eat 2 yesterday?", TEMPORAL | NUMBER | NAME | QUESTION),
    ],
)
def test_marks_say_what_a_text_holds(text: str, marks: int) -> None:
    assert describe(text, NOW)[1] == marks


def test_terms_are_joined_and_dates_are_spans_of_days() -> None:
    terms, _, dates = describe("We deployed yesterday, and on 7 May 2021.", NOW)
    yesterday, may = date(2023, 5, 16).toordinal(), date(2021, 5, 7).toordinal()
    assert terms == "deploy yesterday 7 may 2021"
    assert dates == f"{yesterday}-{yesterday + 1} {may}-{may + 1}"


@given(st.text())
def test_no_text_is_beyond_description(text: str) -> None:
    terms, marks, _ = describe(text, NOW)
    assert "  " not in terms
    assert 0 <= marks < 16
