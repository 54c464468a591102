"""The second stage: what comes first among candidates, and what is said for it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from helpers_passages import DAY, NOW, corpus, heard, passage, pool, session
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.features import Sense
from agent_mem.recall.passages import Passage
from agent_mem.recall.query import parse
from agent_mem.recall.ranking import WEIGHTS, WORDS_ALONE, Ranked, rank, weights_of, why

NOTHING_HEARD = heard({}, {})


def ranked(
    text: str, passages: Sequence[Passage], limit: int | None = None, sense: Sense | None = None
) -> list[Ranked]:
    return rank(parse(text, NOW), pool(passages, sense), corpus(passages), limit)


def order(text: str, passages: Sequence[Passage], sense: Sense | None = None) -> list[int]:
    return [found.passage.n for found in ranked(text, passages, sense=sense)]


def reasons(text: str, found: Ranked) -> tuple[str, ...]:
    return why(parse(text, NOW), found)


def first(text: str, passages: Sequence[Passage]) -> tuple[int, tuple[str, ...]]:
    """Give the best one's key, and what is said for it."""
    best = ranked(text, passages)[0]
    return best.passage.n, reasons(text, best)


def test_more_of_the_rarer_words_rank_higher() -> None:
    passages = [
        passage(1, "the deploy went well"),
        passage(2, "the deploy of the billing service"),
        passage(3, "a deploy again"),
        passage(4, "billing is late"),
        passage(5, "nothing to see"),
    ]
    found = order("billing deploy", passages)
    assert found[:2] == [2, 4]
    assert found[-1] == 5


def test_the_same_words_weigh_more_in_a_shorter_passage() -> None:
    long = passage(1, "cats and then a number of things that nobody asked for, told at length")
    assert order("cats", [long, passage(2, "cats sleep"), passage(3, "dogs sleep")])[0] == 2


def test_what_stands_beside_a_match_is_drawn_up() -> None:
    chat = session(
        "s",
        passage(1, "Which editor do you use?", subject="Ann"),
        passage(2, "Helix.", subject="Bo"),
    )
    alone = session("t", passage(3, "Nothing of note."), passage(4, "Nothing much."))
    found = ranked("editor", [*alone, *chat])
    assert [hit.passage.n for hit in found[:2]] == [1, 2]
    assert reasons("editor", found[1]) == ("reply to a matching question", "next to a match")


def test_whom_a_query_names_comes_first() -> None:
    passages = [
        passage(1, "I love jazz", subject="Bo"),
        passage(2, "I love jazz", subject="Ann Lee"),
    ]
    for query in ("What music does Ann love?", "what does ann love"):
        best, said = first(query, passages)
        assert best == 2
        assert "about Ann Lee" in said


def test_a_topic_that_is_asked_for_counts_as_words() -> None:
    passages = [
        passage(1, "green at last"),
        passage(2, "green at last")._replace(topic="billing-ci"),
    ]
    assert first("billing", passages) == (2, ("topic: billing-ci",))


def test_what_happened_when_it_is_asked_for_comes_first() -> None:
    passages = [passage(n, "the build broke", NOW - n * 5 * DAY) for n in range(4)]
    best, said = first("which build broke on 7 May 2023?", passages)
    assert best == 2
    assert "dated 7 May 2023" in said


def test_a_date_is_a_reason_as_far_as_it_fits() -> None:
    told = {
        1: passage(1, "the build broke", NOW - DAY),
        2: passage(2, "the build broke", NOW - 3 * DAY),
        3: passage(3, "the build broke on 16 May 2023"),
        4: passage(4, "the build broke", NOW - 366 * DAY),
        5: passage(5, "the build broke", NOW - 30 * DAY),
    }

    def said(query: str) -> dict[int, list[str]]:
        hits = ranked(query, list(told.values()))
        return {
            hit.passage.n: [why for why in reasons(query, hit) if not why.startswith("words")]
            for hit in hits
        }

    assert said("what build broke on 16 May?") == {
        1: ["dated 16 May 2023"],
        2: ["dated 14 May 2023, near the time"],
        3: ["names the time"],
        4: ["dated 16 May 2022"],
        5: [],
    }


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("When does the build run?", "The build runs every week", "says when"),
        ("How many builds run?", "There run 7 builds", "has a number"),
        ("Who runs the build?", "I heard Anna runs the build", "names someone or something"),
    ],
)
def test_the_kind_of_answer_that_is_asked_for_comes_first(
    question: str, answer: str, reason: str
) -> None:
    passages = [passage(1, "a green crane runs the build"), passage(2, answer)]
    best, said = first(question, passages)
    assert best == 2
    assert reason in said


def test_an_exact_phrase_beats_its_words_apart() -> None:
    passages = [
        passage(1, "a pool of connections"),
        passage(2, "the connection pool of the server"),
    ]
    best, said = first('"connection pool"', passages)
    assert best == 2
    assert "exact phrase" in said


def test_what_is_excluded_is_left_out() -> None:
    passages = [passage(1, "deploy on Friday"), passage(2, "deploy on Monday")]
    assert order("deploy -friday", passages) == [2]
    assert order('deploy -"on Monday" -friday', passages) == []


def test_what_is_excluded_may_be_a_topic_or_a_subject() -> None:
    passages = [
        passage(1, "green")._replace(topic="billing"),
        passage(2, "green", subject="Ann Lee"),
        passage(3, "green", subject="Ann")._replace(topic="Lee"),
    ]
    assert order("green -billing", passages) == [2, 3]
    assert order("green -lee", passages) == [1]
    assert sorted(order('green -"ann billing"', passages)) == [1, 2, 3]


def test_what_is_not_allowed_stands_beside_and_is_not_shown() -> None:
    chat = session("s", passage(1, "Which editor?", subject="Ann"), passage(2, "Helix."))
    among = replace(pool(chat), allowed=frozenset({2}))
    found = rank(parse("editor", NOW), among, corpus(chat))
    assert [hit.passage.n for hit in found] == [2]
    assert "reply to a matching question" in reasons("editor", found[0])


def test_ties_go_to_the_more_important_and_then_to_the_newer() -> None:
    same = [passage(n, "green", NOW - n * DAY) for n in range(3)]
    for sense in (None, NOTHING_HEARD):
        assert order("green", same, sense) == [0, 1, 2]
        assert order("green", [*same[:2], same[2]._replace(importance=1.0)], sense) == [2, 0, 1]


def test_what_was_said_at_once_comes_by_what_was_written_last() -> None:
    assert order("green", [passage(n, "green") for n in (2, 1, 3)]) == [3, 2, 1]


def test_importance_never_buries_a_better_match() -> None:
    dull = passage(1, "billing is late")._replace(importance=0.0)
    loud = passage(2, "nothing to see")._replace(importance=1.0)
    assert order("billing", [loud, dull]) == [1, 2]


def test_what_means_the_query_comes_before_what_does_not() -> None:
    passages = [passage(n, "x") for n in range(3)]
    sense = heard({0: 0.3, 1: 0.8, 2: 0.3}, {0: (0, 127), 1: (120, 0), 2: (0, 127)})

    found = ranked("kite", passages, sense=sense)

    assert [hit.passage.n for hit in found] == [1, 2, 0]
    assert [hit.cosine for hit in found] == [0.8, 0.3, 0.3]
    assert [reasons("kite", hit) for hit in found] == [("meaning",), *[("faintly alike",)] * 2]


FAR = heard(
    {1: 0.19, 2: 0.2}, {3: (38, 0), 4: (39, 0)} | dict.fromkeys((1, 2, 5, 6, 7, 8, 9), (0, 0))
)
"""Two passages are near: 39 of 127 is just above what late interaction must be."""


def test_where_nothing_has_a_word_of_the_query_what_is_far_from_it_is_left_out() -> None:
    passages = [passage(n, "x") for n in (1, 2, 3, 4)]

    assert set(order("kite", passages, FAR)) == {2, 4}
    assert set(order("kite", passages)) == {1, 2, 3, 4}


def test_what_stands_right_beside_what_is_near_is_not_left_out() -> None:
    chat = session("s", *(passage(n, "x") for n in (5, 6, 2, 7, 8)))

    assert set(order("kite", chat, FAR)) == {6, 2, 7}


def test_a_query_without_words_leaves_nothing_out() -> None:
    assert set(order("what is it?", [passage(n, "x") for n in (1, 2)], FAR)) == {1, 2}


@pytest.mark.parametrize(
    "known",
    [
        passage(9, "a kite"),
        passage(9, "x", subject="Kite"),
        passage(9, "x")._replace(topic="kites"),
    ],
)
def test_as_soon_as_something_has_a_word_nothing_is_left_out(known: Passage) -> None:
    assert set(order("kite", [passage(1, "x"), known], FAR)) == {1, 9}


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("kite last week", {1, 3}),
        ("kite before 11 May 2023", set[int]()),
        ("kite in 2023", set[int]()),
        ("kite", set[int]()),
    ],
)
def test_what_is_of_the_short_time_that_is_asked_about_is_not_left_out(
    query: str, meant: set[int]
) -> None:
    passages = [
        passage(1, "x", NOW - 7 * DAY),
        passage(2, "x"),
        passage(3, "on 9 May 2023")._replace(terms="x"),
    ]

    assert set(order(query, passages, heard({}, dict.fromkeys((1, 2, 3), (0, 0))))) == meant


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("before 2023-05-12", [1]),
        ("what happened last week?", [1]),
        ("on 13 May 2023", [3, 1]),
        ("in January 2020", []),
        ("as of 15 May 2023", [1, 2, 3]),
    ],
)
def test_a_query_for_nothing_but_a_time_finds_what_is_of_it_or_at_least_near(
    query: str, meant: list[int]
) -> None:
    passages = [
        passage(1, "2023-05-12 last week", NOW - 7 * DAY)._replace(dates=""),
        passage(2, "x", NOW + 40 * DAY),
        passage(3, "before 2023-05-12", NOW - DAY)._replace(dates=""),
    ]

    for sense in (None, heard({2: 1.0}, {3: (127, 0)})):
        found = order(query, passages, sense)
        assert (sorted(found) if query.startswith("as of") else found) == meant


def test_a_question_is_no_answer() -> None:
    passages = [passage(1, "the kite is red"), passage(2, "is the kite red?")]
    assert order("what is red?", passages, NOTHING_HEARD) == [1, 2]


def test_a_cosine_that_is_not_known_is_none() -> None:
    passages = [passage(1, "kite"), passage(2, "kite")]
    known = ranked("kite", passages, sense=heard({1: 0.5}, {}))
    assert {hit.passage.n: hit.cosine for hit in known} == {1: 0.5, 2: 0}
    assert [hit.cosine for hit in ranked("kite", passages)] == [0, 0]


def test_a_reason_names_the_words_as_they_were_asked() -> None:
    (found,) = ranked("Which Policies for deployments?", [passage(1, "deploy policy")])
    assert reasons("Which Policies for deployments?", found) == ("words: policies, deployments",)


def test_a_reason_names_three_words_at_most() -> None:
    (found,) = ranked("red kite blue sea", [passage(1, "the red kite, the blue sea")])
    assert reasons("red kite blue sea", found) == ("words: red, kite, blue",)


def test_what_was_not_ranked_is_the_latest() -> None:
    assert reasons("", Ranked(0.0, passage(1, "green"), 0.0, {})) == ("latest",)


def test_only_as_many_come_as_are_asked_for() -> None:
    assert len(ranked("green", [passage(n, "green") for n in range(9)], 4)) == 4


def test_the_score_is_the_sum_of_the_weighted_features() -> None:
    passages = [passage(1, "green today"), passage(2, "red?")]
    for sense, weights in ((None, WORDS_ALONE), (heard({1: 0.5}, {2: (9, 0)}), WEIGHTS)):
        for found in ranked("green when", passages, sense=sense):
            assert weights_of(found.features) is weights
            assert found.features.keys() == weights.keys()
            total = sum(weights[name] * value for name, value in found.features.items())
            assert found.score == pytest.approx(total)


def test_nothing_ranks_as_nothing() -> None:
    assert ranked("anything", []) == ranked("anything", [], sense=NOTHING_HEARD) == []


@given(
    st.text(),
    st.lists(st.tuples(st.text(), st.booleans(), st.none() | st.text()), max_size=8),
    st.none() | st.just(heard({0: 0.5, 1: -1.0}, {0: (5, 5), 2: (127, 0)})),
)
def test_every_passage_comes_out_once_best_first(
    query: str, told: list[tuple[str, bool, str | None]], sense: Sense | None
) -> None:
    made = [passage(n, text, subject=who) for n, (text, _, who) in enumerate(told)]
    passages = session("s", *made[::2]) + made[1::2]
    found = ranked(query, passages, sense=sense)
    keys = [hit.passage.n for hit in found]
    asked = parse(query, NOW)
    # Of what is only meant, or only of another time, what is far is left out.
    less = asked.excluded or asked.spans or sense
    assert sorted(keys) == list(range(len(told))) or (less and len(keys) == len(set(keys)))
    assert all(better.score > worse.score - 1e-5 for better, worse in pairwise(found))
    assert all(reasons(query, hit) for hit in found)
