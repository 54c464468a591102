"""What a model may do: one module a noun, one function a verb. `TOOLS` names them all."""

from agent_mem.tools.agents import list_agents, register_agent
from agent_mem.tools.behaviors import list_behaviors, register_behavior, run_behavior
from agent_mem.tools.bindings import bind_skill
from agent_mem.tools.checkpoints import checkpoint_state, rollback_state
from agent_mem.tools.decisions import log_decision
from agent_mem.tools.events import log_event
from agent_mem.tools.memories import forget, remember
from agent_mem.tools.outcomes import log_outcome
from agent_mem.tools.patterns import list_patterns, share_pattern
from agent_mem.tools.recall import recall
from agent_mem.tools.registrations import register_skill
from agent_mem.tools.reviews import review_decisions
from agent_mem.tools.sessions import restore_session, save_session
from agent_mem.tools.signals import ack_signal, read_signals, send_signal
from agent_mem.tools.skills import list_skills, load_skill
from agent_mem.tools.solutions import find_solution, record_solution
from agent_mem.tools.states import load_state, save_state
from agent_mem.tools.tasks import list_tasks, update_task
from agent_mem.tools.tool import Tool
from agent_mem.tools.work import check_work, log_work

TOOLS: tuple[Tool, ...] = (
    Tool(recall, reads=True),
    Tool(remember),
    Tool(forget, destroys=True, repeatable=True),
    Tool(log_event),
    Tool(log_decision),
    Tool(log_outcome, repeatable=True),
    Tool(restore_session, reads=True),
    Tool(save_session),
    Tool(find_solution, reads=True),
    Tool(record_solution),
    Tool(list_skills, reads=True),
    Tool(load_skill, reads=True),
    Tool(list_behaviors, reads=True),
    Tool(run_behavior),
    Tool(review_decisions, reads=True, toolset="decisions"),
    Tool(list_patterns, reads=True, toolset="decisions"),
    Tool(share_pattern, repeatable=True, toolset="decisions"),
    Tool(check_work, toolset="work"),
    Tool(log_work, toolset="work"),
    Tool(update_task, repeatable=True, toolset="work"),
    Tool(list_tasks, reads=True, toolset="work"),
    Tool(register_agent, repeatable=True, toolset="agents"),
    Tool(list_agents, reads=True, toolset="agents"),
    Tool(save_state, toolset="agents"),
    Tool(load_state, reads=True, toolset="agents"),
    Tool(checkpoint_state, repeatable=True, toolset="agents"),
    Tool(rollback_state, toolset="agents"),
    Tool(send_signal, toolset="agents"),
    Tool(read_signals, toolset="agents"),
    Tool(ack_signal, repeatable=True, toolset="agents"),
    Tool(register_behavior, repeatable=True, toolset="authoring"),
    Tool(register_skill, repeatable=True, toolset="authoring"),
    Tool(bind_skill, repeatable=True, toolset="authoring"),
)
