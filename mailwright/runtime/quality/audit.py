"""The audit: a monthly look at the profiles, and the clean-up that a project has declared. All of it can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import MailwrightError
from mailwright.core.events import ARCHIVED, AUDIT, Event, Events, Identifier, ListChanged, PeopleMerged, Person
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.instants import Instant, from_datetime
from mailwright.core.ports import EngineReads, HistoryQueries, MetaRecords
from mailwright.reports.quality.past import json_path
from mailwright.reports.quality.people import COMPARED, AuditReport, Pair, PersonRow, hygiene, pairs
from mailwright.runtime.identity_changes import carry_out_all
from mailwright.runtime.installation import Installation
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.quality.alerts import alert
from mailwright.runtime.settings import Settings

T = TypeVar("T")

SOURCE = AUDIT
MOST_PAIRS = 200
_AT_A_TIME = 500
_META = "audit.newest"

_NEWEST_CONTEXT = """
SELECT identifier_kind || ':' || identifier AS identifier,
       arg_max(json_extract_string(context, $path), stamp_at) AS told, max(stamp_at) AS at
FROM events
WHERE json_extract_string(context, $path) IS NOT NULL
GROUP BY ALL
"""
_LISTED = """
SELECT identifier FROM lists WHERE list = $list
GROUP BY identifier HAVING arg_max(added, "offset")
"""


def audit_jobs(project: Project, settings: Settings) -> Iterable[Job]:
    """The audit, as a job."""
    del settings
    schedule = project.quality.audit.schedule
    title = "Look at the profiles and clean up as declared"
    yield Job(name="audit", title=title, schedule=schedule, run=run_audit, waits=True)


def newest_audit(meta: MetaRecords) -> AuditReport | None:
    """The report of the newest audit; None before the first."""
    told = meta.get(_META)
    return None if told is None else msgspec.json.decode(told, type=AuditReport)


def run_audit(context: JobContext) -> str:
    """Make the report, change what the policy says, and keep the report."""
    records, before = context.there.records, newest_audit(context.there.records.meta)
    report = audit(context, change=True)
    policy = context.project.quality
    found = [one for one in hygiene(report, before) if not policy.ignores("profiles", field=one.subject)]
    records.findings.observe(["profiles"], found, context.now)
    records.meta.put(_META, msgspec.json.encode(report).decode())
    if failed := alert(context.there, policy.alerts, ["profiles"]):
        raise MailwrightError("quality.incomplete", "; ".join(failed), "the audit itself was done")
    return f"{report.n_people:,} people, {report.n_pairs} probable duplicates, {report.merged} merged"


def audit(context: JobContext, *, change: bool) -> AuditReport:
    """Look at every profile; with `change` also merge, fill and archive as the policy says."""
    there, policy = context.there, context.project.quality.audit
    rows = list(people(there))
    found = _not_set_apart(there.engine, pairs(rows, policy.duplicates.propose_above))
    stale_before = context.now - duration_micros(policy.stale_after)
    report = AuditReport(
        at=context.now,
        n_people=len(rows),
        n_stale=sum(row.last_seen_at < stale_before for row in rows),
        n_unreachable=sum(not row.reachable for row in rows),
        lacking={name: sum(name not in row.known for row in rows) for name in policy.expected},
        pairs=found[:MOST_PAIRS],
        n_pairs=len(found),
    )
    if not change:
        return report
    archived, returned = _archive(context, rows)
    return msgspec.structs.replace(
        report,
        merged=_merge(context, found),
        filled=_fill(context, rows),
        archived=archived,
        returned=returned,
    )


def people(there: Installation) -> Iterator[PersonRow]:
    """Every living person as the audit sees them."""
    n = there.engine.status().n_persons
    # Numbers of merged people answer with their survivor and are left out, so there may be more numbers than people.
    number, seen = 0, 0
    while seen < n:
        asked = [Person(each) for each in range(number, number + _AT_A_TIME)]
        facts = there.engine.facts(asked)
        if not facts:
            return
        living = [facts[person] for person in asked if person in facts and facts[person].person == person]
        hashes = {one.person: there.sealer.hash_address(text) for one in living if (text := _text(there, one, "email"))}
        suppressed = there.records.consents.suppressed(list(hashes.values()))
        for one in living:
            yield _row(there, one, one.person in hashes and hashes[one.person] not in suppressed)
        number += _AT_A_TIME
        seen += len(living)


def _row(there: Installation, facts: PersonFacts, reachable: bool) -> PersonRow:
    texts = {name: text for name in COMPARED if (text := _text(there, facts, name))}
    address = facts.traits.get("address")
    if address and isinstance(address.value, dict):
        inside = {"postal_code": ("postalCode", "postal_code", "zip"), "street": ("street",)}
        texts |= {
            name: text
            for name, keys in inside.items()
            for key in keys
            if (text := _opened(there, address.value.get(key)))
        }
    return PersonRow(
        person=facts.person,
        first_identifier=facts.first_identifier,
        identifiers=frozenset(f"{one.kind}:{one.value}" for one in facts.identifiers),
        last_seen_at=facts.last_seen_at,
        traits=texts,
        account=any(one.kind == "user_id" for one in facts.identifiers),
        reachable=reachable,
        known=frozenset(facts.traits),
    )


def _text(there: Installation, facts: PersonFacts, name: str) -> str:
    known: Known | None = facts.traits.get(name)
    return _opened(there, known.value) if known else ""


def _opened(there: Installation, value: Any) -> str:
    if there.sealer.is_sealed(value):
        return there.sealer.unseal(value)
    return str(value) if isinstance(value, str | int | float) else ""


# --- what the policy changes -----------------------------------------------------------------------------------------


def _merge(context: JobContext, found: Sequence[Pair]) -> int:
    """Ask for merges of pairs above the declared score; each is a record with its reason, and can be undone.

    Never two accounts; where two would be joined through a third, or somebody set the people apart, the engine refuses.
    """
    above = context.project.quality.audit.duplicates.merge_above
    if above is None:
        return 0
    chosen = [pair for pair in found if pair.score >= above and not pair.accounts]
    bodies = [
        PeopleMerged(
            one=pair.one,
            other=pair.other,
            reason=f"alike by {', '.join(pair.alike)}: score {pair.score:g} of 100",
            by=SOURCE,
        )
        for pair in chosen
    ]
    for chunk in _chunks(bodies, _AT_A_TIME):
        carry_out_all(context.there.log, context.there.clock, context.there.engine, chunk)
    # What the engine refused was not merged, and is proposed on.
    engine, numbers = context.there.engine, sorted({one for pair in chosen for one in (pair.one, pair.other)})
    now: dict[Person, Person] = {}
    for asked in _chunks(numbers, _AT_A_TIME):
        now |= {person: facts.person for person, facts in engine.facts(asked).items()}
    return sum(pair.one in now and now[pair.one] == now.get(pair.other) for pair in chosen)


def _not_set_apart(engine: EngineReads, found: Sequence[Pair]) -> list[Pair]:
    """Without those of whom somebody said that they are two."""
    apart = {one: set(engine.graph(one).apart) for one in {pair.one for pair in found}}
    return [pair for pair in found if pair.other not in apart[pair.one]]


def _fill(context: JobContext, rows: Sequence[PersonRow]) -> dict[str, int]:
    """Give people without a trait the value that the newest context of any of their identifiers' events told."""
    filled: dict[str, int] = {}
    paths = context.project.quality.audit.fill
    with context.there.history.session() as asked:
        told_by = {trait: _told_by_context(asked, path) for trait, path in paths.items()}
    for trait, told in told_by.items():
        events = []
        for row in rows:
            newest = max((told[key] for key in row.identifiers if key in told), key=lambda one: one[1], default=None)
            if newest is not None and trait not in row.known:
                events.append(_identify(context, row.first_identifier, trait, *newest))
        for chunk in _chunks(events, _AT_A_TIME):
            context.there.log.append([Events(chunk)], context.there.clock.now())
        filled[trait] = len(events)
    return filled


def _told_by_context(history: HistoryQueries, path: str) -> Mapping[str, tuple[str, Instant]]:
    """Identifier -> the newest value at a path of its events' contexts, and when that was told."""
    if not history.offset("events"):
        return {}
    steps = "".join(json_path(step).removeprefix("$") for step in path.split("."))
    rows = history.query(_NEWEST_CONTEXT, {"path": f"${steps}"}).to_pylist()
    return {row["identifier"]: (row["told"], from_datetime(row["at"])) for row in rows}


def _identify(context: JobContext, identifier: str, trait: str, value: str, at: Instant) -> Event:
    """Stamped when the value was told: a clean-up makes nobody seen."""
    kind, _, name = identifier.partition(":")
    traits = context.there.sealer.seal_fields("traits", {trait: value})
    return Event(
        # A run that was killed and starts again says the same, and it counts once.
        message_id=f"fill:{trait}:{identifier}:{context.there.sealer.hash('fill', value)[:16]}",
        source=SOURCE,
        type="identify",
        stamp_at=at,
        received_at=context.now,
        known_at=context.now,
        identifiers=[Identifier(kind, name)],
        traits=traits,
    )


def _archive(context: JobContext, rows: Sequence[PersonRow]) -> tuple[int, int]:
    """Put people on the list who were not seen for long, and take off it who was seen again."""
    after = context.project.quality.audit.archive_after
    if after is None:
        return 0, 0
    before = Instant(context.now - duration_micros(after))
    old = {row.first_identifier for row in rows if row.last_seen_at < before}
    there = context.there
    history = there.history
    listed = (
        set(history.query(_LISTED, {"list": ARCHIVED})["identifier"].to_pylist()) if history.offset("lists") else set()
    )
    added, removed = sorted(old - listed), sorted(listed - old)
    for chunk in _chunks(added, _AT_A_TIME):
        there.log.append([ListChanged(name=ARCHIVED, added=chunk, source=SOURCE)], there.clock.now())
    for chunk in _chunks(removed, _AT_A_TIME):
        there.log.append([ListChanged(name=ARCHIVED, removed=chunk, source=SOURCE)], there.clock.now())
    return len(added), len(removed)


def _chunks(values: Iterable[T], n: int) -> Iterator[list[T]]:
    rest = iter(values)
    while chunk := list(islice(rest, n)):
        yield chunk
