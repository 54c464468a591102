"""The file of a vector index: what was written is read, and nothing else ever is."""

import stat
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_vectors import MODEL
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from agent_mem.recall.mapped import PIECE, BadIndex, Chosen, Description, read, write
from agent_mem.recall.vectors import Block, quantised, signs

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")

NAMES = ["me", "kite\u2028\n", "日本"]
EXPECTED: dict[str, Any] = {"name": "it", "life": "now", "model": MODEL, "dim": 24, "seq": 9}


def about(size: int, dim: int = 24) -> Description:
    return Description.model_validate({**EXPECTED, "dim": dim, "size": size, "names": NAMES})


def random_block(size: int, dim: int = 24) -> Block:
    random = np.random.default_rng(size)
    rows = quantised(random.standard_normal((size, dim), np.float32))
    made = Block.of(size, dim)
    made.times[:] = random.integers(-(2**62), 2**62, made.times.shape)
    made.labels[:] = random.integers(0, 99, made.labels.shape)
    return replace(made, keys=random.permutation(size), bits=signs(rows), rows=rows)


def every(block: Block) -> Chosen:
    return [(block, np.arange(len(block.keys)))]


@how(max_examples=50, deadline=None)
@given(st.integers(1, 130), st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_what_was_chosen_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, dim: int, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("index") / "file"
    parts = [(random_block(size, dim), np.arange(0, size, 2)) for size in sizes]
    said = about(sum(len(chosen) for _, chosen in parts), dim)
    write(path, said, parts)

    found, block = read(path, {"name": "it"})

    assert found == said
    for i, array in enumerate(block.arrays()):
        by_row = [np.moveaxis(b.arrays()[i], 0 if i in (0, 4) else 1, 0)[at] for b, at in parts]
        assert np.array_equal(
            np.moveaxis(array, 0 if i in (0, 4) else 1, 0), np.concatenate(by_row)
        )
        assert array.flags.aligned


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("index") / "file"
    write(path, about(4), every(random_block(4)))
    return path.read_bytes()


def refused(tmp_path: Path, content: bytes) -> bool:
    path = tmp_path / "harmed"
    path.write_bytes(content)
    try:
        read(path, EXPECTED)
    except BadIndex:
        return True
    return False


def test_any_flipped_bit_is_noticed(tmp_path: Path, whole: bytes) -> None:
    for place in range(len(whole)):
        harmed = bytearray(whole)
        harmed[place] ^= 1 << place % 8
        assert refused(tmp_path, bytes(harmed)), place
    assert not refused(tmp_path, whole)


@how(max_examples=100, deadline=None)
@given(st.data())
def test_any_other_length_or_order_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    harms: list[Callable[[], bytes]] = [
        lambda: whole[:start] + whole[end:],
        lambda: whole[:start] + bytes(end - start) + whole[end:],
        lambda: whole + whole[start:end],
        lambda: whole[start:end] + whole[:start] + whole[end:],
    ]
    harmed = data.draw(st.sampled_from(harms))()

    assert refused(tmp_path_factory.mktemp("index"), harmed) == (harmed != whole)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_index_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "file", about(20), every(random_block(20)))

    with pytest.raises(BadIndex, match="the index of something else"):
        read(tmp_path / "file", {**EXPECTED, name: "another"})


def test_a_file_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BadIndex, match="cannot be read"):
            read(path, EXPECTED)


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(FileExistsError):
        write(tmp_path / "file", about(0), every(random_block(0)))

    assert (tmp_path / "file").read_text() == "mine"


@posix
def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    write(tmp_path / "file", about(0), every(random_block(0)))

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_neither_writing_nor_reading_copies_more_than_some_pieces(tmp_path: Path) -> None:
    parts = every(random_block(300_000, 64))
    tracemalloc.start()
    try:
        write(tmp_path / "file", about(300_000, 64), parts)
        _, block = read(tmp_path / "file", {})
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert block.rows.nbytes > 15 * PIECE
    assert most < 5 * PIECE
