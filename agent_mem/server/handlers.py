"""Everything that answers requests but discovery; loaded when the first of them comes."""

from agent_mem.hooks.event import HIDDEN
from agent_mem.server.calls import Calls
from agent_mem.server.completions import Completions
from agent_mem.server.opening import Opening
from agent_mem.server.prompts import get_prompt, list_prompts
from agent_mem.server.resources import Resources
from agent_mem.tools import TOOLS


class Handlers:
    """One handler a method, by the names that `kernel` knows."""

    def __init__(self, opening: Opening) -> None:
        offered = [tool for tool in TOOLS if tool.toolset in opening.settings.toolsets]
        offered += HIDDEN if opening.beside else ()  # a hook names files
        calls, resources = Calls(opening, offered), Resources(opening)
        self.list_tools = calls.list
        self.call_tool = calls.call
        self.list_resources = resources.list
        self.list_resource_templates = resources.templates
        self.read_resource = resources.read
        self.list_prompts = list_prompts
        self.get_prompt = get_prompt
        self.completion = Completions(opening)
