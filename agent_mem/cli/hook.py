"""Answer a hook: `cli/entry.py` does it without this, unless options are given."""

import click

from agent_mem.hooks import command


@click.command("hook")
def hook_command() -> None:
    """Answer a hook of Claude Code or Codex: its JSON comes on stdin. It never fails."""
    command.main()
