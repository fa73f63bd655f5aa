"""``quality.yaml``: what a project watches, compares and cleans up. All of it has a default; there may be no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.core.schedules import Schedule
from mailwright.core.sources import CountKind

BROKEN = "monitors"
"""What a monitor that could not look is found by."""

MONITORS = (
    *("volume", "freshness", "missing", "new values", "outliers", "duplicates", "reconciliation", "profiles"),
    BROKEN,
)
"""Every kind of monitor, by the name that findings bear."""

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Score = Annotated[float, msgspec.Meta(ge=0, le=100)]


class _Part(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class Ignored(_Part, frozen=True):
    """What is not watched; every field that is given must match.

    Attributes:
        monitor: A kind of monitor.
        source: A source of events.
        event: An event's name.
        field: A property's or trait's name.
    """

    monitor: str = ""
    source: str = ""
    event: str = ""
    field: str = ""

    def matches(self, monitor: str, source: str, event: str, field: str) -> bool:
        """Whether a finding is one that nobody wants."""
        asked = ((self.monitor, monitor), (self.source, source), (self.event, event), (self.field, field))
        return all(not wanted or wanted == found for wanted, found in asked)


class Reconciliation(_Part, frozen=True):
    """A comparison, day by day, of what we counted with what another system says.

    Attributes:
        event: Track event that is counted; or else
        kind: what is counted as it came in, whatever it was: events, items, consents, suppressions, unsubscribes or
            list entries. What was accepted counts, and days are UTC.
        source: Of this source alone; without, of all.
        value: Property that is summed; without, only counts are compared.
        url_env: Environment variable that holds the SQLAlchemy address of the other system's database; or else
        file: a CSV in the project folder with the same columns.
        query: One SELECT giving ``day`` (date), ``count`` and, with `value`, ``sum``; days are the shop's, or
            UTC with `kind`.
        tolerance: Relative difference that is no finding: 0.01 is one per cent.
        days: How many complete days back are compared, but for those up to the one on which the first of them came.
        unlisted: What a day is that the other system does not list: ``skip``, it is not compared; or ``zero``, nothing
            happened there, as a query says that gives no row then.
    """

    event: str = ""
    kind: CountKind | None = None
    source: str = ""
    value: str = ""
    url_env: str = ""
    file: str = ""
    query: str = ""
    tolerance: _Share = 0.01
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 14
    unlisted: Literal["skip", "zero"] = "skip"

    def __post_init__(self) -> None:
        if bool(self.event) == bool(self.kind):
            raise ValueError("say `event` or `kind`, one of them")
        if self.value and not self.event:
            raise ValueError("`value` goes with `event`")
        if bool(self.url_env) == bool(self.file):
            raise ValueError("say `url_env` or `file`, one of them")
        if bool(self.url_env) != bool(self.query):
            raise ValueError("a database needs both `url_env` and `query`")


class Alerts(_Part, frozen=True):
    """Who is told of new findings.

    Attributes:
        mail: Addresses, of people in the shop.
        webhook: An https address that takes a POST of JSON.
        from_severity: ``warning`` tells everything, ``serious`` only what is.
    """

    mail: tuple[str, ...] = ()
    webhook: str = ""
    from_severity: Literal["warning", "serious"] = "warning"


class DuplicatePolicy(_Part, frozen=True):
    """What happens to people who are probably one.

    Attributes:
        propose_above: Score (0 to 100) from which a pair is listed.
        merge_above: Score from which a pair is merged by the audit; without, none is. A merge can be taken back.
    """

    propose_above: _Score = 85.0
    merge_above: _Score | None = None


class AuditPolicy(_Part, frozen=True):
    """The hygiene report and what it may change.

    Attributes:
        schedule: When it runs; on the first of each month unless said otherwise.
        duplicates: Of people.
        stale_after: A profile not seen for so long is stale.
        archive_after: A profile not seen for so long goes on the list ``archived``; without, none does. Campaigns leave
            these people out unless they say ``archived: true``, until they are seen again; the next audit then takes
            them off the list.
        fill: Trait -> where its value is taken from when the person lacks it: ``geo.country`` and the like, a path
            into the context of their newest event.
        expected: Traits that a profile should have; the report counts those without.
    """

    schedule: Schedule = Schedule(daily_at="06:00", on=1)
    duplicates: DuplicatePolicy = DuplicatePolicy()
    stale_after: str = "365 days"
    archive_after: str | None = None
    fill: Mapping[str, str] = {}
    expected: tuple[str, ...] = ("email",)

    @property
    def archive_micros(self) -> int:
        """`archive_after` in microseconds; 0: nobody is archived."""
        return duration_micros(self.archive_after) if self.archive_after else 0

    def __post_init__(self) -> None:
        for text in (self.stale_after, self.archive_after or "1 day"):
            try:
                duration_micros(text)
            except InvalidInput as error:
                raise ValueError(error.issues[0].message) from None


class QualityDefinition(_Part, frozen=True):
    """What is watched.

    Attributes:
        schedule: When the monitors look.
        season_days: How many days back a monitor compares with; the same days of the week count.
        sensitivity: How many robust standard deviations from the usual make a finding.
        freshness: Event -> how long it may stay quiet at most (``2 hours``); without, its own past is the measure.
        keys: Event -> property that must not come twice.
        ignore: What is not watched.
        reconcile: Comparisons with other systems, by name.
        alerts: Who is told.
        audit: The hygiene report.
    """

    schedule: Schedule = Schedule(every="1 hour")
    season_days: Annotated[int, msgspec.Meta(ge=14, le=366)] = 56
    sensitivity: Annotated[float, msgspec.Meta(ge=2, le=50)] = 6.0
    freshness: Mapping[str, str] = {}
    keys: Mapping[str, str] = msgspec.field(default_factory=lambda: {"Order Completed": "order_id"})
    ignore: tuple[Ignored, ...] = ()
    reconcile: Mapping[str, Reconciliation] = {}
    alerts: Alerts = Alerts()
    audit: AuditPolicy = AuditPolicy()

    def faults(self) -> list[tuple[tuple[str | int, ...], Issue]]:
        """Faults that types cannot tell, each with its place in the file."""
        found: list[tuple[tuple[str | int, ...], Issue]] = [
            (("ignore", n, "monitor"), Issue(path="", message=f"no monitor is called {one.monitor!r}", hint=hint))
            for n, one in enumerate(self.ignore)
            if one.monitor and one.monitor not in MONITORS
            for hint in [nearest(one.monitor, MONITORS)]
        ]
        for event, text in self.freshness.items():
            try:
                duration_micros(text)
            except InvalidInput as error:
                found.append(
                    (("freshness", event), Issue(path="", message=error.issues[0].message, hint=error.issues[0].hint))
                )
        return found

    def ignores(self, monitor: str, *, source: str = "", event: str = "", field: str = "") -> bool:
        """Whether nobody wants to hear of this."""
        return any(one.matches(monitor, source, event, field) for one in self.ignore)
