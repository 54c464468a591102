from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.passages import Passage, describe
from agent_mem.recall.query import parse
from agent_mem.recall.ranking import WEIGHTS, Corpus, Ranked, features, rank

NOW = datetime(2023, 5, 17, tzinfo=UTC)
DAY = timedelta(days=1)


def passage(n: int, text: str, at: datetime = NOW, subject: str | None = None) -> Passage:
    terms, marks, dates = describe(text, at)
    return Passage(
        n=n,
        record="memory",
        record_id=f"memory-{n}",
        part=0,
        session_id=None,
        topic=None,
        subject=subject,
        at=at,
        importance=0.5,
        terms=terms,
        marks=marks,
        dates=dates,
        previous=None,
        next=None,
    )


def session(name: str, *passages: Passage) -> list[Passage]:
    """Put passages one after the other into a session."""
    keys = [None, *(p.n for p in passages), None]
    return [
        replace(p, session_id=name, previous=keys[i], next=keys[i + 2])
        for i, p in enumerate(passages)
    ]


def corpus(passages: Sequence[Passage]) -> Corpus:
    held = [p.terms.split() for p in passages]
    every = {term for terms in held for term in terms}
    frequencies = {term: sum(term in terms for terms in held) for term in every}
    return Corpus(frequencies, len(passages), sum(map(len, held)) / (len(passages) or 1))


def ranked(text: str, passages: Sequence[Passage], limit: int | None = None) -> list[Ranked]:
    return rank(parse(text, NOW), passages, corpus(passages), limit)


def order(text: str, passages: Sequence[Passage]) -> list[int]:
    return [found.passage.n for found in ranked(text, passages)]


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
    assert "next to a match" in found[1].why
    assert "reply to a matching question" in found[1].why


def test_a_word_reaches_two_places_and_no_further() -> None:
    chat = session("s", *(passage(n, text) for n, text in enumerate(["zebra", *"bcde"])))
    beside = features(parse("zebra", NOW), chat, corpus(chat))["neighbours"]
    assert beside[1] > beside[2] > beside[3] == beside[4] == beside[0]


def test_a_link_that_one_of_two_neighbours_has_is_enough() -> None:
    """Of candidates alone it is known what stands beside them."""
    whole = session("s", passage(1, "kiwi"), passage(2, "pump failed"), passage(3, "melon"))
    known = [replace(whole[0], next=None), whole[1], replace(whole[2], previous=None)]

    apart = features(parse("pump failed", NOW), known, corpus(known))["neighbours"]

    assert apart == features(parse("pump failed", NOW), whole, corpus(whole))["neighbours"]
    assert apart[0] == apart[2] > apart[1]


def test_a_question_that_one_answers_oneself_is_no_reply() -> None:
    chat = session(
        "s", passage(1, "Which editor?", subject="Ann"), passage(2, "Helix.", subject="Ann")
    )
    assert features(parse("editor", NOW), chat, corpus(chat))["reply"] == [0.0, 0.0]


def test_a_session_with_matches_lifts_all_that_is_in_it() -> None:
    talk = session("s", *(passage(n, text) for n, text in enumerate(["zebra"] + ["calm"] * 5)))
    other = session("t", passage(10, "calm"))
    found = ranked("zebra", [*other, *talk])
    assert found[-1].passage.n == 10
    assert next(hit for hit in found if hit.passage.n == 5).why == ("in a matching session",)


def test_whom_a_query_names_comes_first() -> None:
    passages = [
        passage(1, "I love jazz", subject="Bo"),
        passage(2, "I love jazz", subject="Ann Lee"),
    ]
    best = ranked("What music does Ann love?", passages)[0]
    assert best.passage.n == 2
    assert "about Ann Lee" in best.why


def test_a_query_in_lower_case_names_its_subject_too() -> None:
    passages = [
        passage(1, "I love jazz", subject="Bo"),
        passage(2, "I love jazz", subject="Ann Lee"),
    ]
    assert order("what does ann love", passages)[0] == 2


def test_a_topic_that_is_asked_for_counts_as_words() -> None:
    passages = [
        passage(1, "green at last"),
        replace(passage(2, "green at last"), topic="billing-ci"),
    ]
    best = ranked("billing", passages)[0]
    assert best.passage.n == 2
    assert "topic: billing-ci" in best.why


def test_what_happened_when_it_is_asked_for_comes_first() -> None:
    passages = [passage(n, "the build broke", NOW - n * 5 * DAY) for n in range(4)]
    best = ranked("which build broke on 7 May 2023?", passages)[0]
    assert best.passage.n == 2
    assert "dated 7 May 2023" in best.why


def test_a_day_that_the_text_names_counts_as_much_as_its_own() -> None:
    passages = [
        passage(1, "the build broke", NOW - 90 * DAY),
        passage(2, "the build broke on 7 May 2021", NOW - 90 * DAY),
    ]
    columns = features(parse("7 May 2021", NOW), passages, corpus(passages))
    assert columns["dates"][0] < 0.01
    assert columns["dates"][1] == 1


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
    best = ranked(question, [passage(1, "the build runs and runs there"), passage(2, answer)])[0]
    assert best.passage.n == 2
    assert reason in best.why


def test_an_exact_phrase_beats_its_words_apart() -> None:
    passages = [
        passage(1, "a pool of connections"),
        passage(2, "the connection pool of the server"),
    ]
    best = ranked('"connection pool"', passages)[0]
    assert best.passage.n == 2
    assert "exact phrase" in best.why


def test_part_of_a_word_is_no_phrase() -> None:
    passages = [passage(1, "whirlpool connections"), passage(2, "pools")]
    assert features(parse('"pool connection"', NOW), passages, corpus(passages))["phrase"] == [0, 0]


def test_what_is_excluded_is_left_out() -> None:
    passages = [passage(1, "deploy on Friday"), passage(2, "deploy on Monday")]
    assert order("deploy -friday", passages) == [2]
    assert order('deploy -"on Monday" -friday', passages) == []


def test_ties_go_to_the_more_important_and_then_to_the_newer() -> None:
    same = [passage(n, "green", NOW - n * DAY) for n in range(3)]
    assert order("green", same) == [0, 1, 2]
    assert order("green", [*same[:2], replace(same[2], importance=1.0)]) == [2, 0, 1]


def test_importance_never_buries_a_better_match() -> None:
    dull = replace(passage(1, "billing is late"), importance=0.0)
    loud = replace(passage(2, "nothing to see"), importance=1.0)
    assert order("billing", [loud, dull]) == [1, 2]


def test_a_reason_names_the_words_as_they_were_asked() -> None:
    (found,) = ranked("Which Policies for deployments?", [passage(1, "deploy policy")])
    assert found.why == ("words: policies, deployments",)


def test_only_as_many_come_as_are_asked_for() -> None:
    assert len(ranked("green", [passage(n, "green") for n in range(9)], 4)) == 4


def test_the_score_is_the_sum_of_the_weighted_features() -> None:
    for found in ranked("green when", [passage(1, "green today"), passage(2, "red")]):
        assert set(found.features) == set(WEIGHTS)
        total = sum(WEIGHTS[name] * value for name, value in found.features.items())
        assert found.score == pytest.approx(total)


def test_nothing_ranks_as_nothing() -> None:
    assert ranked("anything", []) == []


@given(
    st.text(),
    st.lists(st.tuples(st.text(), st.booleans(), st.none() | st.text()), max_size=8),
)
def test_every_passage_comes_out_once_best_first(
    query: str, told: list[tuple[str, bool, str | None]]
) -> None:
    made = [passage(n, text, subject=who) for n, (text, _, who) in enumerate(told)]
    passages = session("s", *made[::2]) + made[1::2]
    found = ranked(query, passages)
    excluded = bool(parse(query, NOW).excluded)
    assert excluded or sorted(hit.passage.n for hit in found) == list(range(len(told)))
    assert all(better.score > worse.score - 1e-5 for better, worse in pairwise(found))
    assert all(hit.why for hit in found)
