"""Skills with all their files, as folders have them."""

from collections.abc import Sequence

from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.portable import unportable
from agent_mem.records.skill import Skill, slug
from agent_mem.skills.contents import manifest, reading
from agent_mem.skills.registry import Registry, knowing
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store


def packing(
    store: Store, names: Sequence[str], version: str | None
) -> Transaction[tuple[list[Skill], list[dict[str, bytes]]]]:
    """Read some skills with their files; without a name, all that are used.

    Raises:
        InvalidInput: one of them cannot be a folder.
        NotFound: one of them, or a file, is not here.
    """
    registry = yield from knowing(store)
    chosen = [one(registry, name, version) for name in names or registry.serving()]
    for skill in chosen:
        refuse_name(slug(skill.skill_name))
    files: list[dict[str, bytes]] = []
    for skill in chosen:
        contents: dict[str, bytes] = {}
        for entry in manifest(skill):
            contents[entry.path] = yield from reading(store, skill, entry)
        files.append(contents)
    return chosen, files


def refuse_name(name: str) -> None:
    """Refuse a name that is no folder's: those that come by sync are what others made them.

    Raises:
        InvalidInput: it is none.
    """
    if "/" in name or unportable(name):
        raise InvalidInput(f"`{name}` cannot be a folder: deactivate it, or name the others.")


def one(registry: Registry, name: str, version: str | None) -> Skill:
    """Choose a version that is used.

    Raises:
        NotFound: there is none.
    """
    newest = registry.newest(name)
    for skill in registry.serving()[name] if version else [newest]:
        if version in (None, skill.version):
            return skill
    raise NotFound(f"The skill `{name}` has no version `{version}` to be used.")
