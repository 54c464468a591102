"""When a behavior is due."""

from datetime import UTC, datetime, timedelta

import pytest

from agent_mem.behaviors.calendar import Calendar
from agent_mem.behaviors.schedule import check, due, upcoming
from agent_mem.errors import InvalidInput
from agent_mem.records.behavior import Behavior, Trigger

START = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def behavior(trigger: Trigger, schedule: str | None, zone: str | None = None) -> Behavior:
    return Behavior(
        agent_name="a",
        name="b",
        action="analyze",
        trigger_type=trigger,
        schedule=schedule,
        time_zone=zone,
        scheduled_at=START,
    )


def told(times: list[datetime]) -> list[str]:
    return [f"{time:%d %H:%M:%S}" for time in times]


def test_what_is_daily_is_due_at_its_time_of_day() -> None:
    assert upcoming(behavior("daily", "09:30"), START) == datetime(2026, 3, 28, 9, 30, tzinfo=UTC)
    assert upcoming(behavior("daily", "13:05"), START) == datetime(2026, 3, 27, 13, 5, tzinfo=UTC)


def test_a_time_of_day_is_that_of_its_zone_in_summer_and_in_winter() -> None:
    berlin = behavior("daily", "9:00", "Europe/Berlin")
    days = [upcoming(berlin, START + n * DAY) for n in range(3)]

    # The clocks go forward on 29 March 2026.
    assert told([day for day in days if day]) == ["28 08:00:00", "29 07:00:00", "30 07:00:00"]


def test_a_time_that_the_clocks_skip_is_made_up_for_and_one_that_comes_twice_counts_once() -> None:
    berlin = behavior("daily", "02:30", "Europe/Berlin")
    autumn = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)

    assert told(due(berlin, START, START + DAY * 3)) == ["30 00:30:00"]
    assert upcoming(berlin, datetime(2026, 3, 28, 12, 0, tzinfo=UTC)) == datetime(
        2026, 3, 29, 1, 0, tzinfo=UTC
    )
    first = upcoming(berlin, autumn)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert first
    assert upcoming(berlin, first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_cron_expression_may_have_seconds() -> None:
    often = behavior("schedule", "*/20 * * * * *")

    assert told(due(often, START, START + timedelta(minutes=1))) == [
        "27 12:00:20",
        "27 12:00:40",
        "27 12:01:00",
    ]


def test_what_was_missed_for_days_is_due_once() -> None:
    daily = behavior("daily", "09:30")

    assert told(due(daily, START, START + 4 * DAY)) == ["31 09:30:00"]
    assert due(daily, START, START + timedelta(hours=1)) == []


def test_what_was_missed_within_a_minute_is_due_each_time_and_before_that_not() -> None:
    often = behavior("schedule", "* * * * * *")

    found = due(often, START, START + timedelta(hours=8))

    assert len(found) == 60
    assert found[-1] == START + timedelta(hours=8)
    assert due(often, found[-2], found[-1]) == [found[-1]]


@pytest.mark.parametrize(
    ("trigger", "schedule", "zone", "sentence"),
    [
        ("daily", "25:00", None, "`25:00` is no time of day: write `schedule` as 09:30."),
        ("daily", None, None, "`` is no time of day: write `schedule` as 09:30."),
        ("schedule", "every day", None, "`every day` is no cron expression (wrong number"),
        ("schedule", "61 * * * *", None, "`61 * * * *` is no cron expression (bad minute)"),
        ("schedule", "0 0 30 2 *", None, "`0 0 30 2 *` is no cron expression (bad day-of-month)"),
        ("schedule", "9" * 101, None, "`schedule` is longer than 100 characters."),
        ("daily", "09:00", "Mars/Base", "There is no time zone `Mars/Base`: write one such as"),
        ("manual", None, "../../etc", "There is no time zone `../../etc`: write one such as"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_in_one_sentence(
    trigger: Trigger, schedule: str | None, zone: str | None, sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(behavior(trigger, schedule, zone))

    assert str(refused.value).startswith(sentence)


def test_a_schedule_that_never_comes_is_refused() -> None:
    with pytest.raises(InvalidInput, match="never comes"):
        check(behavior("schedule", "0 0 */31 2 MON#5"))

    assert due(behavior("schedule", "0 0 */31 2 MON#5"), START - DAY, START) == []


def test_a_calendar_gives_each_due_time_once_and_says_when_the_next_is() -> None:
    often, daily = behavior("schedule", "0 * * * *"), behavior("daily", "12:30")
    calendar, at = Calendar(), START + timedelta(hours=1)

    slots, coming = calendar.due([often, daily, behavior("manual", None)], at)
    again, same = calendar.due([often, daily], at)
    later, _ = calendar.due([often, daily], at + timedelta(hours=1))

    assert [(s.behavior.id, s.due_at) for s in slots] == [
        (often.id, at),
        (daily.id, START + timedelta(minutes=30)),
    ]
    assert slots[0].key == "2026-03-27T13:00:00+00:00"
    assert (again, same) == ([], coming)
    assert coming == START + timedelta(hours=2)
    assert [s.due_at for s in later] == [START + timedelta(hours=2)]


def test_a_schedule_that_was_changed_is_due_from_its_change_on() -> None:
    calendar, at = Calendar(), START + timedelta(hours=5)
    before = behavior("daily", "20:00")
    assert calendar.due([before], at)[0] == []

    changed = before.model_copy(update={"schedule": "13:00", "scheduled_at": at})

    assert calendar.due([changed], at + timedelta(minutes=1))[0] == []
    assert [s.due_at for s in calendar.due([changed], at + DAY)[0]] == [START + timedelta(hours=25)]


def test_a_schedule_that_this_program_does_not_understand_is_left_alone() -> None:
    calendar = Calendar()

    assert calendar.due([behavior("schedule", "@sunrise")], START + DAY) == ([], None)
    assert calendar.due([behavior("schedule", "@sunrise")], START + DAY) == ([], None)
