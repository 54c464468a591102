"""What speaks for a passage: each feature against what it promises."""

from dataclasses import replace
from datetime import timedelta
from math import exp

import numpy as np
import pytest
from helpers_passages import DAY, NOW, columns, corpus, heard, passage, session
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from agent_mem.recall.candidates import telling
from agent_mem.recall.features import (
    Sense,
    agreement,
    beside,
    filled,
    late_interaction,
    places,
    standardised,
    word_gains,
)
from agent_mem.recall.frequencies import Corpus

UNIT = 127**2
SIZES = st.integers(-127, 127)


def test_the_gains_of_all_words_add_up_to_bm25() -> None:
    passages = [passage(1, "red kite, red sea"), passage(2, "blue sea"), passage(3, "calm")]
    asked = ("red", "sea")
    among = corpus(passages)
    held = [p.terms.split() for p in passages]

    gains = word_gains(asked, held, among)

    wanted = Corpus({term: among.frequencies[term] for term in asked}, among.total, among.average)
    assert_allclose(gains.sum(axis=1), [wanted.bm25(words) for words in held])
    assert gains[1, 0] == gains[2].sum() == 0 < gains[0].min()


def test_a_topic_counts_as_words() -> None:
    passages = [passage(1, "green"), passage(2, "green")._replace(topic="billing-ci")]

    words = columns("billing", passages)["words"]

    assert words[1] > words[0]


@st.composite
def senses(draw: st.DrawFn) -> tuple[Sense, int]:
    """Draw the vectors of a query and of passages, some of which have none."""
    width = draw(st.integers(1, 4))
    row = st.lists(SIZES, min_size=width, max_size=width)
    asked = draw(st.lists(row, min_size=1, max_size=4))
    weights = draw(st.lists(st.floats(0, 1), min_size=len(asked), max_size=len(asked)))
    held = draw(st.lists(st.lists(row, max_size=4), max_size=5))
    tokens = {n: np.array(rows, np.int8).tobytes() for n, rows in enumerate(held) if rows}
    words: list[frozenset[str]] = [frozenset()] * len(asked)
    sense = Sense(np.array(asked, np.float32), np.array(weights), tokens, {}, words)
    return sense, len(held)


def slowly(sense: Sense, count: int) -> list[list[float]]:
    """Compare every word piece with every token, one by one."""
    gains: dict[int, list[float]] = {}
    for n, content in sense.tokens.items():
        rows = np.frombuffer(content, np.int8).reshape(-1, sense.asked.shape[1]).tolist()
        gains[n] = [
            max(0, *(sum(a * b for a, b in zip(piece, row, strict=True)) for row in rows))
            / UNIT
            * weight
            for piece, weight in zip(sense.asked.tolist(), sense.weights.tolist(), strict=True)
        ]
    pieces = range(len(sense.asked))
    mean = [sum(row[j] for row in gains.values()) / (len(gains) or 1) for j in pieces]
    return [gains.get(n, mean) for n in range(count)]


@given(senses())
def test_late_interaction_is_the_sum_of_the_best_similarities(drawn: tuple[Sense, int]) -> None:
    sense, count = drawn
    found = late_interaction([passage(n, "x") for n in range(count)], sense)

    assert found.shape == (count, len(sense.asked))
    assert_allclose(found, np.array(slowly(sense, count)).reshape(found.shape), atol=1e-6)


def test_what_has_no_token_vectors_yet_gets_the_mean_of_the_others() -> None:
    passages = [passage(n, "x") for n in range(3)]

    found = late_interaction(passages, heard({}, {0: (127, 0), 2: (0, 127)}))

    assert found.tolist() == [[1.0], [0.5], [0.0]]


def test_a_code_is_itself_and_not_one_that_looks_like_it() -> None:
    passages = [passage(1, "e4312 again"), passage(2, "e4313 again"), passage(3, "e4312 new")]
    tokens = {1: (100, 0), 2: (127, 0)}
    sense = replace(heard({}, tokens), words=[frozenset(["e4312"])])

    found = late_interaction(passages, sense)

    assert found[0] == found[2] == 1.0  # the code itself, embedded or not
    assert found[1] < 0.5
    nowhere = replace(sense, words=[frozenset(["e4319"])])
    assert late_interaction(passages[:2], nowhere)[1] == 1.0  # then what is like it counts


def test_a_year_is_no_code() -> None:
    passages = [passage(1, "in 2022"), passage(2, "in 2023")]
    sense = heard({}, {1: (100, 0), 2: (127, 0)})

    found = late_interaction(passages, replace(sense, words=[frozenset(["2022"])]))

    assert found.tolist() == late_interaction(passages, sense).tolist()


def test_what_is_of_the_opposite_meaning_counts_no_less_than_nothing() -> None:
    assert late_interaction([passage(1, "x")], heard({}, {1: (-127, 0)})).tolist() == [[0.0]]


def test_the_name_of_who_speaks_weighs_nothing_unless_it_is_all_there_is() -> None:
    passages = [passage(1, "jazz is fine", subject="Ann Lee"), passage(2, "rock", subject="Bo")]
    among = corpus(passages)

    named = telling(["ann", "jazz", "rock"], passages, among)

    assert named.tolist() == [0, 0.5, 0.5]
    alone = telling(["ann", "jazz"], [passage(9, "x", subject="Ann Jazz")], among)
    assert alone[0] > alone[1] > 0  # of names alone the rarer tells more
    assert telling(["ann", "jazz"], [], among)[0] > 0


def test_a_rarer_word_tells_more_and_all_tell_the_same_where_none_is_known() -> None:
    passages = [passage(1, "red kite"), passage(2, "red sea"), passage(3, "red sky")]

    weights = telling(["red", "kite"], passages, corpus(passages))

    assert weights[1] > weights[0] > 0
    assert weights.sum() == pytest.approx(1)
    assert telling(["the", "?!"], passages, corpus(passages)).tolist() == [0.5, 0.5]
    assert telling([], passages, corpus(passages)).tolist() == []


def test_a_link_of_either_neighbour_is_enough() -> None:
    """Of what stands at the edge of the candidates it is not known what stands beside it."""
    whole = session("s", passage(1, "a"), passage(2, "b"), passage(3, "c"))
    known = [whole[0]._replace(next=None), whole[1], whole[2]._replace(previous=None)]
    edges = [whole[0], whole[1]._replace(previous=None, next=None), whole[2]]

    for some in (whole, known, edges):
        before, after = places(some)
        assert before.tolist() == [-1, 0, 1]
        assert after.tolist() == [1, 2, -1]


def test_a_neighbour_that_is_no_candidate_is_nowhere() -> None:
    alone = session("s", *(passage(n, "a") for n in (1, 2, 3)))[1:2]

    assert [way.tolist() for way in places(alone)] == [[-1], [-1]]


def test_a_word_reaches_two_places_either_way_and_fades() -> None:
    chat = session("s", *(passage(n, "a") for n in range(7)))
    gains = np.zeros((7, 1))
    gains[3] = 10

    found = beside(gains, *places(chat))

    assert_allclose(found, [0, 5, 7, 0, 7, 5, 0])


def test_a_neighbour_adds_only_what_a_passage_lacks() -> None:
    chat = session("s", *(passage(n, "a") for n in range(3)))
    gains = np.array([[10.0, 0.0], [6.0, 1.0], [8.0, 4.0]])

    found = beside(gains, *places(chat))

    # The middle: 7 of the first instead of its own 6, and 2.8 of the last instead of 1.
    assert_allclose(found, [0 + 2.0, 1.0 + 1.8, 0.0])


def test_nobody_is_beside_what_is_in_no_session() -> None:
    alone = [passage(n, "a") for n in range(3)]

    assert beside(np.ones((3, 2)), *places(alone)).tolist() == [0, 0, 0]


def test_a_session_counts_by_its_two_best_and_what_has_none_by_itself() -> None:
    talk = session("s", *(passage(n, text) for n, text in enumerate(["kite", "kite", "sea"])))
    other = session("t", passage(10, "kite"), passage(11, "sea"))
    alone = [passage(20, "kite"), passage(21, "sea")]

    found = columns("kite", [*talk, *other, *alone])["session"]

    assert found[0] == found[1] == found[2] > found[3] == found[4] == found[5] > found[6]


def test_an_answer_counts_by_the_words_of_its_question() -> None:
    chat = session(
        "s",
        passage(1, "Which editor do you use?", subject="Ann"),
        passage(2, "Helix.", subject="Bo"),
        passage(3, "Fine.", subject="Ann"),
    )

    found = columns("editor", chat)["reply"]

    assert found[1] > found[0] == found[2]


@pytest.mark.parametrize(
    ("question", "subject"), [("Which editor?", "Ann"), ("Which editor.", "Bo")]
)
def test_what_answers_oneself_or_no_question_is_no_reply(question: str, subject: str) -> None:
    chat = session("s", passage(1, question, subject="Ann"), passage(2, "Helix.", subject=subject))

    assert columns("editor", chat)["reply"].tolist() == [0, 0]


def test_a_subject_is_named_in_any_case_and_by_a_part_of_the_name() -> None:
    passages = [passage(1, "jazz", subject="Ann Lee"), passage(2, "jazz", subject="Bo")]
    passages.append(passage(3, "jazz"))

    for query in ("What does Ann like?", "what does ann like", "LEE"):
        assert columns(query, passages)["subject"].tolist() == [1, 0, 0]
    assert columns("what does annika like", passages)["subject"].tolist() == [0, 0, 0]


def test_dates_agree_by_how_far_they_are_apart() -> None:
    passages = [passage(n, "x", NOW + n * DAY) for n in (-8, -1, 0, 7)]

    found = columns("what was on 16 May 2023?", passages)["dates"]

    assert_allclose(found, [exp(-1), 1, exp(-1 / 7), exp(-8 / 7)])


def test_a_day_that_a_text_names_counts_as_much_as_its_own() -> None:
    past = NOW - 90 * DAY
    passages = [passage(1, "it broke", past), passage(2, "it broke on 7 May 2021", past)]

    found = columns("7 May 2021", passages)["dates"]

    assert found[0] < 0.01
    assert found[1] == 1


def test_an_open_span_agrees_with_all_on_its_side() -> None:
    passages = [passage(n, "x", NOW + timedelta(days=n)) for n in (-5000, -47, -46, 300)]

    before = columns("what was before April 2023?", passages)["dates"]
    after = columns("what was since April 2023?", passages)["dates"]

    # 17 May is 46 days after 1 April.
    assert_allclose(before, [1, 1, exp(-1 / 7), exp(-347 / 7)])
    assert after[2:].tolist() == [1, 1]
    assert after[1] == pytest.approx(exp(-1 / 7))


def test_of_several_times_the_nearest_counts_and_no_time_says_nothing() -> None:
    passages = [passage(1, "x", NOW - 400 * DAY), passage(2, "x")]

    told = columns("what was on 17 May 2023 or on 12 April 2022?", passages)["dates"]

    assert told.tolist() == [1, 1]
    assert columns("what was it?", passages)["dates"].tolist() == [0, 0]


def test_spans_that_meet_agree_and_those_that_touch_are_a_day_apart() -> None:
    assert agreement((10, 20), 19, 25) == agreement((10, 20), 1, 11) == 1
    assert agreement((10, 20), 20, 25) == agreement((10, 20), 1, 10) == pytest.approx(exp(-1 / 7))


@pytest.mark.parametrize(
    ("query", "text", "feature"),
    [
        ("When was it?", "It ran last week", "when"),
        ("How many ran?", "There ran 7 of them", "number"),
        ("Who ran it?", "I heard Anna ran it", "name"),
    ],
)
def test_the_kind_of_answer_is_marked_where_it_is_asked_for(
    query: str, text: str, feature: str
) -> None:
    passages = [passage(1, text), passage(2, "it ran")]

    asked = columns(query, passages)

    assert asked[feature].tolist() == [1, 0]
    assert columns("tell of the run", passages)[feature].tolist() == [0, 0]
    assert not any(asked[other].any() for other in {"when", "number", "name"} - {feature})


def test_each_phrase_counts_where_its_words_stand_together() -> None:
    passages = [
        passage(1, "whirlpool connections"),
        passage(2, "the pool of connections"),
        passage(3, "a red pool connection"),
    ]

    found = columns('"pool connection" "red pool"', passages)["phrase"]

    # "of" is a stop word, which is no term.
    assert found.tolist() == [0, 1, 2]


def test_with_an_encoder_meaning_takes_the_place_of_sessions() -> None:
    passages = session("s", passage(1, "kite"), passage(2, "Which kite?"))

    without, found = columns("kite", passages), columns("kite", passages, heard({}, {}))

    assert found.keys() - without.keys() == {"meaning", "cosine", "question"}
    assert without.keys() - found.keys() == {"session"}
    assert found["question"].tolist() == [0, 1]


def test_meaning_and_cosine_tell_how_far_a_passage_stands_out() -> None:
    passages = [passage(n, "x") for n in range(4)]
    sense = heard({0: 0.9, 1: 0.1, 2: 0.5}, {0: (127, 0), 1: (0, 127), 3: (0, 127)})

    found = columns("kite", passages, sense)

    assert found["cosine"][0] > found["cosine"][2] == found["cosine"][3] > found["cosine"][1]
    assert found["cosine"][3] == pytest.approx(0)
    assert found["meaning"][0] > found["meaning"][2] > found["meaning"][1] == found["meaning"][3]


def test_what_means_the_query_lifts_what_stands_beside_it() -> None:
    chat = session("s", *(passage(n, "x") for n in range(4)))
    tokens = {n: (127 if n == 0 else 0, 0) for n in range(4)}

    found = columns("kite", chat, heard({}, tokens))["neighbours"]

    assert found[1] > found[2] > found[0] == found[3]


def test_what_is_not_known_has_the_mean_of_what_is() -> None:
    assert filled([1.0, None, 2.0]).tolist() == [1.0, 1.5, 2.0]
    assert filled([None, None]).tolist() == [0, 0]
    assert filled([]).tolist() == []


def test_standardised_is_deviations_from_the_mean() -> None:
    assert standardised(np.array([1.0, 3.0])).tolist() == [-1, 1]
    assert standardised(np.array([-1.0, -3.0])).tolist() == [1, -1]


def test_a_small_difference_among_a_few_alike_stays_small() -> None:
    # The deviation is 0.05: less than a quarter of the highest value, or than the given least.
    assert_allclose(standardised(np.array([1.0, 1.1])), [-0.05 / 0.275, 0.05 / 0.275])
    assert_allclose(standardised(np.array([1.0, 1.1]), 0.5), [-0.1, 0.1])
    assert_allclose(standardised(np.array([1.0, 1.1]), 0.01), [-1, 1])


def test_where_all_are_the_same_nothing_stands_out() -> None:
    for value in (0.0, 2.0, -2.0):
        assert standardised(np.full(3, value)).tolist() == [0, 0, 0]
    assert standardised(np.zeros(0)).tolist() == []


@given(st.text(), st.lists(st.text(), max_size=5), st.booleans())
def test_every_feature_is_a_number_for_every_passage(
    query: str, texts: list[str], encoded: bool
) -> None:
    passages = session("s", *(passage(n, text) for n, text in enumerate(texts)))

    found = columns(query, passages, heard({0: 0.5}, {0: (1, 2)}) if encoded else None)

    assert all(column.shape == (len(texts),) for column in found.values())
    assert all(np.isfinite(column).all() for column in found.values())
