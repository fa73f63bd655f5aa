"""Drafts pass the door in batches: what is good is sealed and handed on, what is not is told with its line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.events import Event, Events, Items
from mailwright.core.instants import Instant
from mailwright.ingest.consents import parse_consents, parse_suppressions
from mailwright.ingest.drafts import Draft, DraftKind, Drafts
from mailwright.ingest.dry_run import DryRun
from mailwright.ingest.items import parse_items
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.ingest.segment import Source, parse_request
from mailwright.runtime.giving_way import CHUNK_ITEMS
from mailwright.runtime.imports.frames import Consents, Frame, Suppressions, things_in
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project

KEPT_FAULTS = 20
"""So many faults are told; the others are counted."""

_LIMITS = Limits(request_items=CHUNK_ITEMS, request_bytes=LIMITS.request_bytes)
_HEADS: Mapping[DraftKind, bytes] = {
    "call": b'{"batch":[',
    "item": b'{"items":[',
    "consent": b'{"consents":[',
    "suppression": b'{"suppressions":[',
}
_LINE = re.compile(r"line (\d+)")
_ROOM = 100  # bytes of a request's body beside its items

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How rows come in: under which definitions, from which source, as history or as what happens now."""

    there: Installation
    project: Project
    source: Source
    history: bool = False


class Intake:
    """Takes rows, gives frames to `out`.

    Args:
        passage: How they come in.
        out: Is given each frame; None: the rows are only checked.
        skip_bad: Rows with a fault are left out of the frames.
        done: Told from time to time how many more rows were read.
    """

    def __init__(
        self,
        passage: Passage,
        out: Callable[[Frame], None] | None,
        *,
        skip_bad: bool = False,
        done: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._passage = passage
        self._out = out
        self._skip_bad = skip_bad
        self._done = done
        self.prefix = ""
        """Before the line in each fault's path, such as the file's name and a colon."""
        self._received_at: Instant = passage.there.clock.now()
        self._rules = passage.project.ingest_rules(passage.there.sealer, passage.there.resolve, _LIMITS)
        self._waiting: dict[DraftKind, list[bytes]] = {kind: [] for kind in _HEADS}
        self._lines: dict[DraftKind, list[int]] = {kind: [] for kind in _HEADS}
        self._keys: dict[DraftKind, list[bytes]] = {kind: [] for kind in _HEADS}
        self._bytes: dict[DraftKind, int] = dict.fromkeys(_HEADS, _ROOM)
        self._bad_lines: set[int] = set()
        self.n_rows = self.n_faults = self.n_frames = self.n_things = 0
        self.n_unreadable = 0
        self.refused: set[bytes] = set()
        """Keys of rows that were not taken: the next run must try them again."""
        self.faults: list[Issue] = []
        self.made: Counter[str] = Counter()

    # --- rows ---

    def take(self, rows: Iterable[tuple[int, Mapping[str, Any]]], drafts: Drafts) -> None:
        """Take rows with their lines; `drafts` says what a row becomes."""
        add, told = self.add, self.n_rows
        for line, row in rows:
            self.n_rows += 1
            try:
                made = drafts(line, row)
            except InvalidInput as error:
                self._fault(line, [self._placed(line, issue) for issue in error.issues])
                continue
            for draft in made:
                add(line, draft)
            if self.n_rows - told >= CHUNK_ITEMS:
                self._done(self.n_rows - told)
                told = self.n_rows
        self._done(self.n_rows - told)

    def add(self, line: int, draft: Draft) -> None:
        """Take one draft of the row at a line."""
        kind, body, key = draft
        try:
            raw = _encode(body)
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            self._fault(line, [Issue(path=f"{self.prefix}line {line}", message=f"cannot be JSON: {error}")])
            self.refused.add(key)
            return
        if len(raw) > _LIMITS.event_bytes:
            message = f"it has {len(raw):,} bytes, at most {_LIMITS.event_bytes:,} are taken"
            self._fault(line, [Issue(path=f"{self.prefix}line {line}", message=message)])
            self.refused.add(key)
            return
        waiting = self._waiting[kind]
        if len(waiting) >= CHUNK_ITEMS or self._bytes[kind] + len(raw) + 1 > _LIMITS.request_bytes:
            self._flush(kind)
            waiting = self._waiting[kind]
        waiting.append(raw)
        self._lines[kind].append(line)
        self._keys[kind].append(key)
        self._bytes[kind] += len(raw) + 1

    def unreadable(self, issue: Issue) -> None:
        """A row could not even be read."""
        self.n_unreadable += 1
        self._tell([issue])

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
        )

    # --- the door ---

    def _flush(self, kind: DraftKind) -> None:
        raws, lines, keys = self._waiting[kind], self._lines[kind], self._keys[kind]
        if not raws:
            return
        self._waiting[kind], self._lines[kind], self._keys[kind], self._bytes[kind] = [], [], [], _ROOM
        frame, refused, warned = self._passed(kind, _HEADS[kind] + b",".join(raws) + b"]}")
        if refused or warned:
            faulty = sorted({*refused, *warned}, key=lambda one: one.index)
            for one in faulty:
                self.refused.add(keys[one.index])
                where = f"{self.prefix}line {lines[one.index]}"
                message = one.reason.removeprefix("left out: ")
                path = f"{where}, {one.field}" if one.field else where
                self._fault(lines[one.index], [Issue(path=path, message=message)])
            if self._skip_bad and warned:
                bad = {lines[one.index] for one in faulty}
                kept = [raw for raw, line in zip(raws, lines, strict=True) if line not in bad]
                if not kept:
                    return
                frame, _, _ = self._passed(kind, _HEADS[kind] + b",".join(kept) + b"]}")
        n = things_in(frame)
        if n:
            self._count(frame)
            self.n_frames += 1
            self.n_things += n
            if self._out:
                self._out(frame)

    def _passed(self, kind: DraftKind, body: bytes) -> tuple[Frame, Sequence[Refusal], Sequence[Refusal]]:
        passage, at = self._passage, self._received_at
        seal = passage.there.sealer
        match kind:
            case "call":
                calls = parse_request(
                    "import",
                    body,
                    self._rules,
                    source=passage.source,
                    received_at=at,
                    new_id=lambda: "",
                    history=passage.history,
                )
                return Events(list(calls.events)), calls.refused, calls.warned
            case "item":
                items = parse_items(body, catalogs=passage.project.catalogs, received_at=at, limits=_LIMITS)
                return Items(list(items.items)), items.refused, ()
            case "consent":
                told = parse_consents(body, hash_address=seal.hash_address, received_at=at, limits=_LIMITS)
                return Consents(list(told.consents)), told.refused, ()
            case "suppression":
                out = parse_suppressions(body, hash_address=seal.hash_address, limits=_LIMITS)
                reasons = {one.address_hash: one.reason for one in reversed(out.suppressions)}
                return Suppressions(reasons, at), out.refused, ()

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

    def _fault(self, line: int, issues: Sequence[Issue]) -> None:
        self._bad_lines.add(line)
        self._tell(issues)

    def _tell(self, issues: Sequence[Issue]) -> None:
        self.n_faults += len(issues)
        self.faults += issues[: max(0, KEPT_FAULTS - len(self.faults))]

    def _placed(self, line: int, issue: Issue) -> Issue:
        path = issue.path
        if not path.startswith("line "):
            path = f"line {line}, {path}" if path else f"line {line}"
        return Issue(path=self.prefix + path, message=issue.message, hint=issue.hint)


def _line_of(issue: Issue) -> tuple[str, int]:
    found = _LINE.search(issue.path)
    return (issue.path[: found.start()], int(found[1])) if found else (issue.path, 0)


def _named(event: Event) -> str:
    return event.name if event.type == "track" else event.type
