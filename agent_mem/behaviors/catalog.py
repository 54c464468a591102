"""Which behaviors there are: those that were registered, and those that are built in."""

from pydantic import ValidationError

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS, PARAMS, STEPS
from agent_mem.behaviors.action import Params
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.behavior import Behavior, behavior_id
from agent_mem.storage.store import decode


def built_in(app: App, agent: str) -> list[Behavior]:
    """List the actions that can be run without being registered."""
    return [
        Behavior(
            id=behavior_id(app.store.owner, agent, name), agent_name=agent, name=name, action=name
        )
        for name in BEHAVIORS
        if name not in STEPS and not needs_words(name)
    ]


def needs_words(action: str) -> bool:
    """Look whether an action can do nothing without being told something."""
    return any(field.is_required() for field in params_model(action).model_fields.values())


def params_model(action: str) -> type[Params]:
    """Say what an action takes."""
    return PARAMS.get(action, Params)


async def named(app: App, name: str, agent: str) -> Behavior:
    """Find a behavior by its name: a registered one, or one that is built in.

    Raises:
        NotFound: there is none.
        InvalidInput: it is switched off.
    """
    rows = await app.store.rows("behaviors.named", name=name, agent=agent)
    # An agent without a behavior of its own runs what is built in before what another has.
    stored = [
        b
        for row in rows
        if (b := decode(Behavior, row)).agent_name == agent or name not in BEHAVIORS
    ]
    found = next((b for b in (*stored, *built_in(app, agent)) if b.name == name), None)
    if found is None:
        raise NotFound(f"There is no behavior `{name}`: list_behaviors names them.")
    if not found.enabled:
        raise InvalidInput(f"The behavior `{name}` is switched off.")
    return found


def params_of(app: App, behavior: Behavior, given: dict[str, object]) -> Params:
    """Check what the action is told, before anything is written.

    Raises:
        NotFound: this program does not have the action.
        InvalidInput: a parameter makes no sense.
    """
    if behavior.action not in BEHAVIORS:
        known = ", ".join(BEHAVIORS)
        raise NotFound(f"There is no action `{behavior.action}`; there are {known}.")
    model = params_model(behavior.action)
    try:
        params = model.model_validate({**behavior.params, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(model.model_fields)
        raise InvalidInput(f"`input.{name[:80]}`: {first['msg']}. It takes {known}.") from None
    return params.model_copy(update={"project": app.where(params.project)})
