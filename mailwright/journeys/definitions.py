"""What a project says about its campaigns and journeys."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.core.events import ARCHIVED
from mailwright.decisions.mail import MailDefinition
from mailwright.experiments.definitions import ExperimentDefinition

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

END = "end"
"""Where a run stands that waits after its last mail; no step may have this name."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class ScheduleDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When a campaign takes place, in the shop's time zone.

    Attributes:
        every: ``once`` (on the day `from`), ``day`` or ``week``.
        on: Weekday of a weekly campaign; only there.
        at: Wall clock ``HH:MM``. A time that the clocks skip is taken as far after midnight as it would have been; of
            one that comes twice the first is taken.
        first_on: In YAML ``from``: first day it may take place; required for ``once``.
        until: Last day it may take place, included.
    """

    every: Literal["once", "day", "week"]
    on: Weekday | None = None
    at: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    first_on: datetime.date | None = msgspec.field(name="from", default=None)
    until: datetime.date | None = None

    def __post_init__(self) -> None:
        if (self.every == "week") != (self.on is not None):
            raise ValueError("a weekly schedule, and no other, has 'on': a weekday")
        if self.every == "once" and self.first_on is None:
            raise ValueError("a schedule 'once' needs 'from': its day")
        if self.first_on and self.until and self.until < self.first_on:
            raise ValueError(f"'until' {self.until} is before 'from' {self.first_on}")


class CampaignDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One mail to everyone who meets a rule, at planned times (``campaigns/NAME.yaml``).

    Attributes:
        audience: Rule text; the engine evaluates it as ``campaign:NAME:audience``.
        purpose: Consent purpose that must be granted; empty for transactional mail.
        send_by: How long after the planned time a mail may still be handed over.
        archived: Whether people whom the audit has archived get it too.
    """

    title: Text
    audience: Text
    purpose: str = "marketing"
    schedule: ScheduleDefinition
    send_by: str = "12 hours"
    mail: MailDefinition
    experiment: ExperimentDefinition | None = None
    archived: bool = False

    def __post_init__(self) -> None:
        _duration(self.send_by)

    @property
    def send_by_micros(self) -> int:
        """`send_by` in microseconds."""
        return duration_micros(self.send_by)


class TriggerDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What starts a journey: entering or leaving a segment, one of the two."""

    enters: str | None = None
    leaves: str | None = None

    def __post_init__(self) -> None:
        if (self.enters is None) == (self.leaves is None):
            raise ValueError("a trigger is either 'enters' or 'leaves', with the name of a segment")

    @property
    def segment(self) -> str:
        """The segment whose transitions count."""
        return self.enters or self.leaves or ""


class StepDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One step: a mail or a wait, one of the two.

    Attributes:
        name: Unique in the journey; empty means ``mail-2`` for a mail in second place, ``wait-3`` for a wait in third.
        mail: A mail asked for when the run comes here.
        wait: How long the run stays here (``7 days``).
        send_by: How long after the step the mail may still be handed over; only with `mail`.
        experiment: Variants of the mail; only with `mail`.
    """

    name: str = ""
    mail: MailDefinition | None = None
    wait: str | None = None
    send_by: str = "12 hours"
    experiment: ExperimentDefinition | None = None

    def __post_init__(self) -> None:
        if (self.mail is None) == (self.wait is None):
            raise ValueError("a step is either 'mail' or 'wait'")
        if self.experiment and not self.mail:
            raise ValueError("only a mail can have an experiment")
        _duration(self.send_by if self.wait is None else self.wait)

    @property
    def send_by_micros(self) -> int:
        """`send_by` in microseconds."""
        return duration_micros(self.send_by)


class JourneyDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A sequence of steps that a person goes through after a trigger (``journeys/NAME.yaml``).

    Attributes:
        reentry_after: How long after the start of the last run a person may enter again; ``never``: once only.
            Never while a run is open.
        exit_when: Rule text, evaluated as ``journey:NAME:exit``: whoever meets it leaves at once and does not enter.
        purpose: Consent purpose of its mails; empty for transactional ones.
    """

    title: Text
    trigger: TriggerDefinition
    reentry_after: str = "never"
    exit_when: str | None = None
    purpose: str = "marketing"
    steps: Annotated[list[StepDefinition], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        if self.reentry_after != "never":
            _duration(self.reentry_after)
        names = list(self.named_steps())
        if len(names) < len(self.steps):
            raise ValueError("two steps have the same name")
        if END in names:
            raise ValueError(f"a step may not be named {END!r}")

    @property
    def reentry_micros(self) -> int | None:
        """`reentry_after` in microseconds; None for never."""
        return None if self.reentry_after == "never" else duration_micros(self.reentry_after)

    def named_steps(self) -> Mapping[str, StepDefinition]:
        """Steps in order by their names."""
        return {
            step.name or f"{'mail' if step.mail else 'wait'}-{place}": step
            for place, step in enumerate(self.steps, start=1)
        }


ARCHIVED_CONDITION = f"list:{ARCHIVED}"
"""The name under which the engine evaluates whether a person is archived."""


def audience_condition(campaign: str) -> str:
    """The name under which the engine evaluates a campaign's audience."""
    return f"campaign:{campaign}:audience"


def exit_condition(journey: str) -> str:
    """The name under which the engine evaluates a journey's exit rule."""
    return f"journey:{journey}:exit"


def _duration(text: str) -> int:
    try:
        return duration_micros(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
