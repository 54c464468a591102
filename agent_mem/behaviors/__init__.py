"""What happens by itself. `BEHAVIORS` names every action that is built in."""

from agent_mem.behaviors.action import Action
from agent_mem.behaviors.analyze import analyze
from agent_mem.behaviors.consolidate import consolidate
from agent_mem.behaviors.learn_patterns import learn_patterns
from agent_mem.behaviors.prune import prune
from agent_mem.behaviors.reembed import reembed

BEHAVIORS: dict[str, Action] = {
    "analyze": analyze,
    "consolidate": consolidate,
    "learn_patterns": learn_patterns,
    "prune": prune,
    "reembed": reembed,
}
