"""When a behavior is due: cron expressions and times of day, in a time zone."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from agent_mem.errors import InvalidInput
from agent_mem.records.behavior import Behavior

GRACE: Final = timedelta(seconds=60)
"""A due time that was missed for longer is not run by itself: only the latest of them is."""
LONGEST: Final = 100
"""Characters of a cron expression."""
TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
TIMED: Final = frozenset({"daily", "schedule"})


def zone(behavior: Behavior) -> ZoneInfo:
    """Give the time zone in which a behavior's times are meant.

    Raises:
        InvalidInput: there is none of that name.
    """
    name = behavior.time_zone or "UTC"
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(
            f"There is no time zone `{name[:80]}`: write one such as Europe/Berlin."
        ) from None


def expression(behavior: Behavior) -> str:
    """Give the cron expression of a behavior that has a time.

    Raises:
        InvalidInput: its schedule makes no sense.
    """
    said = (behavior.schedule or "").strip()
    if behavior.trigger_type == "schedule":
        return said
    if found := TIME.fullmatch(said):
        return f"{int(found[2])} {int(found[1])} * * *"
    raise InvalidInput(f"`{said[:80]}` is no time of day: write `schedule` as 09:30.")


def times(behavior: Behavior, start: datetime, *, back: bool = False) -> Iterator[datetime]:
    """Tell when a behavior is due after a time, or back from it, that time aside.

    Raises:
        InvalidInput: its schedule makes no sense.
    """
    said, here = expression(behavior), zone(behavior)
    local = start.astimezone(UTC if here.key == "UTC" else here)
    try:
        found = CronSim(said[: LONGEST + 1], local, reverse=back)
    except CronSimError as error:
        raise InvalidInput(
            f"`{said[:80]}` is no cron expression ({str(error).lower()}): write five fields, minute"
            " hour day month weekday, such as `30 9 * * MON-FRI`; a sixth before them is seconds."
        ) from None
    return (time.astimezone(UTC) for time in found)


def check(behavior: Behavior) -> None:
    """Look whether a behavior's times make sense, and come at all.

    Raises:
        InvalidInput: they do not.
    """
    if len(behavior.schedule or "") > LONGEST:
        raise InvalidInput(f"`schedule` is longer than {LONGEST} characters.")
    if behavior.trigger_type in TIMED and upcoming(behavior, datetime.now(UTC)) is None:
        raise InvalidInput(f"`{behavior.schedule}` never comes.")
    zone(behavior)


def upcoming(behavior: Behavior, after: datetime) -> datetime | None:
    """Tell when a behavior is due next; None if never again."""
    return next(times(behavior, after), None)


def due(behavior: Behavior, after: datetime, until: datetime) -> list[datetime]:
    """List the due times after one time and up to another, the first first.

    What was missed by more than a minute counts once: a machine that slept for three days does
    what is daily once when it wakes.
    """
    found: list[datetime] = []
    for time in times(behavior, until + timedelta(microseconds=1), back=True):
        if time <= after or (found and time <= until - GRACE):
            break
        found.append(time)
    return found[::-1]
