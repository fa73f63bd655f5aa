"""Who is who: identifiers belong to people, and people who prove to be one are merged.

The rules, in the order in which an event's identifiers are read (most telling first; the door puts them so):

- The event goes to the person of its **first** identifier, for that is the one History joins by.
- An identifier that nobody has is linked to that person; not beyond the limit of its kind (one ``user_id``).
- One that another person has merges the two, unless both have one of a ``unique`` kind (``user_id``), a limit or a cap
  says no, or somebody has set them apart: then it keeps its person. A shared address or browser joins no two accounts,
  and the newest link takes nothing from the older one.
- ``alias`` merges what it names, accounts too: somebody said so on purpose.
- The person with a ``user_id`` survives a merge, else the lower number. A number is never given twice.

The identifiers of a person form a tree: each was linked because of another one, and each merge joined two of them. So
taking a merge back parts them exactly in two (`mailwright.profiles.parting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import HOUR, Instant
from mailwright.profiles.counting import Counting
from mailwright.profiles.identity_columns import NONE, GraphColumns, is_account, key_of
from mailwright.profiles.identity_rules import ACCOUNT, DEFAULTS, IdentityRules, MergeLimits
from mailwright.profiles.merge_book import Merged, Refused, Said
from mailwright.profiles.parting import Parting

__all__ = ["ACCOUNT", "Belonging", "IdentityGraph", "Merge", "Resolution", "key_of"]

PREVIOUS = "previous_id"
"""Kind of the second identifier of an alias: a name of before, whether it was a user_id or an anonymous_id."""

_PREVIOUS_KINDS = (ACCOUNT, "anonymous_id")
_NO_LIMITS = MergeLimits()


class Merge(NamedTuple):
    """`gone` turned out to be `into`: everything kept of it is combined into `into` and the number is retired."""

    into: Person
    gone: Person
    reason: str


class Resolution(NamedTuple):
    """Whose event it is, and the merges that the event caused, in order; `person` is the one after them."""

    person: Person
    merges: Sequence[Merge]


class Belonging(NamedTuple):
    """An identifier (``kind:value``) belongs to a person for offsets from_offset <= o < to_offset; None: still.

    By a merge it comes to its new person at the very offset at which it left the old one; by a split one later.
    """

    identifier: str
    person: Person
    from_offset: Offset
    to_offset: Offset | None


class IdentityGraph(GraphColumns):
    """Identifiers, the people they belong to, and how it came to that; see `GraphColumns` for what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self._changes: list[Belonging] = []
        self._told: list[Merged] = []
        self._refusals: list[tuple[Person, Refused]] = []
        self._at = Instant(0)
        self.rules = DEFAULTS

    @property
    def rules(self) -> IdentityRules:
        """What holds for the next event."""
        return self._rules

    @rules.setter
    def rules(self, rules: IdentityRules) -> None:
        self._rules = rules
        self._counting = Counting(self, rules.unique | rules.limited)

    # --- folding ---

    def known(self, event: Event) -> Person | None:
        """Whose event it is, if it teaches nothing: all its identifiers are known and belong to one person.

        So it is with nearly every event; `resolve` would say the same and change nothing.
        """
        rows, owner = self._rows, self._owner
        person = None
        for identifier in event.identifiers:
            row = rows.get(f"{identifier.kind}:{identifier.value}")
            if row is None:
                return None
            if person is None:
                person = owner[row]
            elif owner[row] != person:
                return None
        return None if person is None else Person(person)

    def resolve(self, event: Event, offset: Offset, at: Instant = Instant(0)) -> Resolution:
        """Take an event's identifiers in and say whose it is.

        Args:
            event: What came.
            offset: Its own.
            at: When the log took it.

        Raises:
            Corrupt: If the event names nobody; the door lets none of that kind in.
        """
        person = self.known(event)
        if person is not None:
            return Resolution(person, ())
        identifiers = event.identifiers
        if not identifiers:
            raise Corrupt("identity.nobody", f"event {event.message_id!r} at offset {offset} has no identifier")
        self._at = at
        if event.type == "alias" and len(identifiers) > 1 and identifiers[-1].kind == PREVIOUS:
            return self._alias(event, offset)
        return self._linked([key_of(identifier) for identifier in identifiers], event, offset)

    def _linked(self, keys: list[str], event: Event, offset: Offset) -> Resolution:
        person = self._first(keys, offset)
        merges: list[Merge] = []
        first = self._rows[keys[0]]
        for key in keys[1:]:
            row = self._rows.get(key)
            if row is None:
                if fault := self._full(key, person):
                    self._refuse(person, keys[0], key, fault, offset)
                else:
                    self._link(key, person, offset, first)
                    self._retire_beyond_limit(key, person)
            elif (other := Person(self._owner[row])) != person and not {row, first} & self._retired:
                if fault := self._bars(person, other):
                    self._refuse(person, keys[0], key, fault, offset)
                else:
                    merges.append(self._join(person, other, offset, _said(event), (first, row)))
                    person = merges[-1].into
        return Resolution(person, merges)

    def _first(self, keys: list[str], offset: Offset) -> Person:
        """The person of the first identifier; an unknown one is linked to the first other's that can take it."""
        row = self._rows.get(keys[0])
        if row is not None:
            return Person(self._owner[row])
        for key in keys[1:]:
            row = self._rows.get(key)
            if row is not None and row not in self._retired and not self._full(keys[0], Person(self._owner[row])):
                person = Person(self._owner[row])
                self._link(keys[0], person, offset, row)
                self._retire_beyond_limit(keys[0], person)
                return person
        person = self._new()
        self._link(keys[0], person, offset, NONE)
        return person

    # --- limits ---

    def _count(self, person: Person, kind: str) -> int:
        """How many of a kind a person has that still count."""
        if kind == ACCOUNT:
            return self._accounts[person]
        return len(self._counting.rows(person, kind))

    def _full(self, key: str, person: Person) -> str:
        """Why a new identifier cannot be linked to a person; empty if it can."""
        kind = key.partition(":")[0]
        if kind in self.rules.unique and self._count(person, kind):
            return f"already has one {kind}"
        rule = self.rules.rule(kind)
        if rule.limit is None or rule.at_limit != "refuse" or self._count(person, kind) < rule.limit:
            return ""
        return f"already has {rule.limit} {kind}"

    def _retire_beyond_limit(self, key: str, person: Person) -> None:
        """The oldest of a kind joins nobody any more, where the rules say so."""
        kind = key.partition(":")[0]
        if kind not in self.rules.limited:
            return
        rule = self.rules.rule(kind)
        if rule.limit is None or rule.at_limit != "drop_oldest":
            return
        counting = self._counting.rows(person, kind)
        beyond = max(0, len(counting) - rule.limit)
        self._retired.update(counting[:beyond])
        del counting[:beyond]

    def _join_again(self, rows: Sequence[int]) -> None:
        """What a split leaves to a person, rows ascending, and is within the limit without the rest joins people."""
        for kind in sorted(self.rules.limited):
            rule = self.rules.rule(kind)
            if rule.limit is not None and rule.at_limit == "drop_oldest":
                mine = [row for row in rows if self._keys[row].startswith(f"{kind}:")]
                self._retired.difference_update(mine[-rule.limit :])

    def objection(self, one: Person, other: Person) -> str:
        """Why a machine that takes two people for one must not merge them; empty if it may, or if they are one.

        Raises:
            IndexError: If a number was never given.
        """
        one, other = self.current(one), self.current(other)
        if one == other:
            return ""
        if self._accounts[one] and self._accounts[other]:  # even where the project's rules let events do it
            return f"#{one} and #{other} each have a {ACCOUNT}"
        return self._differ(one, other)

    def _bars(self, person: Person, other: Person) -> str:
        """Why an event does not merge two people; empty if it does."""
        return self._differ(person, other) or self._storm(person, other)

    def _differ(self, person: Person, other: Person) -> str:
        """Whether a person or the rules say that they are two."""
        if self._set_apart(person, other):
            return f"#{person} and #{other} were set apart by hand"
        for kind in sorted(self.rules.unique):
            if self._count(person, kind) and self._count(other, kind):
                return f"#{person} and #{other} each have a {kind}"
        for kind in sorted(self.rules.limited - self.rules.unique):
            rule = self.rules.rule(kind)
            if rule.limit is not None and rule.at_limit == "refuse":
                n = self._count(person, kind) + self._count(other, kind)
                if n > rule.limit:
                    return f"#{person} and #{other} together would have {n} {kind}, more than {rule.limit}"
        return ""

    def _storm(self, person: Person, other: Person) -> str:
        """Whether the cap of merges says no."""
        limits = self.rules.merges
        if limits.per_hour is None and limits.in_all is None:
            return ""
        into, gone = self._survivor(person, other)
        n = sum(1 for _ in self._rows_of(gone))
        hour, whole = (self.book.gained(into, Instant(since)) for since in (self._at - HOUR, -(1 << 62)))
        if limits.per_hour is not None and hour + n > limits.per_hour:
            return f"#{into} would gain {hour + n} identifiers by merges within an hour, more than {limits.per_hour}"
        if limits.in_all is not None and whole + n > limits.in_all:
            return f"#{into} would gain {whole + n} identifiers by merges, more than {limits.in_all}"
        return ""

    def _refuse(self, person: Person, one: str, other: str, reason: str, offset: Offset) -> None:
        if self.book.refuse(person, one, other, reason, self._at, offset):
            self._refusals.append((person, self.book.refused(person)[-1]))

    def _set_apart(self, person: Person, other: Person) -> bool:
        wanted = {person, other}
        return any({self.current(Person(a)), self.current(Person(b))} == wanted for a, b in self.book.apart)

    def keep_apart(self, one: Person, other: Person) -> None:
        """Somebody says that they are two; of one person, nothing."""
        first, second = self.current(one), self.current(other)
        if first != second and not self._set_apart(first, second):
            self.book.apart.add((min(first, second), max(first, second)))

    def _bring_together(self, person: Person, other: Person) -> None:
        """Somebody says that they are one after all."""
        if self.book.apart:
            wanted = {person, other}
            pairs = ((a, b) for a, b in self.book.apart)
            again = {(a, b) for a, b in pairs if {self.current(Person(a)), self.current(Person(b))} == wanted}
            self.book.apart -= again

    def _alias(self, event: Event, offset: Offset) -> Resolution:
        """``userId`` takes over everything of ``previousId``, under both kinds that the old name may have."""
        *named, previous = event.identifiers
        resolution = self._linked([key_of(identifier) for identifier in named], event, offset)
        person, merges = resolution.person, list(resolution.merges)
        first = key_of(named[0])
        for kind in _PREVIOUS_KINDS:
            key = f"{kind}:{previous.value}"
            row = self._rows.get(key)
            if row is None:
                self._link(key, person, offset, self._rows[first])
            elif (other := Person(self._owner[row])) != person:
                if fault := self._storm(person, other):
                    self._refuse(person, first, key, fault, offset)
                    continue
                self._bring_together(person, other)
                merges.append(self._merge(person, other, offset, _said(event), (self._rows[first], row)))
        return Resolution(person, merges)

    # --- by hand ---

    def merge_by_hand(self, one: Person, other: Person, offset: Offset, at: Instant, said: Said) -> Merge | None:
        """Somebody says that two people are one, accounts or not; None if they are already.

        `one` survives if it alone has a ``user_id`` or both or none have: it was named first.

        Raises:
            IndexError: If a number was never given.
        """
        self._at = at
        one, other = self.current(one), self.current(other)
        if one == other:
            return None
        self._bring_together(one, other)
        into, gone = (other, one) if self._accounts[other] and not self._accounts[one] else (one, other)
        return self._merge(into, gone, offset, said, (self._head[into], self._head[gone]), by_hand=True)

    def parting(self, person: Person, merge: int | None, identifiers: Sequence[str]) -> Parting | str:
        """What a split would do: take merge number `merge` back, or take identifiers out; or why it cannot.

        Raises:
            IndexError: If the number was never given.
        """
        person = self.current(person)
        if merge is not None:
            return Parting.of_merge(self, person, merge)
        return Parting.of_identifiers(self, person, identifiers)

    def part(self, parting: Parting, offset: Offset, at: Instant) -> Person:
        """Do it; the person who has the identifiers that left."""
        self._at = at
        part = parting.number if parting.number is not None else self._new()
        person = parting.person
        for row in parting.moved:
            key = self._keys[row]
            self._changes.append(Belonging(key, person, Offset(self._since[row]), offset))
            self._changes.append(Belonging(key, part, Offset(offset + 1), None))
            self._owner[row], self._since[row] = part, offset + 1
        for row, via in parting.rerooted:
            self._via[row] = via
        if part == len(self._head):
            self._head.append(parting.head_moved)
            self._first_row.append(parting.head_moved)
            self._firsts.append(self._keys[parting.head_moved])
        self._chain(person, parting.stay, parting.head_stay)
        self._chain(part, parting.moved, parting.head_moved)
        self._into[part] = part
        for whose, numbers in ((part, parting.numbers_moved), (person, parting.numbers_stay)):
            for number in numbers:
                self._into[number] = whose
            self._absorbed[whose] = set(numbers) - {whose}
        if parting.number is not None:
            self._n_gone -= 1
        for number in parting.undone:
            self.book.undo(number, offset)
        self.book.refusals_part(person, part, frozenset(self._keys[row] for row in parting.moved))
        self.book.forget_gains(person)
        self.book.apart.add((min(person, part), max(person, part)))
        self._join_again(parting.stay)
        self._join_again(parting.moved)
        self._counting.forget(person, part)
        return part

    def _chain(self, person: Person, rows: Sequence[int], head: int) -> None:
        """These rows are the person's, and no others."""
        ordered = [head, *(row for row in rows if row != head)]
        for row, after in zip(ordered, [*ordered[1:], NONE], strict=True):
            self._after[row] = after
        self._head[person], self._tail[person] = head, ordered[-1]
        self._accounts[person] = sum(is_account(self._keys[row]) for row in rows)

    def _new(self) -> Person:
        self._into.append(len(self._into))
        self._accounts.append(0)
        self._tail.append(NONE)
        return Person(len(self._into) - 1)

    def _link(self, key: str, person: Person, offset: Offset, via: int) -> None:
        row = len(self._keys)
        self._rows[key] = row
        self._keys.append(key)
        self._owner.append(person)
        self._since.append(offset)
        self._after.append(NONE)
        self._via.append(via)
        self._born.append(offset)
        self._born_at.append(self._at)
        if person == len(self._head):  # a new one is linked at once, so both columns are in order of number
            self._head.append(row)
            self._first_row.append(row)
            self._firsts.append(key)
        else:
            self._after[self._tail[person]] = row
        self._tail[person] = row
        self._accounts[person] += is_account(key)
        self._counting.linked(person, row)
        self._changes.append(Belonging(key, person, offset, None))

    def _survivor(self, one: Person, other: Person) -> tuple[Person, Person]:
        """(who stays, who goes) when an event merges two."""
        if self._accounts[one] != self._accounts[other]:
            return (one, other) if self._accounts[one] else (other, one)
        return min(one, other), max(one, other)

    def _join(self, one: Person, other: Person, offset: Offset, said: Said, rows: tuple[int, int]) -> Merge:
        return self._merge(*self._survivor(one, other), offset, said, rows)

    def _merge(
        self, into: Person, gone: Person, offset: Offset, said: Said, by: tuple[int, int], *, by_hand: bool = False
    ) -> Merge:
        rows = list(self._rows_of(gone))
        for row in rows:
            self._changes.append(Belonging(self._keys[row], gone, Offset(self._since[row]), offset))
            self._changes.append(Belonging(self._keys[row], into, offset, None))
            self._owner[row], self._since[row] = into, offset
        self._after[self._tail[into]], self._tail[into] = self._head[gone], self._tail[gone]
        self._tail[gone] = NONE
        self._accounts[into] += self._accounts[gone]
        self._into[gone] = into
        self._absorbed.setdefault(into, set()).update({gone}, self._absorbed.pop(gone, ()))
        self._n_gone += 1
        self._counting.merged(into, gone, rows)
        number = self.book.add(offset, self._at, into, gone, *by, said)
        self.book.refusals_move(into, gone)
        if not by_hand and self.rules.merges != _NO_LIMITS:
            self.book.gain(into, gone, self._at, len(rows))
        told = self.book.get(number)
        assert told is not None, "it was just added"  # noqa: S101
        self._told.append(told)
        return Merge(into, gone, self.reason(told))

    # --- what it tells once ---

    def belonging_changes(self) -> list[Belonging]:
        """Rows since the last call, in order; a row that closes repeats its identifier, person and from_offset."""
        changes, self._changes = self._changes, []
        return changes

    def new_refusals(self) -> list[tuple[Person, Refused]]:
        """What was refused for the first time since the last call, in order."""
        told, self._refusals = self._refusals, []
        return told

    def new_merges(self) -> list[Merged]:
        """Merges since the last call, in order."""
        told, self._told = self._told, []
        return told


def _said(event: Event) -> Said:
    return Said(event.type, event.source, event.message_id)
