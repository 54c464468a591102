from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_mem.recall.anchors import Anchor
from agent_mem.recall.query import MOST_TERMS, literally, parse, said

NOW = datetime(2023, 5, 17, tzinfo=UTC)


def test_question_words_are_left_out() -> None:
    query = parse("What kind of deployments did Caroline mention?", NOW)
    assert query.terms == ("deploy", "carolin")
    assert query.words == ("deployments", "caroline")


def test_only_question_words_are_kept_rather_than_nothing() -> None:
    assert parse("find the things", NOW).terms == ("find", "thing")


@pytest.mark.parametrize(
    "text",
    [
        *("before 2023-05-05", "what happened last week?", "yesterday", "kind:error last week"),
        *("anything since Monday?", "between 1 and 5 May 2023", "2023-05-05T10:00:00Z"),
    ],
)
def test_a_query_for_nothing_but_a_time_has_no_terms(text: str) -> None:
    query = parse(text, NOW)
    assert query.terms == query.words == ()
    assert query.spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deploys last week", ("deploys", "last", "week")),
        ("2023-05-05.log", ("20230505log", "2023", "05", "log")),
        ('"last week"', ("last", "week")),
    ],
)
def test_the_words_of_a_time_are_looked_for_beside_others(
    text: str, words: tuple[str, ...]
) -> None:
    assert parse(text, NOW).words == words


def test_a_term_comes_once_and_there_are_at_most_24() -> None:
    query = parse("deploy deployed " + " ".join(f"word{n}" for n in range(99)), NOW)
    assert len(query.terms) == len(query.words) == MOST_TERMS
    assert query.terms[:2] == ("deploy", "word0")


def test_parts_of_an_identifier_are_shown_as_themselves() -> None:
    query = parse("agent_mem (Postgres)", NOW)
    assert query.words == ("agentmem", "agent", "mem", "postgres")


def test_a_phrase_is_kept_together_and_its_words_are_asked_for() -> None:
    query = parse('who wrote "connection pools" and ""', NOW)
    assert query.phrases == (("connect", "pool"),)
    assert query.terms == ("write", "connect", "pool")


def test_excluded_words_and_phrases_are_not_asked_for() -> None:
    query = parse('deploy -friday -"release train" -the well-known - 5', NOW)
    assert query.excluded == (("friday",), ("releas", "train"))
    assert "friday" not in query.terms
    assert {"deploy", "wellknown", "5"} <= set(query.terms)


def test_filters_are_pulled_out() -> None:
    query = parse('deploy topic:ci kind:"decision record" notopic:x', NOW)
    assert (query.topic, query.kind) == ("ci", "decision record")
    assert "ci" not in query.terms
    assert parse("deploy", NOW).topic is None


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("When did she move?", "when"),
        ("what year was it", "when"),
        ("how long ago did they meet", "when"),
        ("How many dogs are there", "number"),
        ("how much does it cost", "number"),
        ("Who leads the team", "name"),
        ("Where is it", "name"),
        ("Why did it fail", "none"),
        ("whenever", "none"),
    ],
)
def test_the_kind_of_answer_is_understood(text: str, wants: str) -> None:
    assert parse(text, NOW).wants == wants


def test_times_are_read_against_now() -> None:
    ((start, end),) = parse("what broke yesterday?", NOW).spans
    assert (start, end) == (datetime(2023, 5, 16, tzinfo=UTC), NOW)


def test_capitalised_words_may_be_names_but_question_words_are_not() -> None:
    assert parse("What did Caroline's friend Mel say?", NOW).names == ("caroline", "mel")


def test_without_capitals_any_word_may_be_a_name() -> None:
    assert parse("what did caroline say", NOW).names == ("caroline", "say")


@pytest.mark.parametrize(
    "text", ["", "   ", "-friday", '-"', '"', "topic:", "kind:x", "?!", "\ud800"]
)
def test_what_asks_for_nothing_has_no_terms(text: str) -> None:
    query = parse(text.replace("topic:", 'topic:""'), NOW)
    assert query.terms == query.words == ()


@given(st.text())
def test_no_query_is_an_error(text: str) -> None:
    query = parse(text, NOW)
    assert len(set(query.terms)) == len(query.terms) == len(query.words) <= MOST_TERMS


PIECES = ['"', "-", "topic:", "kind:", "deploy", "the", " ", "-x", "When", "\0", "日本"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_jumble_of_operators_is_an_error(text: str) -> None:
    query = parse(text, NOW)
    assert all(query.phrases)
    assert all(query.excluded)


def test_a_text_that_is_meant_literally_asks_for_nothing_by_its_signs() -> None:
    text = 'ld: cannot find -lssl "for real" topic:orders'

    query = parse(literally(text), NOW)

    assert query.excluded == ()
    assert query.phrases == ()
    assert query.topic is None
    assert {"lssl", "order"} <= set(query.terms)


def test_a_question_about_a_side_of_a_date_is_open_to_that_side() -> None:
    ((start, end),) = parse("what broke before 3 March 2023?", NOW).spans
    assert (start.year, end) == (1, datetime(2023, 3, 3, tzinfo=UTC))


def test_the_date_as_of_which_it_asks_and_the_event_around_which_are_understood() -> None:
    assert parse("the port as of 1 May", NOW).as_of == datetime(
        2023, 5, 1, 23, 59, 59, 999999, tzinfo=UTC
    )
    found = parse("what did we use before the release?", NOW)
    assert found.anchor == Anchor("before", "the release")
    assert found.as_of is None
    assert parse("the port", NOW).anchor is None


@pytest.mark.parametrize(
    "text",
    [
        "what did the port use to be",
        "where did Ana used to work?",
        "we used to deploy on Fridays",
        "what was it called previously",
        "what did we originally choose",
        "the previous staging port",
        "what is the old password",
        "history of the schema",
        "what did the limit change from",
        "which rule no longer holds",
        "which rule doesn't hold any more",
        "the port before it was changed",
        "the port before the change",
        "how has the plan changed",
        "what changed",
        "who was our vendor in the past",
        "Where did Samir live before?",
    ],
)
def test_what_was_so_before_is_asked_for(text: str) -> None:
    assert parse(text, NOW).earlier


@pytest.mark.parametrize(
    "text",
    [
        "which tool is used to deploy",
        "what did we use to deploy",
        "the command used to restart",
        "what did we say in the previous session",
        "how old is Ana",
        "have you seen this before?",
        "what have we tried before?",
        "what was it before the release",
        "what broke in the past week",
        "what is the port",
    ],
)
def test_what_was_so_before_is_not_asked_for(text: str) -> None:
    assert not parse(text, NOW).earlier


HOSTILE = ["what was ", "did ab ", "is a ", "how did a ", "not a ", "old a ", "now ", "used ", " "]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_query_of_one_word_ends(piece: str) -> None:
    assert len(parse(piece * 50_000, NOW).words) <= MOST_TERMS


@given(st.text(max_size=10_000))
@settings(deadline=2000)
def test_no_long_query_takes_its_time(text: str) -> None:
    parse(text, NOW)


def test_what_is_searched_by_meaning_has_neither_filters_nor_what_is_excluded() -> None:
    assert said('who wrote "the pool" -friday -"big dog" topic:ci').split() == [
        "who",
        "wrote",
        "the",
        "pool",
    ]
