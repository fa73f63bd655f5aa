"""The first page: how much, how it went, who clicked, how big the segments are."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from mailwright.core.facts import EngineStatus
from mailwright.reports.overview import (
    EventsPerDay,
    ExperimentReport,
    MailOutcomes,
    Reactions,
    SegmentSize,
    events_per_day,
    experiment_reports,
    mail_outcomes,
    reactions,
    segment_sizes,
)
from mailwright.web.charts import Chart, Series
from mailwright.web.context import WebContext
from mailwright.web.pages.shell import Context, origin_title, pages_router, titles
from mailwright.web.templating import number, page_response, percent, words

router = pages_router()

NEWEST_MAILS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure with its name and what puts it in proportion."""

    name: str
    figure: str
    note: str
    href: str = ""


@router.get("/")
def overview(request: Request, context: Context) -> Response:
    """The whole overview."""
    status = context.engine.status()
    outcomes = mail_outcomes(context.records.messages)
    with context.history.session() as asked:
        reacted = reactions(asked)
        experiments = experiment_reports(asked, context.project.experiments)
        days = events_per_day(asked, context.project.zone)
    sizes = segment_sizes(status.segments, titles(context.project.segments), status.n_persons)
    newest = context.records.messages.page(before=None, limit=NEWEST_MAILS)
    values = {
        "status": status,
        "cards": _cards(status, outcomes, reacted),
        "days_chart": _days_chart(days),
        "outcomes": outcomes,
        "outcomes_chart": _outcomes_chart(outcomes),
        "experiments": [(report, _arms_chart(report)) for report in experiments],
        "segments_chart": _segments_chart(sizes),
        "mails": newest,
        "origin_title": lambda origin: origin_title(context.project, origin),
    }
    return page_response(request, "overview.html", values)


@router.get("/overview/cards")
def cards(request: Request, context: Context) -> Response:
    """The figures alone: the overview asks for them anew while it is open."""
    return page_response(request, "cards.html", {"cards": _present_cards(context)})


def _present_cards(context: WebContext) -> list[Card]:
    outcomes = mail_outcomes(context.records.messages)
    return _cards(context.engine.status(), outcomes, reactions(context.history))


def _cards(status: EngineStatus, outcomes: MailOutcomes, reacted: Reactions) -> list[Card]:
    duplicates = f"{number(status.n_duplicates)} duplicates dropped" if status.n_duplicates else "no duplicates"
    return [
        Card(name="People", figure=number(status.n_persons), note=f"{len(status.segments)} segments", href="/people"),
        Card(name="Events", figure=number(status.n_events), note=duplicates),
        Card(
            name="Mails sent",
            figure=number(outcomes.sent),
            note=f"of {number(outcomes.total)} considered",
            href="/mails",
        ),
        Card(name="Opened", figure=percent(reacted.open_rate), note=f"{number(reacted.opened)} mails"),
        Card(name="Clicked", figure=percent(reacted.click_rate), note=f"{number(reacted.clicked)} mails"),
    ]


def _days_chart(found: EventsPerDay) -> Chart | None:
    if not found.days:
        return None
    series = [Series(name=name, values=list(counts)) for name, counts in found.by_name.items()]
    return Chart(
        kind="stacked" if len(found.days) <= 45 else "line",
        names=list(found.days),
        series=series,
        corner="Day",
        label=f"Events per day from {found.days[0]} to {found.days[-1]}, {number(found.total)} in all",
    )


def _outcomes_chart(outcomes: MailOutcomes) -> Chart | None:
    if not outcomes.total:
        return None
    states = sorted(outcomes.by_state.items(), key=lambda row: -row[1])
    counts = [n for _, n in states]
    told = ", ".join(f"{n} {state}" for state, n in states)
    return Chart(
        kind="ring",
        names=[words(state) for state, _ in states],
        series=[Series(name="Mails", values=counts)],
        corner="Outcome",
        label=f"Mails by outcome: {told}",
    )


def _arms_chart(report: ExperimentReport) -> Chart:
    arms = report.analysis.arms
    series = Series(
        name="Click rate",
        values=[arm.rate or 0.0 for arm in arms],
        low=[arm.low for arm in arms],
        high=[arm.high for arm in arms],
    )
    told = ", ".join(f"{arm.name} {percent(arm.rate)} of {number(arm.n)}" for arm in arms)
    return Chart(
        kind="bars",
        names=[arm.name for arm in arms],
        series=[series],
        corner="Arm",
        unit="rate",
        label=f"Click rate per arm with 95 % intervals: {told}",
    )


def _segments_chart(sizes: list[SegmentSize]) -> Chart | None:
    if not sizes:
        return None
    ordered = sorted(sizes, key=lambda row: -row.size)
    return Chart(
        kind="bars",
        names=[row.title for row in ordered],
        series=[Series(name="People", values=[row.size for row in ordered])],
        corner="Segment",
        label="People per segment",
    )
