"""Running a declared import: what is new at its origin is read into a spool, delivered, and then remembered."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mailwright.core.errors import InvalidInput, NotFound, Transient, nearest
from mailwright.core.presence import IMPORTS
from mailwright.core.words import counted
from mailwright.ingest.dry_run import DryRun, FileReport
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.segment import Source
from mailwright.runtime.imports.delivery import Delivery
from mailwright.runtime.imports.frames import Trailer, encode_frame
from mailwright.runtime.imports.intake import Intake, Passage, told_faults
from mailwright.runtime.imports.origins import Reading, read_origin
from mailwright.runtime.imports.state import ImportState, read_state, write_state
from mailwright.runtime.installation import Installation, only_one
from mailwright.runtime.project.load import Project
from mailwright.stores.key_table import KeyTable
from mailwright.stores.spool import SpoolWriter, drop_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run did. `resumed`: it first ended one that was broken off; `done`: nothing is left to deliver.

    `files`, of a rehearsal: what becomes of the columns of each file, or of the one table.
    """

    found: DryRun
    n_things: int
    n_deleted: int
    n_held: int = 0
    resumed: bool = False
    done: bool = True
    files: Sequence[FileReport] = ()

    def __str__(self) -> str:
        if not self.found.n_rows and not self.n_things and not self.n_held:
            return "" if self.done else "stopped before its end; it goes on at the next run"
        parts = [f"{counted(self.found.n_rows, 'row')} read", f"{self.n_things:,} taken"]
        if self.n_held:
            parts.append(f"{self.n_held:,} held back by the tracking plan")
        if self.found.passed_over:
            words = ", ".join(f"{n:,} {what}" for what, n in sorted(self.found.passed_over.items()) if what)
            parts.append(f"{self.found.n_passed_over:,} passed over" + (f" ({words})" if words else ""))
        if self.n_deleted:
            parts.append(f"{self.n_deleted:,} deleted")
        if self.found.n_faults:
            parts.append(f"{counted(self.found.n_faults, 'fault')} left out")
        if not self.done:
            parts.append("stopped before its end; it goes on at the next run")
        return ", ".join(parts)


class DeclaredImport:
    """One import of a project's definitions."""

    def __init__(self, there: Installation, project: Project, name: str) -> None:
        """Find it.

        Raises:
            NotFound: ``import.unknown``.
        """
        if name not in project.imports:
            raise NotFound("import.unknown", f"there is no import {name!r}", nearest(name, project.imports))
        self._there = there
        self._project = project
        self._name = name
        self._definition: ImportDefinition = project.imports[name]
        folder = there.settings.data_folder / "imports"
        safe = hashlib.sha256(name.encode()).hexdigest()[:16]
        self._spool = folder / f"{safe}.spool"
        self._keys = folder / f"{safe}.keys"
        self._lock = folder / f"{safe}.lock"
        self._key = f"declared.{name}"

    @property
    def skips_bad(self) -> bool:
        """Whether bad rows are left out rather than refused with the others."""
        return self._definition.skip_bad

    # --- runs ---

    def run(
        self,
        stopping: Callable[[], bool] = lambda: False,
        *,
        path: str = "",
        read: Callable[[int], None] = lambda _: None,
        done: Callable[[int], None] = lambda _: None,
    ) -> Outcome:
        """Bring in what is new. A run that was broken off on its way into the log is brought to its end first.

        Args:
            stopping: Asked now and then; the run stops when it is true, and the next goes on.
            path: A file in the place of the declared one; ``-`` is standard input.
            read: Told how many more rows were read.
            done: Told how many more things are in.

        Raises:
            Conflict: If it runs already, or what it reads changes meanwhile.
            InvalidInput: If rows cannot be taken and bad ones are not skipped; nothing came in.
        """
        with only_one(self._lock, f"the import {self._name}", self._there.settings.folder):
            resumed = self._spool.exists()
            if resumed and not (trailer := self._deliver(done, stopping)):
                return Outcome(found=_NOTHING, n_things=0, n_deleted=0, resumed=True, done=False)
            found = self._prepare(stopping, path, read)
            trailer = self._deliver(done, stopping)
            if trailer is None:
                return Outcome(found=found, n_things=0, n_deleted=0, resumed=resumed, done=False)
            n_deleted = msgspec.json.decode(trailer.state, type=ImportState).n_deleted
            return Outcome(
                found=found,
                n_things=trailer.n_things,
                n_held=trailer.n_held,
                n_deleted=n_deleted,
                resumed=resumed,
            )

    def rehearse(self, path: str = "", read: Callable[[int], None] = lambda _: None) -> Outcome:
        """What a run would do; nothing is written, and nothing remembered."""
        intake, reading = self._intake(None, lambda: False, path, read)
        found = intake.finish()
        shutil.rmtree(reading.next_kept, ignore_errors=True)
        return Outcome(
            found=found,
            n_things=intake.n_things,
            n_held=intake.n_held,
            n_deleted=intake.n_deleted,
            files=[report.told() for report in reading.reports],
            done=not self._spool.exists(),
        )

    def refuse(self, found: DryRun) -> None:
        """Raise what was found in rows, unless bad ones are skipped.

        Raises:
            InvalidInput: ``import.rows``.
        """
        if not found.n_faults or self._definition.skip_bad:
            return
        issues = told_faults(found)
        hint = "nothing was imported; mend the rows at their origin, or leave them out: skip_bad: true, or --skip-bad"
        raise InvalidInput("import.rows", issues, hint)

    # --- parts ---

    def _prepare(self, stopping: Callable[[], bool], path: str, read: Callable[[int], None]) -> DryRun:
        drop_parts(self._spool)
        next_keys = self._next_keys()
        with SpoolWriter(self._spool) as spool:
            intake, reading = self._intake(spool, stopping, path, read)
            found = intake.finish()
            self.refuse(found)
            intake.check_room()
            if reading.keys is not None:
                only_seen = self._definition.keeps == "newest"
                reading.keys.write(next_keys, intake.refused, only_seen=only_seen)
            took_nothing = bool(found.n_faults) and not (intake.n_things or intake.n_held)
            state = msgspec.structs.replace(
                reading.state,
                files=reading.before.files if took_nothing else reading.state.files,
                ran_at=self._there.clock.now(),
                n_rows=found.n_rows,
                n_things=intake.n_things,
                n_held=intake.n_held,
                n_deleted=intake.n_deleted,
                n_faults=found.n_faults,
                n_passed_over=found.n_passed_over,
            )
            again = msgspec.structs.replace(state, files=reading.before.files, cursor=reading.before.cursor)
            trailer = msgspec.structs.replace(
                intake.trailer(found, tells=self._project.tracking_plan.violation_events),
                state=msgspec.json.encode(state).decode(),
                again=msgspec.json.encode(again).decode(),
                keep=next_keys.name if reading.keys is not None else "",
            )
            spool.finish(encode_frame(trailer))
        return found

    def _intake(
        self, spool: SpoolWriter | None, stopping: Callable[[], bool], path: str, read: Callable[[int], None]
    ) -> tuple[Intake, Reading]:
        definition, there = self._definition, self._there
        state = read_state(there.records.meta, self._name)
        digest = hashlib.sha256(msgspec.json.encode(definition)).hexdigest()[:16]
        anew = state.digest != digest
        if anew:
            state = msgspec.structs.replace(state, digest=digest, cursor=None, files={}, feed=None)
        state = msgspec.structs.replace(state, n_run=state.n_run + 1)
        keys = KeyTable(self._keys, anew=anew, n_run=state.n_run) if definition.keeps != "none" else None

        def told(n: int) -> None:
            if stopping():
                raise Transient("import.stopped", f"the import {self._name} was stopped while it read", "run it again")
            read(n)

        source = Source(name=definition.source or f"{IMPORTS}{self._name}", kind="server")
        passage = Passage(there=there, project=self._project, source=source, history=definition.history)
        intake = Intake(
            passage,
            (lambda frame: spool.add(encode_frame(frame))) if spool else None,
            skip_bad=definition.skip_bad,
            done=told,
        )
        reading = Reading(
            there=there,
            project=self._project,
            name=self._name,
            definition=definition,
            state=state,
            before=state,
            keys=keys,
            kept=self._keys.with_suffix(".dlt"),
            next_kept=self._keys.with_suffix(".dlt-rehearsed" if spool is None else ".dlt-next"),
            intake=intake,
            path=path,
            wants_reports=spool is None,
        )
        read_origin(reading)
        return intake, reading

    def _deliver(self, done: Callable[[int], None], stopping: Callable[[], bool]) -> Trailer | None:
        delivery = Delivery(self._there, self._spool, self._key)
        trailer = delivery.run(done, stopping)
        if trailer is None:
            return None
        next_keys = self._next_keys()
        if trailer.keep and next_keys.exists():
            if delivery.without_room:
                self._know_less(next_keys, delivery.without_room)
            os.replace(next_keys, self._keys)
        remembered, before = self._keys.with_suffix(".dlt-next"), self._keys.with_suffix(".dlt")
        if remembered.exists():
            shutil.rmtree(remembered if delivery.without_room else before, ignore_errors=True)
            if not delivery.without_room:
                os.replace(remembered, before)
        state = trailer.again if delivery.without_room else trailer.state
        write_state(self._there.records.meta, self._name, state)
        self._spool.unlink()
        delivery.forget()
        return trailer

    def _know_less(self, next_keys: Path, without_room: Collection[bytes]) -> None:
        """Of rows that found no room the next run must know what this one did: then they come again."""
        less = next_keys.with_suffix(".keys-less")
        table = KeyTable(next_keys)
        table.put_back(without_room, KeyTable(self._keys))
        table.write(less)
        os.replace(less, next_keys)

    def _next_keys(self) -> Path:
        return self._keys.with_suffix(".keys-next")


_NOTHING = DryRun(n_rows=0, n_good=0, n_faults=0, faults=(), unused=())
