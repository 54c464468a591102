"""Where the command begins. A hook is answered before anything else is loaded: a client waits."""

import sys
from importlib import import_module


def main() -> None:
    """Run `agent-mem`."""
    hook = sys.argv[1:] == ["hook"]
    module = import_module("agent_mem.hooks.command" if hook else "agent_mem.cli.main")
    module.main()
