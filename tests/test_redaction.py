"""Secrets are taken out of what a transcript says; ordinary text and code are left as they are."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers_transcript import KINDS, drawn, hexed, jwt, secret_part

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
    ("draw", "around"),
    [
        (lambda: "gl" + "ft-" + drawn(20), "feed {} there"),
        (lambda: "gl" + f"pat-{drawn(27)}.{hexed(2)}.{hexed(9)}", "use {}."),
        (lambda: drawn(40), "AK" + "IA" + "Q" * 16 + " / {}"),
        (lambda: f"{jwt()}..{drawn(20)}", "look at {} here"),
        (lambda: hexed(36), "//registry.example/:_authToken={}"),
        (lambda: drawn(30), '{{"auths": {{"x": {{"auth": "{}"}}}}}}'),
        (lambda: drawn(40), "AZURE_STORAGE_KEY={}"),
        (lambda: drawn(32), "DATADOG_APP_KEY={}"),
        (lambda: hexed(32), "curl -u AC" + "b1" * 16 + ":{} https://a.example"),
        (lambda: drawn(9), "CREATE USER a IDENTIFIED BY '{}'"),
        (lambda: drawn(9), "ALTER USER a WITH PASSWORD '{}'"),
        (lambda: drawn(9), "sshpass -p {} ssh a.example"),
        (lambda: drawn(9), "<db.password>{}</db.password>"),
        (lambda: drawn(9), "the password is: {}"),
        (lambda: drawn(20), "API key: {}"),
    ],
    ids=[
        *("gitlab feed", "gitlab long", "aws pair", "jwe", "npmrc", "docker", "azure", "datadog"),
        *("twilio", "mysql", "postgres", "sshpass", "xml", "colon", "label"),
    ],
)
def test_a_secret_is_known_by_what_stands_around_it(draw: Callable[[], str], around: str) -> None:
    for _ in range(8):
        secret = draw()

        said = redact(around.format(secret))

        assert not any(part in said for part in re.findall(r"\w{9,}", secret)), said
        assert MARK.search(said)


@pytest.mark.parametrize(
    "text", ["//" * 100_000 + "_authToken", "eyJa." * 40_000], ids=["slashes", "dots"]
)
def test_no_text_is_looked_at_for_long(text: str) -> None:
    """A form that goes back and forth takes minutes for this."""
    code = "import sys; from agent_mem.hooks.redaction import redact; redact(sys.stdin.read())"

    subprocess.run([sys.executable, "-c", code], input=text, text=True, timeout=30, check=True)


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
