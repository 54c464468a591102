"""The command `agent-mem`. A subcommand's module is imported when that subcommand runs."""

from importlib import import_module

import click

from agent_mem import __version__

COMMANDS = {
    "serve": "Serve MCP over stdin and stdout, or over HTTP.",
    "install": "Write a client's configuration, so that it starts this server.",
    "hook": "Answer a hook of Claude Code or Codex.",
    "token": "Give out, list and revoke the tokens of the server over HTTP.",
    "remember": "Remember something.",
    "recall": "Find what was remembered, logged or decided.",
    "status": "Tell what is stored, and where.",
    "reembed": "Embed what waits, or everything anew.",
    "sync": "Send what is new to the server, and take what others have sent.",
    "seed": "Load a pack of agents or skills.",
    "skills": "List, import, export and approve skills.",
    "demo": "Play a session through a real server, on this repository's own history.",
    "export": "Write everything to a JSONL archive.",
    "import": "Read a JSONL archive.",
    "doctor": "Look for what is wrong with this installation, and how to mend it.",
}
MODULES = {"export": "archive", "import": "archive"}


class Commands(click.Group):
    """Names the subcommands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"agent_mem.cli.{MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="agent-mem")
def main() -> None:
    """Memory that LLM agents keep. Settings are environment variables: see docs/settings.md."""
