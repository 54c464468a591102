"""Tokens: given out once, kept as a hash, and what each may do; and how often one may ask."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent_mem.cli.main import main
from agent_mem.config import Settings
from agent_mem.errors import ActionFailed, InvalidInput
from agent_mem.records.record import now
from agent_mem.server.limits import BURST, MOST, Limits
from agent_mem.server.scopes import NEEDED, allows, asked
from agent_mem.server.tokens import Tokens, replace
from agent_mem.tools import TOOLS


@pytest.fixture
def tokens() -> Tokens:
    """Open those of the memory that the environment names."""
    return Tokens(Settings())


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["token", *words])


def test_a_token_is_printed_once_and_only_its_hash_is_kept(tokens: Tokens) -> None:
    secret = run("add", "laptop", "--owner", "ana", "--expires", "30d").output.strip()

    (kept,) = tokens.known()
    assert (kept.name, kept.owner, kept.scope) == ("laptop", "ana", "write")
    assert kept.expires_at
    assert timedelta(days=29) < kept.expires_at - now() < timedelta(days=30)
    assert len(secret) == len("amt_") + 43  # 256 bits in base 64
    assert tokens.find(secret) == kept
    assert secret not in tokens.path.read_text()
    assert secret not in run("list").output
    if os.name == "posix":
        assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600


def test_tokens_are_listed_without_their_secrets_and_revoked_by_name(tokens: Tokens) -> None:
    run("add", "laptop")
    run("add", "guest", "--scope", "read", "--expires", "2w")

    lines = run("list").output.splitlines()
    assert [line.split()[:3] for line in lines if "20" in line] == [
        ["laptop", "me", "write"],
        ["guest", "me", "read"],
    ]
    assert "never" in lines[-3 if not lines[-1].strip() else -2]
    assert run("revoke", "laptop").output == "Revoked laptop.\n"
    assert [one.name for one in tokens.known()] == ["guest"]
    assert run("revoke", "guest").exit_code == 0
    assert (tokens.known(), tokens.exist) == ([], True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "laptop"), "There is a token `laptop` already: revoke it first."),
        (("add", " "), "write 1 to 200 characters"),
        (("add", "x", "--owner", "y" * 201), "write 1 to 200 characters"),
        (("add", "x", "--expires", "soon"), "write a number and h, d or w"),
        (("add", "x", "--scope", "all"), "'all' is not one of"),
        (("revoke", "x"), "There is no token `x`."),
    ],
    ids=["twice", "nameless", "owner", "expires", "scope", "unknown"],
)
def test_what_makes_no_sense_is_told_in_a_sentence_and_changes_nothing(
    words: tuple[str, ...], said: str, tokens: Tokens
) -> None:
    run("add", "laptop")
    before = tokens.path.read_bytes()

    told = run(*words)

    assert told.exit_code
    assert said in " ".join(told.output.split())
    assert tokens.path.read_bytes() == before


def test_tokens_that_are_made_at_the_same_time_are_all_kept(tokens: Tokens) -> None:
    def add(number: int) -> str:
        return Tokens(Settings()).add(f"t{number}", "me", "read")

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(add, range(8)))

    assert sorted(one.name for one in tokens.known()) == sorted(f"t{n}" for n in range(8))
    assert all(tokens.find(secret) for secret in made)


def test_a_token_file_that_makes_no_sense_is_told_and_left_alone(tokens: Tokens) -> None:
    secret = tokens.add("laptop", "ana", "read")
    entry = json.loads(tokens.path.read_text())
    for text in ("{", json.dumps([{**entry[0], "scope": "all"}])):
        tokens.path.write_text(text)
        with pytest.raises(InvalidInput, match="cannot be read"):
            tokens.find(secret)
        with pytest.raises(InvalidInput):
            tokens.add("other", "ana", "read")
        assert tokens.path.read_text() == text


@pytest.mark.skipif(os.name != "posix", reason="there are no modes to look at")
def test_a_token_file_that_others_may_write_is_not_trusted(tokens: Tokens) -> None:
    secret = tokens.add("laptop", "ana", "read")
    tokens.path.chmod(0o666)

    with pytest.raises(ActionFailed, match="Others may write"):
        Tokens(Settings()).find(secret)


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(OSError, match="folder"):
        replace(tmp_path / "folder", "text")

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_each_scope_includes_those_before_it() -> None:
    found = {
        granted: [one for one in ("read", "write", "admin") if allows([granted], one)]
        for granted in ("read", "write", "admin", "openid")
    }

    assert found == {
        "read": ["read"],
        "write": ["read", "write"],
        "admin": ["read", "write", "admin"],
        "openid": [],
    }


def test_a_tool_needs_what_it_does() -> None:
    assert {name for name, scope in NEEDED.items() if scope == "admin"} == {
        "run_behavior", "register_behavior", "register_skill", "bind_skill",
    }  # fmt: skip
    assert {tool.name for tool in TOOLS if tool.reads} == {
        name for name, scope in NEEDED.items() if scope == "read"
    }
    assert asked({"method": "tools/call", "params": {"name": ["recall"]}}) == "write"
    assert asked(
        [{"method": "ping"}, [{"method": "tools/call", "params": {"name": "recall"}}]]
    ) == ("read")


def test_a_bucket_fills_at_its_rate_and_holds_no_more_than_a_burst() -> None:
    times = iter([0, 0, *[0] * 18, 0, 0.05, 0.1, 1000, *[1000] * 20])
    limits = Limits(10, lambda: next(times))

    first = [limits.take("ana") for _ in range(int(10 * BURST))]
    after = [limits.take("ana") for _ in range(3)]
    later = [limits.take("ana") for _ in range(21)]

    assert first == [0] * 20
    assert after == [1, 1, 0]
    assert later == [0] * 20 + [1]


def test_buckets_take_bounded_memory_and_whoever_waits_longest_begins_anew() -> None:
    limits = Limits(0.4, lambda: 0)  # one request at once

    taken = [limits.take(str(n)) for n in range(MOST)]
    again = limits.take("0"), limits.take("new"), limits.take("1")

    assert taken == [0] * MOST
    assert again == (3, 0, 0)


def test_no_rate_is_no_limit() -> None:
    limits = Limits(0, lambda: 0)

    assert [limits.take("ana") for _ in range(1000)] == [0] * 1000
