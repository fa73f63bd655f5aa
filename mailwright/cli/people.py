"""Commands about one person: what is known, who they are, and merges and splits by hand."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console, errors
from mailwright.cli.trait_text import Opened, opener, shown_value, trait_lines
from mailwright.core.errors import InvalidInput
from mailwright.core.events import PeopleMerged, Person, PersonSplit
from mailwright.core.facts import PersonFacts
from mailwright.core.happenings import Whose
from mailwright.core.instants import Instant, format_iso
from mailwright.core.person_graph import GraphIdentifier, PersonGraph
from mailwright.reports.identity import Branch, Bringer, branches, bringers
from mailwright.reports.timeline import timeline
from mailwright.runtime.corrections import correct, correction, value_of
from mailwright.runtime.identity_changes import carry_out, merge_asked, people_after, split_asked
from mailwright.runtime.installation import Installation
from mailwright.runtime.person_consents import consent_rows, consent_states, suppressions
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.who import person_of, seal_of

Who = Annotated[str, typer.Argument(metavar="ID", help="An e-mail, phone, user id, #number, or kind:value.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the log as it is written.")]
_HASHED = ("email", "phone")
_SHOWN = 60
_ZONE_FROM = {"trait": "by the trait timezone", "context": "where last seen", "shop": "the shop's: none is known"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(person)
    app.command()(merge)
    app.command()(split)


def person(
    who: Who,
    graph: Annotated[bool, typer.Option("--graph", help="Who they are: identifiers, merges, and why.")] = False,
    happened: Annotated[bool, typer.Option("--timeline", help="What happened to them, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Lines of the timeline.")] = 20,
    json: JsonOption = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="TRAIT=VALUE", help="Correct a trait; empty removes it.")
    ] = None,
    because: Annotated[str, typer.Option("--because", help="Why it is corrected; kept as it is written.")] = "",
    project: ProjectOption = HERE,
) -> None:
    """Show what is known of one person; with --set correct a trait first."""
    with opened(project) as there:
        number = person_of(there.engine, seal_of(there), who)
        if set_:
            _correct(there, number, set_, because)
        if graph:
            _show_graph(there, there.engine.graph(number), json=json)
        elif happened:
            _show_timeline(there, there.engine.graph(number), limit, json=json)
        else:
            _show_person(there, there.engine.facts([number])[number], json=json)


def merge(
    one: Annotated[str, typer.Argument(metavar="A", help="Who stays, unless B alone has a user_id.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Who is the same person.")],
    reason: ReasonOption,
    project: ProjectOption = HERE,
) -> None:
    """Make two people one; `mailwright split` takes it back."""
    with opened(project) as there:
        body = merge_asked(there.engine, seal_of(there), one, other, reason=reason, by="cli")
        _carry_out(there, body, None)


def split(
    who: Who,
    reason: ReasonOption,
    merge: Annotated[int | None, typer.Option("--merge", metavar="N", help="The merge to take back.")] = None,
    identifier: Annotated[
        list[str] | None, typer.Option("--identifier", metavar="KIND:VALUE", help="An identifier to take out.")
    ] = None,
    project: ProjectOption = HERE,
) -> None:
    """Take a merge back, or identifiers out of a person; both are then what each would be without it."""
    with opened(project) as there:
        engine, seal = there.engine, seal_of(there)
        body = split_asked(engine, seal, who, merge=merge, identifiers=identifier or [], reason=reason, by="cli")
        _carry_out(there, body, engine.graph(body.person))


def _correct(there: Installation, number: Person, told: list[str], because: str) -> None:
    project, facts = current_project(there)[1], there.engine.facts([number])[number]
    pairs = [one.partition("=") for one in told]
    if wrong := next((name for name, equals, _ in pairs if not (name and equals)), None):
        raise InvalidInput.one("person.trait", f"{wrong!r} says no value", hint="write it like --set country=AT")
    rules = project.ingest_rules(there.sealer, there.resolve)
    values = {name.strip(): value_of(text, name.strip(), project.profile, rules, facts) for name, _, text in pairs}
    event = correction(facts, there.engine, rules, there.clock, traits=values, reason=because, by="cli")
    if not correct(there.log, there.clock, there.engine, event):
        console.print("It is in the log; the engine will fold it when it has caught up.")


def _carry_out(there: Installation, body: PeopleMerged | PersonSplit, before: PersonGraph | None) -> None:
    if not carry_out(there.log, there.clock, there.engine, body):
        console.print("It is in the log; the engine will fold it when it has caught up.")
        return
    people = people_after(there.engine, body, before)
    for number in people:
        names = ", ".join(_short(each.key) for each in there.engine.graph(number).identifiers[:5])
        console.print(f"#{number}  {names}", markup=False, soft_wrap=True)


# --- what is known ---------------------------------------------------------------------------------------------------


def _show_person(there: Installation, facts: PersonFacts, *, json: bool) -> None:
    opened = opener(there.sealer)
    if json:
        print(msgspec.json.encode(_plain(facts, opened) | _consents(there, facts)).decode())
        return
    say = _line
    say(f"#{facts.person}  {facts.first_identifier}")
    say(f"{facts.n_events:,} events, {format_iso(facts.first_seen_at)} to {format_iso(facts.last_seen_at)}")
    say("identifiers  " + ", ".join(_short(f"{one.kind}:{one.value}") for one in facts.identifiers))
    say(f"time zone    {facts.time_zone} ({_ZONE_FROM[facts.time_zone_from]})")
    say("segments     " + (", ".join(facts.segments) or "none"))
    told = _consents(there, facts)
    say(
        "consents     "
        + (", ".join(f"{one['purpose']} {one['state']}" for one in told["consents"]) or "none on record")
    )
    for one in told["suppressed"]:
        say(f"suppressed   no mail at all to {_short('email:' + one['address_hash'])}: {one['reason']}")
    for title, lines in (
        ("traits", list(trait_lines(facts.traits, {}, opened))),
        ("attributes", [f"{name} = {shown_value(one.value)}" for name, one in facts.attributes.items()]),
    ):
        if lines:
            say(title)
            for line in lines:
                say(f"  {line}")


def _consents(there: Installation, facts: PersonFacts) -> dict[str, list[dict[str, str]]]:
    """As `GET /v1/people/{who}` tells it."""
    records = there.records.consents
    return {
        "consents": [
            {
                "purpose": one.purpose,
                "state": "granted" if one.granted else "withdrawn",
                "since": format_iso(one.at),
                "source": one.source,
                "address_hash": one.address_hash,
            }
            for one in consent_states(consent_rows(records, facts))
        ],
        "suppressed": [{"address_hash": one, "reason": reason} for one, reason in suppressions(records, facts).items()],
    }


def _plain(facts: PersonFacts, opened: Opened) -> dict[str, Any]:
    return {
        "person": facts.person,
        "at": format_iso(facts.at),
        "identifiers": [f"{one.kind}:{one.value}" for one in facts.identifiers],
        "traits": {
            name: {
                "value": opened(one.value),
                "source": one.source,
                "at": None if one.at is None else format_iso(one.at),
            }
            for name, one in facts.traits.items()
        },
        "attributes": {name: one.value for name, one in facts.attributes.items()},
        "segments": facts.segments,
        "time_zone": {"name": facts.time_zone, "from": facts.time_zone_from},
        "events": facts.n_events,
        "first_seen_at": format_iso(facts.first_seen_at),
        "last_seen_at": format_iso(facts.last_seen_at),
    }


# --- what happened ---------------------------------------------------------------------------------------------------


def _show_timeline(there: Installation, graph: PersonGraph, limit: int, *, json: bool) -> None:
    found = timeline(there.engine, there.history, Whose.of(graph), before=None, limit=limit)
    opened = opener(there.sealer)
    if not found.complete:
        errors.print("History is far behind: some of what happened in the last minutes is missing.")
    for one in found.happened:
        detail = opened(one.detail)
        if json:
            told = {"at": format_iso(one.at), "kind": one.kind, "name": one.label, "source": one.source}
            print(msgspec.json.encode({**told, "detail": detail, "offset": one.offset}).decode())
        else:
            what = one.label if one.kind == "event" else f"{one.kind} {one.label}"
            by = f"  ({one.source})" if one.source else ""
            _line(f"{format_iso(one.at)}  {what}{by}" + (f"  {shown_value(detail)}" if detail else ""))


# --- who they are ----------------------------------------------------------------------------------------------------


def _show_graph(there: Installation, graph: PersonGraph, *, json: bool) -> None:
    events = bringers(there.history, (each.offset for each in graph.identifiers))
    if json:
        told = msgspec.to_builtins(graph)
        for each, raw in zip(graph.identifiers, told["identifiers"], strict=True):
            event = events.get(each.offset)
            raw["since"] = format_iso(each.since_at)
            raw["event"] = (
                {"source": event.source, "name": event.what, "message_id": event.message_id} if event else None
            )
        print(msgspec.json.encode(told).decode())
        return
    _line(f"#{graph.person}" + (f", also known as {_numbers(graph)}" if len(graph.numbers) > 1 else ""))
    for branch in branches(graph):
        _show_branch(branch, events.get(branch.identifier.offset))
    for merge in graph.merges:
        moves = "can be taken back" if merge.moves is None else f"taking it back moves {len(merge.moves)}"
        state = "taken back" if merge.undone else moves
        by = f", by {merge.by}" if merge.by else ""
        _line(f"merge {merge.number}  {_when(merge.at)}  #{merge.gone} into #{merge.into}{by}  ({state})")
        _line(f"  {_hashes_cut(merge.reason)}")
    for kept in graph.refused:
        _line(f"not merged, {kept.times}x, last {_when(kept.at)}: {_short(kept.one)} and {_short(kept.other)}")
        _line(f"  {kept.reason}")
    if graph.apart:
        _line("set apart from " + ", ".join(f"#{number}" for number in graph.apart))


def _show_branch(branch: Branch, by: Bringer | None) -> None:
    lines = "".join("│ " if more else "  " for more in branch.levels[:-1])
    start = f"{lines}{'├' if branch.levels[-1] else '└'}─" if branch.levels else ""
    how = f"merge {branch.merge.number}" if branch.merge else ""
    came = f"{by.what} of {by.source}" if by else ""
    told = ", ".join(each for each in (_when(branch.identifier.since_at), how, came) if each)
    _line(f"{start}{_short(branch.identifier.key)}{_retired(branch.identifier)}  {told}")


def _retired(identifier: GraphIdentifier) -> str:
    return "" if identifier.joins else " (past the limit)"


def _numbers(graph: PersonGraph) -> str:
    return ", ".join(f"#{number}" for number in graph.numbers if number != graph.person)


def _short(key: str) -> str:
    kind, _, value = key.partition(":")
    if kind in _HASHED:
        return f"{kind}:{value[:8]}…"
    return key if len(key) <= _SHOWN else f"{key[: _SHOWN - 1]}…"


def _hashes_cut(text: str) -> str:
    return " ".join(_short(word) if word.partition(":")[0] in _HASHED else word for word in text.split())


def _when(at: Instant | None) -> str:
    return "" if at is None else format_iso(at)[:16].replace("T", " ")


def _line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
