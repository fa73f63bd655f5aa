"""What `segment`, `query` and `backtest` print: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

import msgspec
from rich.table import Table

from mailwright.cli.output import console
from mailwright.cli.why_text import local, why_json, why_tree
from mailwright.core.instants import SECOND, Instant, format_iso, iso_or_none
from mailwright.core.previews import Preview
from mailwright.rules import syntax as s
from mailwright.rules.show import show
from mailwright.runtime.past import Past
from mailwright.runtime.rehearsal.asof import Membership, Moment
from mailwright.runtime.rehearsal.backtest import Backtest
from mailwright.runtime.rehearsal.live import last_change
from mailwright.runtime.rehearsal.person import PersonWhy
from mailwright.runtime.rehearsal.values import Distribution

_RECONSTRUCTED = "Reconstructed: history that was imported later is part of this."


def _json(told: Mapping[str, Any]) -> None:
    print(msgspec.json.format(msgspec.json.encode(told)).decode())


def _line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=False)


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "as_of": format_iso(moment.asked_at),
        "tick": {"offset": moment.tick.offset, "at": format_iso(moment.tick.at)},
        "reconstructed": moment.reconstructed,
    }


def _tell_moment(moment: Moment, zone: tzinfo) -> None:
    _line(f"As of {local(moment.tick.at, zone)}.")
    if moment.reconstructed:
        _line(_RECONSTRUCTED)


def show_membership(past: Past, found: Membership, zone: tzinfo, n: int, json: bool) -> None:
    """Who was in a segment, or a rule held for: at most `n` of them by name."""
    sample = found.members[:n].tolist()
    names = past.graph_at(past.upto).first_identifiers() if sample else []
    changed = last_change(past, found.name) if found.name else None
    if json:
        since = {person: found.since.get(person) for person in sample}
        members = [{"person": p, "identifier": names[p], "since": iso_or_none(since[p])} for p in sample]
        told: dict[str, Any] = {"name": found.name} if found.name else {}
        told |= {"version": found.version, "changed_at": iso_or_none(changed)} if found.name else {}
        _json(
            told
            | {"rule": found.rule, **_moment(found.moment), "size": found.size, "n_persons": found.n_persons}
            | {"members": members}
        )
        return
    share = f" ({found.size / found.n_persons:.1%})" if found.n_persons else ""
    called = f"{found.name}: " if found.name else ""
    _line(f"{called}{found.size:,} of {found.n_persons:,} people{share}")
    _line(f"  {found.rule}")
    _tell_moment(found.moment, zone)
    if changed is not None:
        _line(f"Last change: {local(changed, zone)}.")
    for person in sample:
        at = found.since.get(person)
        _line(f"  #{person}  {names[person]}" + (f"  since {local(at, zone)}" if at is not None else ""))
    if len(sample) < found.size and sample:
        _line(f"  and {found.size - len(sample):,} more")


def show_why(found: PersonWhy, name: str, zone: tzinfo, json: bool) -> None:
    """Why somebody is in a segment or not."""
    if json:
        _json({"name": name, **_moment(found.moment), **why_json(found)})
        return
    verb = "was" if found.moment.asked_at != found.moment.tick.at else "is"
    _line(f"#{found.person} {found.first_identifier} {verb} {'in' if found.why.holds else 'not in'} {name}.")
    _tell_moment(found.moment, zone)
    console.print(why_tree(found.why, zone))


def show_preview(found: Preview, node: s.Expression, zone: tzinfo, json: bool) -> None:
    """Whom a rule holds for now, from the engine."""
    size = found.size.n if found.size else 0
    if json:
        told = {"rule": show(node), "as_of": format_iso(found.at), "size": size, "n_persons": found.n_persons}
        _json(told | {"members": [{"person": person} for person in found.sample]})
        return
    share = f" ({found.share:.1%})" if found.share is not None else ""
    _line(f"{size:,} of {found.n_persons:,} people{share}")
    _line(f"  {show(node)}")
    _line(f"As of {local(found.at, zone)}, from the running engine.")
    if found.sample:
        _line("  " + ", ".join(f"#{person}" for person in found.sample) + (", ..." if len(found.sample) < size else ""))


def show_distribution(moment: Moment, found: Distribution, zone: tzinfo, json: bool) -> None:
    """What a value is like over everybody."""
    if json:
        top = [{"value": value, "n": n} for value, n in found.top]
        numbers = {"min": found.low, "median": found.middle, "max": found.high}
        _json({**_moment(moment), "count": found.n, "missing": found.missing, **numbers, "top": top})
        return
    _line(f"{found.n:,} people have a value, {found.missing:,} have none.")
    _tell_moment(moment, zone)
    if found.low is not None:
        _line(f"min {found.low:,}, median {found.middle:,}, max {found.high:,}")
    for value, n in found.top:
        _line(f"  {n:>9,}  {value if isinstance(value, str) else msgspec.json.encode(value).decode()}")


def show_backtest(found: Backtest, zone: tzinfo, json: bool) -> None:
    """A definition over a stretch, day by day."""
    if json:
        _json(_backtest(found))
        return
    _line(f"{found.name or 'Rule'}: {found.rule}")
    if found.reconstructed_upto is not None:
        _line(f"Up to {local(found.reconstructed_upto, zone)} reconstructed: it holds what was imported later.")
    table = Table(box=None, pad_edge=False)
    for column in ("day", "size", "entered", "left"):
        table.add_column(column, justify="left" if column == "day" else "right")
    table.add_column("why", overflow="fold")
    for day in found.days:
        causes = {cause: day.entered.get(cause, 0) + day.left.get(cause, 0) for cause in {**day.entered, **day.left}}
        why = ", ".join(f"{cause} {n:,}" for cause, n in sorted(causes.items()))
        table.add_row(f"{day.day}", f"{day.size:,}", f"+{day.n_entered:,}", f"-{day.n_left:,}", why)
    console.print(table)
    _line(f"{found.n_ticks:,} evaluations; {len(found.stays):,} people were ever in.")
    _line(_agreement(found, zone))


def _agreement(found: Backtest, zone: tzinfo) -> str:
    agreement = found.agreement
    if (differs := agreement.difference) is not None:
        return (
            f"NOT equal to what the live engine recorded: at {local(differs.tick.at, zone)} (offset "
            f"{differs.tick.offset}) person #{differs.person}: replayed {differs.replayed}, recorded {differs.recorded}"
        )
    if not agreement.equal:
        return f"Not compared with the record: {agreement.note}."
    return (
        f"equal: {agreement.n_transitions:,} transitions, and {agreement.n_members:,} members at the start"
        f" (from {local(agreement.compared_from or Instant(0), zone)})"
    )


def _backtest(found: Backtest) -> dict[str, Any]:
    agreement = found.agreement
    differs = agreement.difference
    return {
        "name": found.name,
        "rule": found.rule,
        "from": format_iso(found.stretch.first),
        "to": format_iso(found.stretch.last),
        "every": found.every,
        "evaluations": found.n_ticks,
        "reconstructed_upto": iso_or_none(found.reconstructed_upto),
        "size_before": found.size_before,
        "days": [
            {"day": each.day.isoformat(), "size": each.size, "entered": each.entered, "left": each.left}
            for each in found.days
        ],
        "people": [
            {
                "person": person,
                "inside_s": stay.micros / SECOND,
                "entered": stay.entered,
                "inside_since": iso_or_none(stay.since),
            }
            for person, stay in sorted(found.stays.items())
        ],
        "agreement": {
            "equal": agreement.equal,
            "compared_from": iso_or_none(agreement.compared_from),
            "members": agreement.n_members,
            "transitions": agreement.n_transitions,
            "note": agreement.note,
            "difference": None
            if differs is None
            else {
                "offset": differs.tick.offset,
                "at": format_iso(differs.tick.at),
                "person": differs.person,
                "replayed": differs.replayed,
                "recorded": differs.recorded,
            },
        },
    }
