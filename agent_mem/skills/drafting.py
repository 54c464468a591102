"""What is to be published, checked: with what its SKILL.md says of it."""

from dataclasses import replace

from agent_mem.errors import InvalidInput
from agent_mem.records.skill import slug
from agent_mem.skills.document import Document, document
from agent_mem.skills.fence import fenced
from agent_mem.skills.publishing import Draft
from agent_mem.skills.schema import check_schema


def completed(draft: Draft, folder: str | None = None) -> Draft:
    """Take from the frontmatter what was not said beside it.

    Args:
        draft: what was said; its body may have a frontmatter.
        folder: the name of the folder that it was read from: there has to be a frontmatter.

    Raises:
        InvalidInput: something is missing, said in two ways, or not in the format.
    """
    if folder or fenced(draft.body or ""):
        draft = merged(draft, document(draft.body or "", folder))
    for field in ("name", "description"):
        if not getattr(draft, field):
            raise InvalidInput(f"register_skill needs `{field}`, or a frontmatter in `body`.")
    check_schema(draft.spec)
    return draft


def merged(draft: Draft, said: Document) -> Draft:
    """Put together what was said in a frontmatter and beside it.

    Raises:
        InvalidInput: they say two things.
    """
    twice = {
        "name": (slug(draft.name), said.name),
        "description": (draft.description, said.description),
    }
    for field, (given, written) in twice.items():
        if given and given != written:
            raise InvalidInput(f"`{field}` is another than in the frontmatter: leave it out.")
    return replace(
        draft,
        name=draft.name or said.name,
        description=said.description,
        category=draft.category or said.category,
        version=draft.version or said.version,
        spec=said.spec | draft.spec,
        dependencies=draft.dependencies or said.dependencies,
    )
