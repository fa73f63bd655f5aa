"""Rows of a declared import that programs post: as rows of a file, but batch by batch, and each is answered for.

What is known of a row stands in Records in the place of a file of keys. A batch goes into the log first and is noted
then, so one whose answer was lost is sent again: what it told already has the same message ids.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec

from mailwright.core.errors import Conflict, InvalidInput, NotFound, nearest
from mailwright.core.posted import PostedRow
from mailwright.core.presence import IMPORTS
from mailwright.ingest.change_topic import change_of
from mailwright.ingest.drafts import Draft, draft_kind
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.limits import LIMITS, Refusal
from mailwright.ingest.segment import Source
from mailwright.ingest.wire import DECODE_ERRORS, in_words
from mailwright.runtime.collected import Collected
from mailwright.runtime.imports.delivery import Stores, put_frame
from mailwright.runtime.imports.frames import Frame, HeldBack
from mailwright.runtime.imports.intake import Intake, Passage, Rules
from mailwright.runtime.imports.state import read_state, write_state
from mailwright.runtime.imports.tables import DELETED, TableDrafts, Told

ROW_BYTES = 4 * LIMITS.event_bytes
"""A row as it is posted: a change brings it twice, and perhaps its schema. What it becomes has an event's limit."""


class Definitions(Rules, Protocol):
    """What is needed of the definitions."""

    @property
    def imports(self) -> Mapping[str, ImportDefinition]:
        """Declared imports."""
        ...

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a batch: every row is one of taken, held, unchanged and refused.

    Attributes:
        n_taken: Rows that are in, `n_deleted` of them for deleted rows.
        n_held: Rows that the tracking plan holds back.
        n_unchanged: Rows that say nothing new.
        n_refused: Rows that were not taken; `refused` has their faults, with the row's place in the batch, from 0 on.
    """

    n_taken: int
    n_deleted: int
    n_held: int
    n_unchanged: int
    n_refused: int
    refused: Sequence[Refusal]


class _Row(NamedTuple):
    """A row as it is now; `told` is what else a change says of it."""

    row: Mapping[str, Any]
    told: Told | None


class Posting:
    """Takes rows of one import, one batch at a time.

    Args:
        there: Where they go.
        project: The definitions in force.
        name: Of the import.
        collected: Counts what came in; None: nothing does.

    Raises:
        NotFound: ``import.unknown``.
        Conflict: ``import.not_posted``, for one whose rows come from elsewhere.
    """

    def __init__(self, there: Stores, project: Definitions, name: str, collected: Collected | None = None) -> None:
        definition = project.imports.get(name)
        if definition is None:
            raise NotFound("import.unknown", f"there is no import {name!r}", nearest(name, project.imports))
        if definition.posted is None:
            message = f"the rows of the import {name} come from its {definition.origin}"
            raise Conflict("import.not_posted", message, "declare one with `posted: rows` or `posted: changes`")
        self._there = there
        self._project = project
        self._name = name
        self._definition = definition
        self._collected = collected
        self._meaning = msgspec.json.encode(definition.deletes).decode()

    def take(self, raws: Sequence[bytes]) -> Taken:
        """Take a batch of JSON objects; when this returns, all that is good is durable, and noted.

        Raises:
            Transient: If it is to be sent again: Records or the log do not answer, the quarantine is full, or somebody
                else posts the same rows (``posted.raced``). A part may be in then. It is not told twice, save, of rows
                without positions, where that other told something else of the same row.
        """
        source = Source(name=self._definition.source or f"{IMPORTS}{self._name}", kind="server")
        passage = Passage(there=self._there, project=self._project, source=source, history=self._definition.history)
        frames: list[Frame] = []
        refused: list[Refusal] = []
        intake = Intake(passage, frames.append, skip_bad=True, on_fault=refused.append)

        def bad_lines() -> Collection[int]:
            intake.flush()
            return {one.index for one in refused}

        keys = self._pass(intake, [self._read(raw) for raw in raws], bad_lines)
        found = intake.finish()
        for frame in sorted(frames, key=lambda frame: not isinstance(frame, HeldBack)):  # those may find no room
            put_frame(self._there, frame)
        if keys and (rows := keys.to_note(bad_lines())):
            self._there.records.posted.note(self._name, rows)
        if self._collected is not None:
            self._collected.add_counts(intake.counts)
        n_refused = found.n_rows - found.n_good
        taken = Taken(
            n_taken=intake.n_things,
            n_deleted=intake.n_deleted,
            n_held=intake.n_held,
            n_unchanged=found.n_good - intake.n_things - intake.n_held,
            n_refused=n_refused,
            refused=sorted(
                (Refusal(one.index - 1, one.field, one.reason) for one in refused), key=lambda one: one.index
            ),
        )
        self._remember(taken, found.n_rows)
        return taken

    def _pass(
        self, intake: Intake, read: Sequence[_Row | InvalidInput | None], bad_lines: Callable[[], Collection[int]]
    ) -> _Keys | None:
        """Pass all rows through `intake`; the keys of the import's rows, if it has such."""
        mapping = self._definition.mapping(self._project.zone.key)
        intake.kind = draft_kind(mapping.kind)
        seal = self._there.sealer
        drafts = TableDrafts(self._name, self._definition, mapping, keys=None, seal=seal)
        places = {key: n for n, one in enumerate(read) if isinstance(one, _Row) and (key := drafts.key_of(one.row))}
        keys = None
        if self._definition.keys:
            known = self._there.records.posted.known(self._name, [key.decode() for key in places])
            keys = _Keys(known, lambda content: seal.hash("posted", self._meaning + content.decode()), bad_lines)
            drafts = TableDrafts(self._name, self._definition, mapping, keys=keys, seal=seal)
        # Rows have no order but that in which they stand. One that is a track call is one event, whichever is taken.
        newest_alone = self._definition.posted == "rows" and mapping.kind != "track"

        def draft(line: int, _: Mapping[str, Any]) -> Sequence[Draft]:
            one = read[line - 1]
            if isinstance(one, InvalidInput):
                raise one
            if one is None:
                return ()
            if keys is not None:
                keys.line = line
                if newest_alone and places.get(drafts.key_of(one.row), line - 1) != line - 1:
                    return ()
            return drafts(line, one.row) if one.told is None else drafts.changed(line, one.row, one.told)

        nothing: Mapping[str, Any] = {}
        intake.take(((n, nothing) for n in range(1, len(read) + 1)), draft)
        return keys

    def _read(self, raw: bytes) -> _Row | InvalidInput | None:
        """The row that a JSON object tells; None for a change that tells of none."""
        try:
            return self._row(raw)
        except InvalidInput as error:
            return error

    def _row(self, raw: bytes) -> _Row | None:
        if len(raw) > ROW_BYTES:
            message = f"it has {len(raw):,} bytes, at most {ROW_BYTES:,} are taken"
            raise InvalidInput.one("posted.row", message)
        try:
            told = _object.decode(raw)
        except DECODE_ERRORS as error:
            raise InvalidInput.one("posted.row", in_words(error)[1]) from None
        if self._definition.posted == "rows":
            if told is None:
                raise InvalidInput.one("posted.row", "it is null", hint="a row is an object")
            return _Row(told, None)
        change = None if told is None else change_of(told)
        if change is None:
            return None
        if change.position <= 0:
            message = "it does not say where it stands among the changes: source has no lsn, pos, scn or ts_ms"
            raise InvalidInput.one("import.change", message)
        return _Row(change.row, Told(deleted=change.deleted, at=change.at, position=change.position))

    def _remember(self, taken: Taken, n_rows: int) -> None:
        """What lists show of the newest batch."""
        meta = self._there.records.meta
        before = read_state(meta, self._name)
        state = msgspec.structs.replace(
            before,
            n_run=before.n_run + 1,
            ran_at=self._there.clock.now(),
            n_rows=n_rows,
            n_things=taken.n_taken,
            n_deleted=taken.n_deleted,
            n_faults=len(taken.refused),
            n_held=taken.n_held,
        )
        write_state(meta, self._name, msgspec.json.encode(state).decode())


class _Keys:
    """The known rows of a batch's keys, and what it says of them. See `mailwright.runtime.imports.tables.RowKeys`.

    Args:
        known: What is noted of them.
        digest: Of a row's content.
        bad_lines: Checks what waits, and says which lines so far are refused.
    """

    def __init__(
        self, known: Mapping[str, PostedRow], digest: Callable[[bytes], str], bad_lines: Callable[[], Collection[int]]
    ) -> None:
        self._known = known
        self._digest = digest
        self._bad_lines = bad_lines
        self._now: dict[str, list[tuple[int, PostedRow]]] = {}
        self.line = 0
        """Of the row that is told now."""

    def turn(self, key: bytes) -> int:
        """How often the row of this key will have been noted: the same when this batch is sent again."""
        before = self._known.get(key.decode())
        return before.turn + 1 if before else 1

    def seen(self, key: bytes) -> None:
        """Nothing: a batch is never all the rows."""

    def unseen(self) -> Iterator[bytes]:
        """Nothing."""
        return iter(())

    def is_new(self, key: bytes, content: bytes, kept: bytes) -> bool:
        """Whether the row of this key is new or says something else than before; it is noted."""
        digest = self._digest(content)
        if (before := self._newest(key)) and before.digest == digest:
            self._leave_out_refused(key)
            if (before := self._newest(key)) and before.digest == digest:
                return False
        self._put(key, 0, digest, kept)
        return True

    def advance(self, key: bytes, position: int, content: bytes, kept: bytes) -> bytes | None:
        """A change: what was kept of its row before, empty for a new one.

        None for one that is older than what is known, and for the very one that is known.
        """
        if content == DELETED:
            self._leave_out_refused(key)
        digest = self._digest(content)
        if _is_known(self._newest(key), position, digest):
            self._leave_out_refused(key)  # one that was refused moves no row on, so an older one may still count
            if _is_known(self._newest(key), position, digest):
                return None
        before = self._newest(key)
        self._put(key, position, digest, kept)
        return before.kept if before else b""

    def forget(self, key: bytes) -> bytes | None:
        """The row of this key was deleted: what was kept of it, None if it was not there."""
        self._leave_out_refused(key)
        before = self._newest(key)
        if before is None or not before.digest:
            return None
        self._put(key, 0, "", b"")
        return before.kept

    def to_note(self, bad_lines: Collection[int]) -> list[PostedRow]:
        """Each row as it was last told by a line that was taken."""
        good = ([row for line, row in told if line not in bad_lines] for told in self._now.values())
        return [rows[-1] for rows in good if rows]

    def _leave_out_refused(self, key: bytes) -> None:
        """Go by what was taken of a row, where the same batch has a bad line of it before."""
        told = self._now.get(key.decode())
        if told:
            bad_lines = self._bad_lines()
            told[:] = [one for one in told if one[0] not in bad_lines]

    def _newest(self, key: bytes) -> PostedRow | None:
        told = self._now.get(key.decode())
        return told[-1][1] if told else self._known.get(key.decode())

    def _put(self, key: bytes, position: int, digest: str, kept: bytes) -> None:
        row = PostedRow(key=key.decode(), turn=self.turn(key), position=position, digest=digest, kept=kept)
        self._now.setdefault(row.key, []).append((self.line, row))


def _is_known(before: PostedRow | None, position: int, digest: str) -> bool:
    """Whether a change is older than what is known of its row, or is that very one."""
    if before is None:
        return False
    return position < before.position or (position, digest) == (before.position, before.digest)


_object = msgspec.json.Decoder(dict[str, Any] | None)
