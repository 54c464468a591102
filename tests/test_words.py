import sqlite3
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_mem.recall.stemming import stem
from agent_mem.recall.words import terms


def tokenised(text: str, options: str = "") -> list[str]:
    """Give the terms that FTS5 makes of a text, in order."""
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE VIRTUAL TABLE t USING fts5 (x, tokenize = 'unicode61 {options}')")
    db.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, 'instance')")
    db.execute("INSERT INTO t VALUES (?)", (text,))
    found = [term for (term,) in db.execute("SELECT term FROM v ORDER BY offset")]
    db.close()
    return found


def test_words_are_lowered_stemmed_and_rid_of_stop_words() -> None:
    assert terms("The Deployments were DEPLOYED on Fridays") == ["deploy", "deploy", "friday"]


def test_irregular_forms_meet_their_base() -> None:
    assert terms("went goes gone") == terms("go go go")
    assert terms("bought children taught") == terms("buy child teach")


def test_clitics_and_negations_are_dropped() -> None:
    assert terms("Anna's cat didn't; she\u2019s isn't I'd we've") == terms("Anna cat")


def test_width_and_diacritics_are_folded() -> None:
    assert terms("Café Straße Ørsted \uff37\uff49\uff44\uff45 naïve") == terms(
        "cafe strasse orsted wide naive"
    )


def test_greek_and_cyrillic_are_folded_but_kept() -> None:
    assert terms("Σίσυφος Ёлка") == terms("σισυφοσ елка")
    assert len(terms("Σίσυφος Ёлка")) == 2


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("agent_mem", ["agentmem", "agent", "mem"]),
        ("getUserName", ["getusernam", "get", "user", "name"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("src/main.rs", ["srcmainr", "src", "main", "rs"]),
        ("E_CONN_42", ["econn42", "e", "conn", "42"]),
        ("v2.3.1", ["v2p3p1", "v2", "3", "1"]),
        ("2023-05-07", ["20230507", "2023", "05", "07"]),
        ("E0382", ["e0382"]),
        ("1,000", ["1000", "1", "000"]),
        ("C++", ["cplusplus"]),
        ("C#", ["csharp"]),
        ("__init__", ["init"]),
    ],
)
def test_an_identifier_gives_itself_and_then_its_parts(
    identifier: str, expected: list[str]
) -> None:
    assert terms(identifier) == expected


def test_an_identifier_is_found_by_how_it_is_written_otherwise() -> None:
    assert terms("AgentMem")[0] == terms("agent_mem")[0] == terms("agent-mem")[0]


def test_a_version_is_not_another_with_the_same_digits() -> None:
    assert terms("v2.31")[0] != terms("v23.1")[0]


def test_scripts_without_spaces_give_overlapping_pairs() -> None:
    assert terms("日本語") == ["日本", "本語"]
    assert terms("한국어 日") == ["한국", "국어", "日"]


def test_emoji_are_terms_that_words_do_not_swallow() -> None:
    assert terms("nice😀👍") == ["nice", "u1f600", "u1f44d"]


def test_letters_of_other_scripts_keep_their_vowel_signs_in_one_term() -> None:
    assert len(terms("हिन्दी भाषा")) == 2
    assert terms("कि") != terms("की")


def test_what_is_no_word_gives_no_term() -> None:
    assert terms(" \0 \ud800 -- ___ 's §") == []


def test_a_very_long_token_is_cut() -> None:
    assert [len(term) for term in terms("x1" * 5000)] == [64]


def test_stems_join_the_forms_of_a_word() -> None:
    for family in (
        "connect connected connecting connection connections",
        "relate related relating",
        "hop hopped hopping hops",
        "agree agreed agrees",
        "size sized sizing",
        "quick quickly",
        "deploy deployed deployment",
        "day days",
        "organize organized organizing organization",
        "caress caresses",
        "party parties partying",
        "fall falling falls fell",
    ):
        assert len({stem(word) for word in family.split()}) == 1, family


def test_stems_keep_words_apart_that_only_look_alike() -> None:
    assert (
        len(
            {
                stem(word)
                for word in [
                    "feed",
                    "fee",
                    "bus",
                    "us",
                    "sing",
                    "ring",
                    "sky",
                    "see",
                    "need",
                    "ice",
                ]
            }
        )
        == 10
    )


def test_what_is_no_english_word_is_its_own_stem() -> None:
    assert [stem(word) for word in ("is", "naïves", "e0382s", "")] == ["is", "naïves", "e0382s", ""]


@given(st.text())
@example("\ud800 \u0130\u0131\u017f\u212a \u03c2\u03c3 \ufb03 \u3300 \u00bd \u1d43")
@example("a\u0301b \u0915\u093f \U0001d49c\U0001d4d1 ｶﾞ \u1e9e \u0345 \u10a0 \u2160")
def test_fts5_takes_joined_terms_apart_into_the_same_terms(text: str) -> None:
    found = terms(text)
    assert tokenised(" ".join(found)) == found
    assert tokenised(" ".join(found), "remove_diacritics 0") == found


def test_every_character_there_is_comes_back_from_fts5() -> None:
    assigned = [chr(code) for code in range(0x110000) if category(chr(code)) not in {"Cn", "Co"}]
    for first in range(0, len(assigned), 4096):
        found = terms(" ".join(f"a{char}b" for char in assigned[first : first + 4096]))
        assert sorted(set(tokenised(" ".join(found)))) == sorted(set(found))


@given(st.text())
def test_analysing_terms_again_never_fails(text: str) -> None:
    assert all(term and " " not in term for term in terms(" ".join(terms(text))))


def test_thousands_of_quotes_in_one_word_take_no_time_to_speak_of() -> None:
    """Each quote used to be tried against all that follow: minutes for a long text."""
    word = "a" + "'s" * 45_000 + "b"

    assert terms(word)[0].startswith("as")
