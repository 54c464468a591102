"""The SDK's server with one tool: what `bench/server.py` compares ours with."""

from mcp.server import MCPServer

server = MCPServer("bare", version="1", log_level="WARNING")


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


if __name__ == "__main__":
    server.run()
