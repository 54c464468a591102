"""Secrets are taken out of what a transcript says; ordinary text and code are left as they are."""

import re
from pathlib import Path

import pytest
from helpers_transcript import KINDS, secret_part

import agent_mem
from agent_mem.hooks.redaction import redact

MARK = re.compile(r"\[redacted: [a-z0-9-]+\]")


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_of_every_kind_is_replaced_by_what_it_was(kind: str) -> None:
    draw, around = KINDS[kind]
    for _ in range(8):
        secret = draw()

        said = redact(f"Before.\n{around.format(secret)}\nAfter.")

        assert not any(part in said for part in secret_part(secret)), said
        assert MARK.search(said)
        assert said.startswith("Before.\n")
        assert said.endswith("\nAfter.")


@pytest.mark.parametrize(
    "text",
    [
        "password: str = Field(description='The password')",
        "token = tokens[0]",
        "secret = os.environ['SECRET']",
        "PASSWORD=$PASSWORD ./run.sh",
        "password = get_password(user)",
        "postgresql://user:password@host/db",
        "https://{user}:{password}@{host}/",
        "The password is required, and the token is optional.",
        "sha256: 3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
        "commit d1a2191b86d0eee8c86b89b04ca85434b05e1e40",
        "a basic understanding of bearer tokens and secrets",
        'key = "memory://item/0193b0c0-0000-7000-8000-000000000000"',
        "def test_a_rare_word_weighs_more_and_none_weighs_less_than_nothing() -> None:",
    ],
)
def test_ordinary_text_and_code_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_is_kept() -> None:
    secret = KINDS["connection"][0]()

    said = redact(f"DATABASE_URL=postgresql://shop:{secret}@db.example:5432/shop")

    assert said == "DATABASE_URL=postgresql://shop:[redacted: password]@db.example:5432/shop"


def test_a_key_whose_end_is_missing_is_redacted_to_the_end() -> None:
    secret = KINDS["private key"][0]().rpartition("\n")[0]

    assert redact(f"look:\n{secret}") == "look:\n[redacted: private-key]"


def test_a_secret_within_json_within_a_text_is_found() -> None:
    secret = KINDS["password"][0]()

    assert secret not in redact(f'{{"env": "{{\\"password\\": \\"{secret}\\"}}"}}')


def test_redacting_twice_is_redacting_once() -> None:
    said = redact("\n".join(around.format(draw()) for draw, around in KINDS.values()))

    assert redact(said) == said


def test_hardly_a_line_of_this_programs_own_sources_is_altered() -> None:
    texts = [
        path.read_text(encoding="utf-8") for path in Path(agent_mem.__file__).parent.rglob("*.py")
    ]
    lines = [line for text in texts for line in text.splitlines()]
    altered = sum(
        line != new for line, new in zip(lines, redact("\n".join(lines)).split("\n"), strict=True)
    )

    assert altered <= len(lines) / 2_000
