"""Events that the tracking plan held back: kept sealed, shown, mended, replayed through the door, or discarded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, NotFound, Transient
from mailwright.core.events import Event, Events, Identifier
from mailwright.core.instants import MINUTE, Instant
from mailwright.core.ports import Clock, EventLog, Records
from mailwright.core.sources import Note, Quarantined, QuarantineFilter, Reason, Tally
from mailwright.ingest.forms.submission import OURS
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.limits import Refusal
from mailwright.ingest.mending import Patch, mended
from mailwright.ingest.segment import Held, Parsed, Source, parse_request
from mailwright.privacy.sealing import Sealer

MOST_HELD = 100_000
"""More are not kept; what would be held then is refused, and told."""

MOST_OF_PUBLIC = 5_000
"""Most of one source that everybody can write to: a browser's key, a form."""

_SEALED_AS = "quarantine"
_PAGE = 200
SEALED = "(sealed)"
"""Stands for a personal value where a held event is shown; left standing when it is edited, the value stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of held items. `still`: their numbers and, for each, why it stays."""

    taken: Sequence[int]
    still: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """How a request came whose items are held back: a replay lets them in the same way.

    Attributes:
        source: Who sent it.
        received_at: When.
        history: Its events are taken as history, see `parse_request`.
        imported: It was a batch of an import.
        identifiers: Whose the items are, where they themselves may not say it; empty: they say it.
    """

    source: Source
    received_at: Instant
    history: bool = False
    imported: bool = False
    identifiers: Sequence[Identifier] = ()


class _Proven(msgspec.Struct, array_like=True):
    """A call whose person a link proves. A call by itself is an object, so none from outside can look like this."""

    call: dict[str, Any]
    identifiers: list[Identifier]


class Quarantine:
    """Held items of one installation, with what a replay needs."""

    def __init__(
        self,
        records: Records,
        sealer: Sealer,
        clock: Clock,
        log: EventLog,
        *,
        seal: Seal | None = None,
    ) -> None:
        """Keep items in `records`; `seal` also knows what the project declares as personal, for showing them."""
        self._records = records
        self._held = records.quarantine
        self._sealer = sealer
        self._clock = clock
        self._log = log
        self._seal_fields = (seal or sealer).seal_fields

    # --- in ---

    def kept(self, came: Came, parsed: Parsed) -> Parsed:
        """`parsed` with what is held back kept durably; what finds no room is refused in it."""
        if not parsed.held:
            return parsed
        try:
            n_new = self.hold(self.sealed(came, parsed))
        except Transient as error:
            if error.code != "quarantine.full":
                raise
            refused = [Refusal(held.index, "", f"to be mended, but {error.message}") for held in parsed.held]
            return replace(parsed, refused=[*parsed.refused, *refused], held=[])
        return replace(parsed, n_held_before=len(parsed.held) - n_new)

    def hold(self, items: Sequence[Quarantined]) -> int:
        """Keep sealed items of one source durably; how many are new, for one that comes again is kept once.

        Raises:
            Transient: ``quarantine.full``; none is kept then.
        """
        if not items:
            return 0
        return self._held.hold(items, MOST_HELD, MOST_OF_PUBLIC if _is_public(items[0]) else None)

    def sealed(self, came: Came, parsed: Parsed) -> list[Quarantined]:
        """What a request had held back, as it is kept."""
        return [
            Quarantined(
                message_id=held.message_id,
                source=came.source.name,
                source_kind=came.source.kind,
                event=held.event,
                received_at=came.received_at,
                reasons=_reasons(parsed, held),
                body=self._seal(msgspec.json.decode(held.body), came.identifiers),
                history=came.history,
                imported=came.imported,
            )
            for held in parsed.held
        ]

    # --- looking ---

    def find(self, wanted: QuarantineFilter, limit: int) -> list[Quarantined]:
        """Held items, newest first."""
        return self._held.find(wanted, limit)

    def chosen(self, numbers: Collection[int], wanted: QuarantineFilter) -> list[int]:
        """The items of these numbers; without any, all that the filter names.

        Raises:
            NotFound: ``quarantine.item``.
            InvalidInput: ``quarantine.chosen``, if there are no numbers and the filter names nothing.
        """
        if numbers:
            return [self.get(number).id for number in numbers]
        if wanted == QuarantineFilter():
            hint = "name events by their numbers, or by source, event, field or kind of fault"
            raise InvalidInput.one("quarantine.chosen", "nothing is named", hint=hint)
        return self.numbers(wanted)

    def get(self, number: int) -> Quarantined:
        """One held item.

        Raises:
            NotFound: ``quarantine.item``.
        """
        found = self._held.get(number)
        if found is None:
            raise NotFound("quarantine.item", f"no item {number} is held", "it was replayed, discarded or forgotten")
        return found

    def shown(self, item: Quarantined) -> dict[str, Any]:
        """The call of an item, with `SEALED` for each personal value."""
        call, _ = self._opened(item)
        for part in ("properties", "traits", "context"):
            if isinstance(call.get(part), dict):
                call[part] = self._masked(self._seal_fields(part, call[part]))
        for name in ("userId", "previousId", "anonymousId"):
            if "@" in str(call.get(name, "")):
                call[name] = SEALED
        return call

    # --- out ---

    def mend(self, numbers: Sequence[int], patches: Sequence[Patch], *, who: str) -> None:
        """Change held items; they stay held until they are replayed."""
        for number in numbers:
            item = self.get(number)
            call, identifiers = self._opened(item)
            self._held.explain(number, item.reasons, self._seal(mended(call, patches), identifiers))
        self._note(who, "mend", f"{_listed(numbers)}: {', '.join(f'{one.op} {one.field}' for one in patches)}")

    def edit(self, number: int, changed: dict[str, Any], *, who: str) -> None:
        """Put other properties (and traits) into a held item; `SEALED` stands for what was there."""
        item = self.get(number)
        call, identifiers = self._opened(item)
        for part in ("properties", "traits"):
            if part in changed:
                call[part] = _unmasked(changed[part], call.get(part))
        if "event" in changed:
            call["event"] = changed["event"]
        self._held.explain(number, item.reasons, self._seal(call, identifiers))
        self._note(who, "edit", f"{number}: {', '.join(sorted(changed))}")

    def replay(self, numbers: Sequence[int], rules: IngestRules, *, who: str) -> Replayed:
        """Read items again as the door would have, with their own time and message id; what is still bad stays."""
        taken: list[int] = []
        still: list[tuple[int, str]] = []
        for number in numbers:
            if reasons := self._let_in(self.get(number), rules):
                still.append((number, "; ".join(f"{one.field} {one.reason}" for one in reasons)))
            else:
                taken.append(number)
        self._note(who, "replay", f"{_listed(taken)} taken, {_listed([number for number, _ in still])} still held")
        return Replayed(taken=taken, still=still)

    def _let_in(self, item: Quarantined, rules: IngestRules) -> list[Reason]:
        """Why an item stays held; nothing if it is in."""
        call, identifiers = self._opened(item)
        parsed = parse_request(
            "import" if item.imported else "batch",
            msgspec.json.encode({"batch": [call]}),
            rules,
            source=Source(item.source, item.source_kind),
            received_at=item.received_at,
            new_id=lambda: item.message_id,
            history=item.history,
            keeps_held=True,
        )
        if not parsed.events:
            reasons = _still_bad(parsed)
            self._held.explain(item.id, reasons, item.body)
            return reasons
        # First the log, then counted and out of here at once: broken off in between, it is replayed again.
        self._log.append([Events(_of(parsed.events, identifiers))], self._clock.now())
        self._held.remove({item.id: _counted(item, accepted=1)})
        return []

    def discard(self, numbers: Sequence[int], *, who: str) -> int:
        """Drop held items for good; returns how many there were."""
        items = [item for number in numbers if (item := self._held.get(number))]
        n = self._held.remove({item.id: _counted(item, refused=1) for item in items})
        self._note(who, "discard", _listed(numbers))
        return n

    def numbers(self, wanted: QuarantineFilter) -> list[int]:
        """The numbers of all that are meant."""
        found: list[int] = []
        while page := self._held.find(wanted, _PAGE):
            found += [item.id for item in page]
            wanted = QuarantineFilter(
                source=wanted.source, event=wanted.event, field=wanted.field, kind=wanted.kind, before=page[-1].id
            )
        return found

    # --- sealed ---

    def _seal(self, call: dict[str, Any], identifiers: Sequence[Identifier]) -> str:
        body = msgspec.json.encode(_Proven(call, list(identifiers)) if identifiers else call)
        return msgspec.json.encode(self._sealer.seal(_SEALED_AS, body.decode())).decode()

    def _opened(self, item: Quarantined) -> tuple[dict[str, Any], Sequence[Identifier]]:
        """The call, and whose it is if that was proven."""
        body = self._sealer.unseal(msgspec.json.decode(item.body))
        found = msgspec.json.decode(body, type=dict[str, Any] | _Proven)
        return (found.call, found.identifiers) if isinstance(found, _Proven) else (found, ())

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            if self._sealer.is_sealed(value):
                return SEALED
            return {key: self._masked(each) for key, each in value.items()}
        return [self._masked(each) for each in value] if isinstance(value, list) else value

    def _note(self, who: str, action: str, detail: str) -> None:
        note = Note(at=self._clock.now(), who=who, action=action, detail=detail[:500])
        self._records.sources.note(note)


def _counted(item: Quarantined, *, accepted: int = 0, refused: int = 0) -> Tally:
    """What was held is that no more: on the day on which it came."""
    minute = item.received_at // MINUTE
    return Tally(source=item.source, minute=minute, accepted=accepted, refused=refused, held=-1)


def _is_public(item: Quarantined) -> bool:
    return item.source_kind == "browser" or item.source.startswith(OURS)


def _of(events: Sequence[Event], identifiers: Sequence[Identifier]) -> list[Event]:
    if not identifiers:
        return list(events)
    return [msgspec.structs.replace(event, identifiers=list(identifiers)) for event in events]


def _reasons(parsed: Parsed, held: Held) -> list[Reason]:
    return [
        Reason(field=one.field, kind=one.kind, reason=one.reason)
        for one in parsed.violations
        if one.index == held.index and one.policy == "quarantine"
    ]


def _still_bad(parsed: Parsed) -> list[Reason]:
    """Why one item was not taken: what the plan is against, else what it was refused for."""
    found = [Reason(field=one.field, kind=one.kind, reason=one.reason) for one in parsed.violations]
    masked = "it can be read no more" if not parsed.refused else "refused"
    return found or [Reason(field=one.field, kind="refused", reason=masked) for one in parsed.refused]


def _unmasked(new: Any, old: Any) -> Any:
    """`new` with the old value wherever `SEALED` was left standing."""
    if new == SEALED:
        return old
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        return {key: _unmasked(each, before.get(key)) for key, each in new.items()}
    if isinstance(new, list):
        items = old if isinstance(old, list) else []
        return [_unmasked(each, items[n] if n < len(items) else None) for n, each in enumerate(new)]
    return new


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:20]))
    return f"{len(numbers)} ({shown}{', ...' if len(numbers) > 20 else ''})" if numbers else "none"
