"""The shipped encoder, against what its unquantised graph says (tests/data/encoder.npz)."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent_mem.errors import EncoderUnavailable
from agent_mem.recall.encoder import (
    GRAPH,
    MODEL,
    TOKEN_SCALE,
    TOKENIZER,
    Encoded,
    Encoder,
    open_session,
    open_tokenizer,
)
from agent_mem.recall.words import STOP_WORDS

REFERENCE: dict[str, Any] = dict(np.load(Path(__file__).parent / "data/encoder.npz"))
TEXTS: list[str] = REFERENCE["texts"].tolist()
ENCODER = Encoder.load()


def alike(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Give the least cosine of a row of one with that of the other."""
    one, other = np.atleast_2d(one).astype(float), np.atleast_2d(other).astype(float)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return ((one * other).sum(axis=1) / lengths).min(initial=1)


def alone(text: str) -> Encoded:
    return ENCODER.encode([text])[0]


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(MODEL, folder / "model"))


def child(program: str) -> str:
    """Run a program, which must say nothing on standard error, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("place", range(len(TEXTS)))
def test_a_text_by_itself_has_nearly_the_vectors_of_the_unquantised_graph(place: int) -> None:
    encoded = alone(TEXTS[place])
    assert alike(encoded.vector, REFERENCE["vectors"][place]) > 0.99
    start = REFERENCE["counts"][:place].sum()
    exact = REFERENCE["tokens"][start : start + REFERENCE["counts"][place]]
    assert encoded.tokens.shape == exact.shape
    assert alike(encoded.tokens, exact) > 0.97


def test_however_fast_the_processor_multiplies_the_numbers_are_those_of_careful_products() -> None:
    tokenizer = open_tokenizer((MODEL / TOKENIZER).read_bytes())
    careful = Encoder("careful", open_session(str(MODEL / GRAPH)), tokenizer)
    for text in TEXTS:
        (exact,) = careful.encode([text])
        assert np.array_equal(alone(text).vector, exact.vector)
        assert np.array_equal(alone(text).tokens, exact.tokens)


def test_texts_encoded_together_keep_their_order_and_nearly_their_vectors() -> None:
    together = ENCODER.encode(TEXTS)
    for text, encoded, exact in zip(TEXTS, together, REFERENCE["vectors"], strict=True):
        by_itself = alone(text)
        assert encoded.words == by_itself.words
        # One scale for a batch: the bound is wider than for a text by itself.
        assert alike(encoded.vector, exact) > 0.98
        assert alike(encoded.vector, by_itself.vector) > 0.98


def test_the_same_texts_give_the_same_numbers_from_several_threads() -> None:
    expected = [alone(text).vector for text in TEXTS]
    with ThreadPoolExecutor(4) as threads:
        for vector, encoded in zip(expected * 3, threads.map(alone, TEXTS * 3), strict=True):
            assert np.array_equal(vector, encoded.vector)


def test_more_texts_than_one_run_takes_come_back_in_order() -> None:
    texts = [f"ticket {number}" for number in range(70)] + ["the long tale went on " * 80] * 20
    encoded = ENCODER.encode(texts)
    assert [one.words[1] for one in encoded[:70]] == [str(number) for number in range(70)]
    assert {one.words[0] for one in encoded[70:]} == {"long"}


def test_meaning_is_nearer_than_wording() -> None:
    query, meant, worded = ENCODER.encode(
        [
            "How do I reset my password?",
            "To change the secret that you log in with, open the account settings.",
            "How do I reset my alarm clock?",
        ]
    )
    unrelated = alone("The harvest of olives was poor that year.").vector
    assert query.vector @ meant.vector > query.vector @ unrelated + 0.2
    assert query.vector @ worded.vector > query.vector @ unrelated


def test_a_word_has_more_in_common_with_itself_in_another_sentence_than_with_others() -> None:
    one = alone("The contract was signed on Monday")
    other = alone("Send me that contract again")
    assert one.words == ("contract", "signed", "monday")
    products = one.tokens.astype(int) @ other.tokens.astype(int).T * TOKEN_SCALE**2
    assert other.words[products[0].argmax()] == "contract"
    assert products[0].max() == pytest.approx(0.7, abs=0.3)


def test_every_piece_of_a_word_is_listed_as_the_whole_word_in_lower_case() -> None:
    encoded = alone("The Reindexing took Kubernetes-based hours")
    pieces = {word: encoded.words.count(word) for word in encoded.words}
    assert list(pieces) == ["reindexing", "took", "kubernetes", "based", "hours"]
    assert pieces["kubernetes"] > 1
    assert pieces["took"] == 1
    assert len(encoded.tokens) == len(encoded.words)


def test_stop_words_and_punctuation_are_left_out() -> None:
    assert alone("What is the ... deadline, and who (if any) owns it?!").words == (
        "deadline",
        "owns",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [("Who are you?", ("who", "are", "you", "?")), ("...", (".", ".", ".")), ("", ())],
)
def test_a_text_of_nothing_else_keeps_what_there_is(text: str, words: tuple[str, ...]) -> None:
    encoded = alone(text)
    assert encoded.words == words
    assert encoded.tokens.shape == (len(words), 96)
    assert np.linalg.norm(encoded.vector) == pytest.approx(1, abs=1e-5)


def test_nothing_to_encode_gives_nothing() -> None:
    assert ENCODER.encode([]) == []


def test_a_mark_of_the_model_in_a_text_is_a_word_like_any_other() -> None:
    assert alone("tag [SEP] here is [MASK]ed").words == ("tag", "sep", "mask", "ed")


def test_what_follows_the_first_256_tokens_does_not_count() -> None:
    start = "pear " * 254
    one, other = alone(start), alone(start + "and much more about submarines " * 9)
    assert len(one.words) == 254
    assert np.array_equal(one.vector, other.vector)
    assert one.words == other.words


@given(st.text(st.characters(codec=None, exclude_categories=())))
@example(":A")
@example("\ud83d\ude00 \udfff")
@example("a\x00b \ufeff\u200b\u202e")
@example("\u0130\u0130I\u0307 ΣΣ")
@example("e" + "\u0301" * 5000)
@example("x" * 1_000_000)
@example("😀🏳️‍🌈" * 90_000)
@settings(max_examples=60, deadline=None)
def test_any_text_gives_a_unit_vector_and_a_word_for_each_token(text: str) -> None:
    encoded = alone(text)
    assert encoded.vector.shape == (384,)
    assert encoded.vector.dtype == np.float32
    assert np.linalg.norm(encoded.vector) == pytest.approx(1, abs=1e-5)
    assert encoded.tokens.dtype == np.int8
    assert encoded.tokens.shape == (len(encoded.words), 96)
    assert len(encoded.words) <= 254
    telling = [word not in STOP_WORDS and any(map(str.isalnum, word)) for word in encoded.words]
    assert all(telling) or not any(telling)


def test_token_vectors_are_of_unit_length_but_for_rounding() -> None:
    # Rounding moves each of 96 parts by at most half a step: by 0.039 in all.
    for encoded in ENCODER.encode(TEXTS):
        lengths = np.linalg.norm(encoded.tokens * TOKEN_SCALE, axis=1)
        assert (np.abs(lengths - 1) < 0.039).all()


@pytest.mark.parametrize("name", ["minilm.onnx", "probe.onnx", "tokenizer.json"])
def test_a_file_that_was_changed_or_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    file = copied(tmp_path) / name
    content = file.read_bytes()
    for wrong in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b""):
        file.write_bytes(wrong)
        with pytest.raises(EncoderUnavailable) as caught:
            Encoder.load(file.parent)
        expected = f"{file} is not the file that was shipped: install agent-mem again."
        assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["minilm.onnx", "probe.onnx", "tokenizer.json", "model.json"])
def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path, name: str) -> None:
    folder = copied(tmp_path)
    (folder / name).unlink()
    with pytest.raises(EncoderUnavailable) as caught:
        Encoder.load(folder)
    expected = f"The sentence encoder in {folder} is incomplete: install agent-mem again."
    assert str(caught.value) == expected


@pytest.mark.parametrize("said", ["", "{}", '{"name": "x", "files": {"minilm.onnx": 7}}', "\x00"])
def test_a_manifest_that_makes_no_sense_is_told_in_one_sentence(tmp_path: Path, said: str) -> None:
    folder = copied(tmp_path)
    (folder / "model.json").write_text(said)
    with pytest.raises(EncoderUnavailable, match=r"is incomplete: install agent-mem again\.$"):
        Encoder.load(folder)


def test_a_file_that_the_manifest_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "model.json").write_text('{"name": "x", "files": {}}')
    with pytest.raises(EncoderUnavailable, match="is not the file that was shipped"):
        Encoder.load(folder)


def test_the_model_has_the_name_that_vectors_are_filed_under() -> None:
    assert ENCODER.name == "all-MiniLM-L6-v2"


@pytest.mark.parametrize("name", ["onnxruntime", "tokenizers"])
def test_without_its_libraries_the_import_says_that_there_is_no_encoder(name: str) -> None:
    said = child(
        f"""
import sys
sys.modules["{name}"] = None
from agent_mem.errors import EncoderUnavailable
try:
    import agent_mem.recall.encoder
except EncoderUnavailable as error:
    print(error)
"""
    )
    assert said.startswith("The sentence encoder cannot run here, recall goes by words alone: ")
    assert name in said
    assert said.count("\n") == 1


def test_it_neither_prints_nor_reaches_for_a_network() -> None:
    said = child(
        """
import sys
reached = []
sys.addaudithook(lambda event, _: reached.append(event) if event.startswith("socket.") else None)
from agent_mem.recall.encoder import Encoder
Encoder.load().encode(["a quiet word"])
assert not reached, reached
assert "huggingface_hub" not in sys.modules
"""
    )
    assert not said


def test_the_runtime_keeps_no_telemetry(tmp_path: Path) -> None:
    encode = "from agent_mem.recall.encoder import Encoder; Encoder.load().encode(['x'])"
    env = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}

    subprocess.run([sys.executable, "-c", encode], env=env, check=True)

    assert list(tmp_path.iterdir()) == []
