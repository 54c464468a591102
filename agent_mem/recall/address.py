"""Where an embeddings endpoint is: its address, read strictly, and the names made from it.

Apart from `endpoint`, because that loads the client library, which takes half a second.
"""

from ipaddress import ip_address
from typing import Final

from pydantic import HttpUrl, TypeAdapter, ValidationError

from agent_mem.errors import InvalidInput

_URL: Final = TypeAdapter(HttpUrl)
_USUAL_PORTS: Final = {"http": 80, "https": 443}


def identity(model: str, url: str) -> str:
    """Name the space that vectors live in: the model, and the server that runs it.

    Raises:
        InvalidInput: this cannot be an endpoint's address.
    """
    return f"{model}@{host(parse(url))}"


def parse(url: str) -> HttpUrl:
    """Read an address. It must hold no secret, since it is logged, stored and shown.

    Raises:
        InvalidInput: this cannot be an endpoint's address.
    """
    try:
        address = _URL.validate_python(url.strip())
    except ValidationError as error:
        raise InvalidInput(f"AGENT_MEM_EMBEDDER_URL: {error.errors()[0]['msg']}.") from None
    if address.username or address.password or address.query or address.fragment:
        raise InvalidInput(
            "AGENT_MEM_EMBEDDER_URL holds only a server and a path, as in"
            " `https://api.openai.com/v1`; a key belongs in AGENT_MEM_EMBEDDER_KEY."
        )
    return address


def host(address: HttpUrl) -> str:
    """Name the server, with its port if that is not the usual one."""
    usual = address.port == _USUAL_PORTS[address.scheme]
    return f"{address.host}" if usual else f"{address.host}:{address.port}"


def is_here(address: HttpUrl) -> bool:
    """Tell whether an address is this machine's own."""
    name = (address.host or "").strip("[].")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
