"""What happens by itself. `BEHAVIORS` names every action that is built in."""

from agent_mem.behaviors import on_error
from agent_mem.behaviors.action import Action, Params
from agent_mem.behaviors.analyze import analyze
from agent_mem.behaviors.ask import Asking, ask
from agent_mem.behaviors.backup import Keeping, backup
from agent_mem.behaviors.command import Running, command
from agent_mem.behaviors.consolidate import consolidate
from agent_mem.behaviors.digest import digest
from agent_mem.behaviors.health_check import health_check
from agent_mem.behaviors.learn_patterns import learn_patterns
from agent_mem.behaviors.promote import Promotion, promote
from agent_mem.behaviors.prune import prune
from agent_mem.behaviors.reembed import reembed
from agent_mem.behaviors.relay import Relaying, relay
from agent_mem.behaviors.webhook import Calling, webhook

BEHAVIORS: dict[str, Action] = {
    "analyze": analyze,
    "ask": ask,
    "backup": backup,
    "command": command,
    "consolidate": consolidate,
    "digest": digest,
    "health_check": health_check,
    "learn_patterns": learn_patterns,
    "promote": promote,
    "prune": prune,
    "reembed": reembed,
    "relay": relay,
    "webhook": webhook,
    "capture": on_error.capture,
    "lookup": on_error.lookup,
    "fix": on_error.fix,
    "escalate": on_error.escalate,
    "document": on_error.document,
}

STEPS: frozenset[str] = frozenset({"capture", "lookup", "fix", "escalate", "document"})
"""What is a part of a workflow, and says nothing alone."""

PARAMS: dict[str, type[Params]] = {
    "ask": Asking,
    "backup": Keeping,
    "command": Running,
    "promote": Promotion,
    "relay": Relaying,
    "webhook": Calling,
    **dict.fromkeys(STEPS, on_error.Problem),
}
"""What an action takes beside the common parameters."""

OUTWARD: frozenset[str] = frozenset({"ask", "command", "escalate", "fix", "webhook"})
"""What reaches beyond this memory: while the server cannot be reached, it is not done at all."""
