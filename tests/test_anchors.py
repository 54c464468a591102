import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_mem.recall.anchors import Anchor, anchor


@pytest.mark.parametrize(
    ("text", "relation", "phrase"),
    [
        ("Which port did we use before the release?", "before", "the release"),
        ("where were secrets kept prior to our audit", "before", "our audit"),
        ("What did we change after we moved to Berlin?", "after", "we moved to Berlin"),
        ("Which tests failed after the upgrade to 3.12?", "after", "the upgrade to 3.12"),
        ("what has changed since the migration to Postgres", "since", "the migration to Postgres"),
        ("decisions since Ana joined", "since", "Ana joined"),
        ("Since the outage, what has been fixed?", "since", "the outage"),
        ("Who led the team until Ana left?", "until", "Ana left"),
        ("what was done by the time the audit ended", "until", "the audit ended"),
        ("what did they find during the security review?", "during", "the security review"),
        ("What port did we use when Ana joined?", "during", "Ana joined"),
        ("When Ana joined, what port did we use?", "during", "Ana joined"),
        ("how did he feel while climbing the tower", "during", "climbing the tower"),
        ("who was on call around the time of the outage", "during", "the outage"),
        ("which city did he visit before travelling to Rome", "before", "travelling to Rome"),
        ("After the merger: who ran the bakery?", "after", "the merger"),
        ("what did we use until we moved after the fact", "until", "we moved after the fact"),
    ],
)
def test_an_event_stands_for_a_date(text: str, relation: str, phrase: str) -> None:
    found = anchor(text)
    assert found is not None
    assert (found.relation, found.phrase) == (relation, phrase)


@pytest.mark.parametrize(
    "text",
    [
        "have you seen this before?",
        "what did we use before",
        "after all, what was it",
        "what did it take before long",
        "what was it before 3 March",
        "what was it before the May release",
        "since the tests fail, what should we do?",
        "since it is down, what did we do",
        "Since the outage, how to log in?",
        "what should be done before the release",
        "what do we do after the release",
        "steps before the release",
        "why did it fail since the key was valid",
        "When did Ana join?",
        "do you know when the team moved",
        "I asked you when the team moved",
        "what happened when she was younger",
        "what did we do when tests failed",
        "who was the puppy named after the planet",
        "what did it say during the night",
        "what happened after a while",
        "what happened after this",
        "what was it before it changed",
        "what happened since we last talked",
        "what was said after " + "the very long " * 6 + "story",
        "what did we do " + "and say " * 50 + "before the release",
        "",
    ],
)
def test_in_doubt_there_is_no_event(text: str) -> None:
    assert anchor(text) is None


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    found = anchor(text)
    assert found is None or found.phrase


WORDS = "before after since when the release Ana joined was did , ? during we moved until"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))
def test_what_is_found_stood_in_the_text(text: str) -> None:
    found = anchor(text)
    assert found is None or (isinstance(found, Anchor) and found.phrase in text)


@pytest.mark.parametrize("word", ["before ", "before the a", "( ", "when was ", " "])
def test_a_long_text_of_one_word_ends(word: str) -> None:
    for text in (word * 100_000, (word * 100)[:300]):
        found = anchor(text)
        assert found is None or found.phrase in text
