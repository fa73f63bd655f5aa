"""Commands that ask the past: who was in a segment and why, whom a rule holds for, what it would have done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, errors, progress
from mailwright.core.errors import InvalidInput, NotFound, Transient
from mailwright.runtime.installation import Installation

if TYPE_CHECKING:
    from mailwright.core.events import Identifier, Person
    from mailwright.core.instants import Instant
    from mailwright.rules.syntax import Expression
    from mailwright.runtime.past import Past
    from mailwright.runtime.project.load import Project
    from mailwright.runtime.rehearsal.asof import Membership, With
    from mailwright.runtime.rehearsal.story import Told
T = TypeVar("T")

AsOfOption = Annotated[
    str, typer.Option("--as-of", metavar="T", help="As known then: a time, or a day (its end), in the shop's zone.")
]
MembersOption = Annotated[int, typer.Option("--members", min=0, help="Members to name, at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WithOption = Annotated[
    str, typer.Option("--with", metavar="in-force|current", help="By the definition in force then, or today's.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(segment)
    app.command()(query)
    app.command()(backtest)


def segment(
    name: Annotated[str, typer.Argument(help="The segment's name.")],
    as_of: AsOfOption = "",
    asked: WithOption = "in-force",
    why: Annotated[
        str, typer.Option("--why", metavar="PERSON", help="Why this person is in or not: user_id:4711, email:..., #12.")
    ] = "",
    members: MembersOption = 10,
    events: Annotated[int, typer.Option("--events", min=0, help="Events to name behind each part of the rule.")] = 5,
    json: JsonOption = False,
    project: ProjectOption = HERE,
) -> None:
    """Show who is in a segment, or was, and why."""
    from mailwright.cli import segment_text  # late: most commands need none of it

    with _opened(project) as (there, past):
        zone = _zone(there)
        if why:
            found = _explained(there, past, name, as_of, asked, why, events)
            segment_text.show_why(found, name, zone, json)
        elif as_of:
            at = _moment(there, as_of, "end")
            answer = _with_progress(there, json, lambda told: _as_of(past, name, at, asked, told))
            segment_text.show_membership(past, answer, zone, members, json)
        else:
            segment_text.show_membership(past, _now(there, past, name), zone, members, json)


def _explained(there: Installation, past: Past, name: str, as_of: str, asked: str, who: str, events: int) -> Any:
    from mailwright.runtime.rehearsal.asof import in_force_at, moment_at
    from mailwright.runtime.rehearsal.person import explain_person

    moment = moment_at(past, _moment(there, as_of, "end") if as_of else _newest(past))
    versions = in_force_at(past, name, moment, _with(asked))
    return explain_person(past, moment, versions, name, _person(there, who), n=events)


def _now(there: Installation, past: Past, name: str) -> Membership:
    """As of the last tick: from the engine, which holds it, or else from History."""
    from mailwright.runtime.rehearsal.live import segment_now

    try:
        return segment_now(there.engine, past, name)
    except Transient:
        from mailwright.runtime.rehearsal.asof import segment_as_of

        return segment_as_of(past, name, _newest(past))


def _as_of(past: Past, name: str, at: Any, asked: str, told: Told) -> Membership:
    from mailwright.runtime.rehearsal.asof import segment_as_of

    return segment_as_of(past, name, at, asked=_with(asked), told=told)


def query(
    rule: Annotated[str, typer.Argument(help="A rule, or a value such as an attribute.")],
    as_of: AsOfOption = "",
    members: MembersOption = 10,
    sql: Annotated[
        str, typer.Option("--print-sql", metavar="duckdb|spark", help="Only print it as SQL over History's tables.")
    ] = "",
    json: JsonOption = False,
    project: ProjectOption = HERE,
) -> None:
    """Show whom a rule holds for, or what a value is like over everybody."""
    from mailwright.cli import segment_text
    from mailwright.runtime.project.asked import asked_rule, doubts_of
    from mailwright.runtime.project.versions import current_project
    from mailwright.runtime.rehearsal.asof import rule_as_of
    from mailwright.runtime.rehearsal.live import rule_now
    from mailwright.runtime.rehearsal.scope import is_condition
    from mailwright.runtime.rehearsal.values import value_as_of

    with _opened(project) as (there, past):
        _, defined = current_project(there)
        node = asked_rule(defined, rule, expects="value")
        for doubt in doubts_of(defined, rule):
            errors.print(f"Warning: {doubt}\n", style="yellow", markup=False)
        if sql:
            _print_sql(defined, node, sql)
            return
        zone = _zone(there)
        at = _moment(there, as_of, "end") if as_of else _newest(past)
        if not is_condition(node, defined.rules):
            told = _with_progress(there, json, lambda each: value_as_of(past, defined, node, at, told=each))
            segment_text.show_distribution(*told, zone, json)
            return
        preview = None if as_of else rule_now(there.engine, node, members)
        if preview is not None:
            segment_text.show_preview(preview, node, zone, json)
            return
        answer = _with_progress(there, json, lambda each: rule_as_of(past, defined, node, at, told=each))
        segment_text.show_membership(past, answer, zone, members, json)


def _print_sql(defined: Project, node: Expression, dialect: str) -> None:
    from mailwright.rules.sql.compile import Definitions
    from mailwright.rules.sql.printing import print_sql

    print(print_sql(node, dialect, Definitions(defined.expressions, defined.memberships)))


def backtest(
    name: Annotated[str, typer.Argument(help="A segment; or none, with --rule.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="A rule that is no segment.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="D", help="A day (its beginning) or a time.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="D", help="A day (its end) or a time; by default now.")] = "",
    every: Annotated[
        str, typer.Option("--every", metavar="tick|day", help="Look at every tick, or day ends.")
    ] = "tick",
    asked: WithOption = "in-force",
    json: JsonOption = False,
    project: ProjectOption = HERE,
) -> None:
    """Play a segment or a rule over a stretch of the past: its size each day, who came and went and why."""
    from mailwright.cli import segment_text
    from mailwright.runtime.project.asked import asked_rule
    from mailwright.runtime.project.versions import current_project
    from mailwright.runtime.rehearsal.backtest import Backtest, Every, Stretch, backtest_rule, backtest_segment
    from mailwright.runtime.rehearsal.scope import is_condition

    if bool(name) == bool(rule):
        raise InvalidInput.one("backtest.what", "name a segment, or give --rule", hint="one of the two")
    if not first:
        raise InvalidInput.one("backtest.from", "--from is missing", hint="such as --from 2026-03-01")
    looked: Every = "day" if every == "day" else "tick"
    if every != looked:
        raise InvalidInput.one("backtest.every", f"--every {every!r} is no choice", hint="tick or day")
    with _opened(project) as (there, past):
        stretch = Stretch(_moment(there, first, "start"), _moment(there, last, "end") if last else _newest(past))

        def run(told: Told) -> Backtest:
            if name:
                return backtest_segment(past, name, stretch, asked=_with(asked), every=looked, told=told)
            _, defined = current_project(there)
            node = asked_rule(defined, rule, expects="value")
            if not is_condition(node, defined.rules):
                raise InvalidInput.one("rule.value", f"{rule!r} is a value", hint="compare it with something")
            return backtest_rule(past, defined, node, stretch, every=looked, told=told)

        result = _with_progress(there, json, run)
        segment_text.show_backtest(result, _zone(there), json)
        if result.agreement.difference is not None:
            raise typer.Exit(1)


# --- what the commands share -----------------------------------------------------------------------------------------


@contextmanager
def _opened(project: Path) -> Iterator[tuple[Installation, Past]]:
    """The installation and its past, with all that a running engine has folded."""
    from mailwright.runtime.past import Past

    with opened(project) as there:
        with suppress(Transient):
            there.engine.flush_history()
        yield there, Past(there.history)


def _zone(there: Installation) -> ZoneInfo:
    return ZoneInfo(there.settings.project.time_zone)


def _moment(there: Installation, text: str, day: Literal["start", "end"]) -> Instant:
    from mailwright.runtime.rehearsal.moments import read_moment

    return read_moment(text, _zone(there), day)


def _newest(past: Past) -> Instant:
    """The last tick's instant.

    Raises:
        NotFound: Before the first.
    """
    ticks = past.ticks()
    if not ticks:
        raise NotFound("history.empty", "nothing was evaluated yet", "`mailwright serve` runs the engine that does")
    return ticks[-1].at


def _with(text: str) -> With:
    for known in ("in-force", "current"):
        if known == text:
            found: With = known
            return found
    raise InvalidInput.one("segment.with", f"--with {text!r} is no choice", hint="in-force or current")


def _person(there: Installation, text: str) -> Identifier | Person:
    """Who is meant: ``#12`` or ``12`` by number, else ``kind:value``."""
    from mailwright.core.events import Person
    from mailwright.ingest.identifiers import identifier_of
    from mailwright.runtime.who import seal_of

    number = text.removeprefix("#")
    if number.isdecimal() and len(number) < 16:
        return Person(int(number))
    kind, colon, value = text.partition(":")
    if not colon or not kind or not value:
        raise InvalidInput.one(
            "person.format", f"{text!r} names nobody", hint="such as user_id:4711, email:..., or #12"
        )
    return identifier_of(seal_of(there), kind, value)


def _with_progress(there: Installation, quiet: bool, run: Callable[[Told], T]) -> T:
    """Run what reads History, with a bar on standard error where somebody looks."""
    from mailwright.runtime.rehearsal.story import untold

    if quiet or not errors.is_terminal:
        return run(untold)
    count = there.history.query("SELECT count(*) AS n FROM events") if there.history.offset("events") else None
    with progress(errors) as bars:
        task = bars.add_task("Reading History", total=count["n"][0].as_py() if count else None)
        return run(lambda n: bars.advance(task, n))
