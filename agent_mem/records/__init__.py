"""The vocabulary: one passive model a noun. `RECORDS` names them all."""

from agent_mem.records.agent import Agent
from agent_mem.records.behavior import Behavior
from agent_mem.records.binding import Binding
from agent_mem.records.checkpoint import Checkpoint
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.insight import Insight
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.outcome import Outcome
from agent_mem.records.pattern import Pattern
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import Record
from agent_mem.records.run import Run
from agent_mem.records.session import Session
from agent_mem.records.signal import Signal
from agent_mem.records.skill import Skill
from agent_mem.records.skill_file import SkillFile
from agent_mem.records.skill_load import SkillLoad
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.solution import Solution
from agent_mem.records.state import State
from agent_mem.records.sync_pass import SyncPass
from agent_mem.records.task import Task
from agent_mem.records.work import Work

RECORDS: tuple[type[Record], ...] = (
    Session,
    Event,
    Memory,
    Decision,
    Outcome,
    Pattern,
    Snapshot,
    Task,
    Work,
    Solution,
    SkillFile,
    Skill,
    Binding,
    SkillLoad,
    Behavior,
    Run,
    Insight,
    Agent,
    State,
    Checkpoint,
    Signal,
    Receipt,
    SyncPass,
    Loser,
)

FINDABLE = {model.KIND: model for model in RECORDS if model.KIND}
"""Those that recall finds, by their kind."""
