"""Drafts pass the door in batches: what is good is sealed and handed on, what is not is told with its line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.events import Event, Events, Items
from mailwright.core.instants import Instant
from mailwright.core.sources import CountKind
from mailwright.core.words import counted
from mailwright.ingest.consents import parse_consents, parse_suppressions
from mailwright.ingest.definitions import CatalogDefinition
from mailwright.ingest.drafts import Draft, DraftKind, Drafts, PassedOver
from mailwright.ingest.dry_run import DryRun
from mailwright.ingest.hooks import IngestRules, Resolve
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.items import parse_items
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.ingest.segment import Parsed, Source, parse_request
from mailwright.ingest.told import NO_ZONE
from mailwright.runtime.collected import Counts
from mailwright.runtime.giving_way import CHUNK_ITEMS
from mailwright.runtime.imports.delivery import Stores
from mailwright.runtime.imports.frames import Consents, Frame, HeldBack, Suppressions, Trailer, things_in
from mailwright.runtime.quarantine import MOST_HELD, Came, Quarantine

KEPT_FAULTS = 20
"""So many faults are told; the others are counted."""

MOST_HELD_AT_ONCE = MOST_HELD // 2
"""More of one import would leave no room for other sources."""

COUNTED_AS: Mapping[DraftKind, CountKind] = {
    "call": "events",
    "item": "items",
    "consent": "consents",
    "suppression": "suppressions",
}

_LIMITS = Limits(request_items=CHUNK_ITEMS, request_bytes=LIMITS.request_bytes)
_HEADS: Mapping[DraftKind, bytes] = {
    "call": b'{"batch":[',
    "item": b'{"items":[',
    "consent": b'{"consents":[',
    "suppression": b'{"suppressions":[',
}
_LINE = re.compile(r"(?:line|row) (\d+)")
_LINE_BEFORE = re.compile(r"^line \d+(, |: )?")
_ROOM = 100  # bytes of a request's body beside its items

_encode = msgspec.json.Encoder().encode


class Rules(Protocol):
    """What is needed of the definitions."""

    @property
    def catalogs(self) -> Mapping[str, CatalogDefinition]:
        """Catalogs by name."""
        ...

    def ingest_rules(self, sealer: Seal, resolve: Resolve | None = None, limits: Limits = LIMITS) -> IngestRules:
        """What they say about incoming events."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How rows come in: under which definitions, from which source, as history or as what happens now."""

    there: Stores
    project: Rules
    source: Source
    history: bool = False


@dataclass(frozen=True, slots=True)
class _Passed:
    """What the door made of drafts.

    Attributes:
        n_taken: Of what is to be counted as taken.
        warned: Faults of what was taken, other than what the tracking plan says and a zone that is kept as it is.
        calls: What was parsed, if they were calls.
    """

    frames: Sequence[Frame] = ()
    n_taken: int = 0
    refused: Sequence[Refusal] = ()
    warned: Sequence[Refusal] = ()
    calls: Parsed | None = None


class Intake:
    """Takes rows, gives frames to `out`.

    Args:
        passage: How they come in.
        out: Is given each frame; None: the rows are only checked.
        skip_bad: Rows with a fault are left out of the frames.
        done: Told from time to time how many more rows were read.
        on_fault: Told each fault of a row, with its line.
    """

    def __init__(
        self,
        passage: Passage,
        out: Callable[[Frame], None] | None,
        *,
        skip_bad: bool = False,
        done: Callable[[int], None] = lambda _: None,
        on_fault: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        self._passage = passage
        self._out = out
        self._skip_bad = skip_bad
        self._done = done
        self._on_fault = on_fault
        self.prefix = ""
        """Before the line in each fault's path, such as the file's name and a colon."""
        self.place = "line"
        """What a row's number counts: ``row`` where there are no lines."""
        there = passage.there
        self._received_at: Instant = there.clock.now()
        self._rules = passage.project.ingest_rules(there.sealer, there.resolve, _LIMITS)
        self._waiting: dict[DraftKind, list[bytes]] = {kind: [] for kind in _HEADS}
        self._lines: dict[DraftKind, list[int]] = {kind: [] for kind in _HEADS}
        self._keys: dict[DraftKind, list[bytes]] = {kind: [] for kind in _HEADS}
        self._ends: dict[DraftKind, list[int]] = {kind: [] for kind in _HEADS}
        self._bytes: dict[DraftKind, int] = dict.fromkeys(_HEADS, _ROOM)
        self._bad_lines: set[int] = set()
        self._quarantine = Quarantine(there.records, there.sealer, there.clock, there.log)
        self.kind: DraftKind = "call"
        """What a row is to become, for those that come to nothing."""
        self.counts = Counts()
        """What came in, to be told when it is in."""
        self.n_rows = self.n_faults = self.n_frames = self.n_things = self.n_held = 0
        self.n_unreadable = 0
        self.n_deleted = 0
        """Rows whose end was taken."""
        self.refused: set[bytes] = set()
        """Keys of rows that were not taken: the next run must try them again."""
        self.faults: list[Issue] = []
        self.made: Counter[str] = Counter()
        self._passed_over: Counter[str] = Counter()

    # --- rows ---

    def take(self, rows: Iterable[tuple[int, Mapping[str, Any]]], drafts: Drafts) -> None:
        """Take rows with their lines; `drafts` says what a row becomes."""
        add, told = self.add, self.n_rows
        for line, row in rows:
            self.n_rows += 1
            try:
                made = drafts(line, row)
            except InvalidInput as error:
                self.bad_row(line, error)
                continue
            if isinstance(made, PassedOver):
                self._passed_over[made.what] += 1
            for draft in made:
                add(line, draft)
            if self.n_rows - told >= CHUNK_ITEMS:
                self._done(self.n_rows - told)
                told = self.n_rows
        self._done(self.n_rows - told)

    def add(self, line: int, draft: Draft) -> None:
        """Take one draft of the row at a line; 0: the row is gone."""
        kind, body, key, ends = draft
        try:
            raw = _encode(body)
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raw, message = b"", f"cannot be JSON: {error}"
        else:
            message = f"it has {len(raw):,} bytes, at most {_LIMITS.event_bytes:,} are taken"
        if not raw or len(raw) > _LIMITS.event_bytes:
            self.refused.add(key)
            self._never_made(line, [("", message, "")])
            return
        waiting = self._waiting[kind]
        if len(waiting) >= CHUNK_ITEMS or self._bytes[kind] + len(raw) + 1 > _LIMITS.request_bytes:
            self._flush(kind)
            waiting = self._waiting[kind]
        if ends:
            self._ends[kind].append(len(waiting))
        waiting.append(raw)
        self._lines[kind].append(line)
        self._keys[kind].append(key)
        self._bytes[kind] += len(raw) + 1

    def unreadable(self, issue: Issue) -> None:
        """A row could not even be read."""
        self.n_unreadable += 1
        self._tell(issue)
        self._count_refused([Refusal(-1, "", "a row that cannot be read")])

    def bad_row(self, line: int, error: InvalidInput) -> None:
        """Nothing can be made of a row that was read."""
        faults = [(_LINE_BEFORE.sub("", issue.path), issue.message, issue.hint) for issue in error.issues]
        self._never_made(line, faults)

    def check_room(self) -> None:
        """Refuse an import that would fill the quarantine: most rows differ, so the plan or the mapping is wrong.

        Raises:
            InvalidInput: ``import.held``.
        """
        if self.n_held > MOST_HELD_AT_ONCE:
            message = f"the tracking plan holds back {self.n_held:,} rows; at most {MOST_HELD_AT_ONCE:,} find room"
            raise InvalidInput.one("import.held", message, hint="nothing was imported; mend the mapping or the plan")

    def flush(self) -> None:
        """Pass what waits."""
        for kind in _HEADS:
            self._flush(kind)

    def finish(self, unused: Sequence[str] = ()) -> DryRun:
        """Pass what waits; what was found in all rows."""
        self.flush()
        return DryRun(
            n_rows=self.n_rows + self.n_unreadable,
            n_good=self.n_rows - len(self._bad_lines),
            n_faults=self.n_faults,
            faults=sorted(self.faults, key=_line_of),
            unused=unused,
            made=dict(self.made),
            passed_over=dict(self._passed_over),
        )

    def trailer(self, found: DryRun, *, tells: bool) -> Trailer:
        """The end of a spool that holds what was taken; `tells`: an event in the log shall tell of violations."""
        told = self.counts.take()
        untold = self.counts.untold if tells else {}
        return Trailer(
            n_rows=found.n_rows,
            n_things=self.n_things,
            n_frames=self.n_frames,
            n_faults=found.n_faults,
            made=dict(found.made),
            n_held=self.n_held,
            tallies=told.tallies,
            violations=told.violations,
            not_taken=told.not_taken,
            untold={source: dict(counts) for source, counts in untold.items()},
        )

    # --- the door ---

    def _flush(self, kind: DraftKind) -> None:
        raws, lines, keys, ends = self._waiting[kind], self._lines[kind], self._keys[kind], self._ends[kind]
        if not raws:
            return
        self._waiting[kind], self._lines[kind], self._keys[kind], self._ends[kind] = [], [], [], []
        self._bytes[kind] = _ROOM
        first = passed = self._passed(kind, raws)
        passed_keys = keys
        faulty = sorted({*first.refused, *first.warned}, key=lambda one: (one.index, one.field, one.reason))
        for one in faulty:
            self.refused.add(keys[one.index])
            self._fault(lines[one.index], one.field, one.reason.removeprefix("left out: "))
        out = {one.index for one in faulty}
        if self._skip_bad and first.warned:
            bad_lines = {lines[index] for index in out if lines[index]}  # rows that are gone have none: each for itself
            out |= {index for index, line in enumerate(lines) if line in bad_lines}
            kept = [index for index in range(len(raws)) if index not in out]
            passed = self._passed(kind, [raws[index] for index in kept]) if kept else _Passed()
            passed_keys = [keys[index] for index in kept]
        self.n_deleted += sum(index not in out for index in ends)
        self._count_in(kind, first, passed, {one.index: one for one in reversed(faulty)})
        for frame in passed.frames:
            if isinstance(frame, HeldBack) and passed.calls is not None:
                of_rows = [passed_keys[one.index] for one in passed.calls.held]
                frame = msgspec.structs.replace(frame, keys=of_rows)
            self._count(frame)
            self.n_frames += 1
            if self._out:
                self._out(frame)

    def _passed(self, kind: DraftKind, raws: Sequence[bytes]) -> _Passed:
        body, at = _HEADS[kind] + b",".join(raws) + b"]}", self._received_at
        passage = self._passage
        seal = passage.there.sealer
        match kind:
            case "call":
                return self._calls(body)
            case "item":
                items = parse_items(body, catalogs=passage.project.catalogs, received_at=at, limits=_LIMITS)
                return _Passed(_frames(Items(list(items.items))), len(items.items), items.refused)
            case "consent":
                told = parse_consents(body, hash_address=seal.hash_address, received_at=at, limits=_LIMITS)
                return _Passed(_frames(Consents(list(told.consents))), len(told.consents), told.refused)
            case "suppression":
                out = parse_suppressions(body, hash_address=seal.hash_address, limits=_LIMITS)
                reasons = {one.address_hash: one.reason for one in reversed(out.suppressions)}
                return _Passed(_frames(Suppressions(reasons, at)), len(out.suppressions), out.refused)

    def _calls(self, body: bytes) -> _Passed:
        passage, at = self._passage, self._received_at
        parsed = parse_request(
            "import",
            body,
            self._rules,
            source=passage.source,
            received_at=at,
            new_id=lambda: "",
            history=passage.history,
            keeps_held=True,
        )
        came = Came(source=passage.source, received_at=at, history=passage.history, imported=True)
        held = self._quarantine.sealed(came, parsed)
        planned = {(one.index, one.field) for one in parsed.violations}
        warned = [one for one in parsed.warned if one.reason != NO_ZONE and not _is_planned(one, planned)]
        frames = _frames(Events(list(parsed.events)), HeldBack(held))
        return _Passed(frames, len(parsed.events), parsed.refused, warned, parsed)

    def _count_in(self, kind: DraftKind, first: _Passed, passed: _Passed, faulty: Mapping[int, Refusal]) -> None:
        """Count what came in and what did not; `faulty` has the first fault of each bad item of `first`."""
        source, at = self._passage.source.name, self._received_at
        if first.calls is None:
            self.counts.add_others(source, COUNTED_AS[kind], passed.n_taken, at, list(faulty.values()))
            return
        held = [one for one in first.calls.held if one.index not in faulty]
        events = passed.calls.events if passed.calls else ()
        counted = replace(first.calls, events=events, refused=list(faulty.values()), held=held)
        self.counts.add(source, counted, at)

    # --- telling ---

    def _count(self, frame: Frame) -> None:
        match frame:
            case Events():
                self.made.update(map(_named, frame.events))
            case Items():
                self.made.update(f"item of {item.catalog}" for item in frame.items)
            case Consents():
                self.made.update(
                    f"consent to {one.purpose} {'granted' if one.granted else 'withdrawn'}" for one in frame.rows
                )
            case Suppressions():
                self.made.update(f"address suppressed: {reason}" for reason in frame.reasons.values())
            case HeldBack():
                self.n_held += len(frame.items)
                self.made.update(f"{item.event}, held back by the tracking plan" for item in frame.items)
                return
        self.n_things += things_in(frame)

    def _fault(self, line: int, field: str, message: str, hint: str = "") -> None:
        if line:
            self._bad_lines.add(line)
        self._on_fault(Refusal(line, field, message))
        place = f"{self.prefix}{self.place} {line}" if line else f"{self.prefix}a row that is gone"
        path = f"{place}, {field}" if field else place
        self._tell(Issue(path=path, message=message, hint=hint))

    def _tell(self, issue: Issue) -> None:
        self.n_faults += 1
        if len(self.faults) < KEPT_FAULTS:
            self.faults.append(issue)

    def _never_made(self, line: int, faults: Sequence[tuple[str, str, str]]) -> None:
        """A row, or a part of it, came to no draft: (field, message, hint) of each fault."""
        for field, message, hint in faults:
            self._fault(line, field, message, hint)
        self._count_refused([Refusal(line, faults[0][0], "nothing can be made of it")])  # its words may show a value

    def _count_refused(self, told: Sequence[Refusal]) -> None:
        self.counts.add_others(self._passage.source.name, COUNTED_AS[self.kind], 0, self._received_at, told)


def _frames(*frames: Frame) -> list[Frame]:
    return [frame for frame in frames if things_in(frame)]


def _is_planned(one: Refusal, planned: Collection[tuple[int, str]]) -> bool:
    """Whether a warning tells what the tracking plan does to a field, which is no fault of the row."""
    place = ".".join(step for step in one.field.split(".") if not step.isdecimal())
    return (one.index, place) in planned or (one.reason.startswith("and ") and any(one.index == n for n, _ in planned))


def told_faults(found: DryRun) -> list[Issue]:
    """The first faults, and how many more there are."""
    more = found.n_faults - len(found.faults)
    return [*found.faults, *([Issue(path="", message=f"... and {counted(more, 'more fault')}")] if more else [])]


def _line_of(issue: Issue) -> tuple[str, int]:
    found = _LINE.search(issue.path)
    return (issue.path[: found.start()], int(found[1])) if found else (issue.path, 0)


def _named(event: Event) -> str:
    return event.name if event.type == "track" else event.type
