"""The address of an embeddings endpoint."""

import pytest

from agent_mem.errors import InvalidInput
from agent_mem.recall.address import identity, is_here, parse


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com/v1", "ftp://api.openai.com", "http://", "http://a b/v1", "http://h:99999"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^AGENT_MEM_EMBEDDER_URL: .*\.$"):
        parse(url)


@pytest.mark.parametrize(
    "url",
    ["http://me:hush@host/v1", "http://hush@host/v1", "http://host/?key=hush", "http://h/#hush"],
)
def test_an_address_that_may_hold_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="AGENT_MEM_EMBEDDER_KEY") as caught:
        parse(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "m@api.openai.com"),
        ("https://API.openai.com:443/v1/", "m@api.openai.com"),
        (" http://localhost:11434/v1\n", "m@localhost:11434"),
        ("http://[::1]:8080/v1", "m@[::1]:8080"),
    ],
)
def test_a_space_of_vectors_is_named_after_the_model_and_its_server(url: str, name: str) -> None:
    assert identity("m", url) == name


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("models.localhost", True),
        ("127.8.8.8", True),
        ("0x7f000001", True),  # 127.0.0.1 too
        ("[::1]", True),
        ("192.168.1.2", False),
        ("api.openai.com", False),
        ("localhost.example.com", False),
        ("notlocalhost", False),
    ],
)
def test_this_machine_is_known_by_all_its_names(host: str, here: bool) -> None:
    assert is_here(parse(f"http://{host}:8080/v1")) is here
