"""An engine and a clock of the seeded shop, over facts that a test made."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from seeded_definitions import NOW, PRODUCTS, SEGMENTS, START

from mailwright.core.errors import NotFound
from mailwright.core.events import Identifier, Item, Offset, Person
from mailwright.core.facts import AccountFacts, EngineStatus, Known, Member, PersonFacts
from mailwright.core.happenings import Place, Unwritten, Whose
from mailwright.core.instants import Instant
from mailwright.core.person_graph import GraphIdentifier, PersonGraph
from mailwright.core.previews import Count, Preview
from mailwright.core.transitions import Cursor, TransitionPage
from mailwright.rules.syntax import InSegment, from_json

ACCOUNTS = {
    name: AccountFacts(
        id=name,
        traits={"plan": Known(value="gold", at=NOW, source="crm")},
        history={
            "plan": [Known(value="gold", at=NOW, source="crm"), Known(value=None, at=START, source="till")],
            "city": [Known(value=None, at=START, source="till")],
        },
        n_members=3,
        first_seen_at=START,
        last_seen_at=NOW,
        members=[Member(person=Person(n), first_at=START, last_at=NOW) for n in (1, 2, 13)],
        figures={"people": 3},
    )
    for name in ["acme", "a/b <script>alert(1)</script>"]
}


class StandingClock:
    """A clock that a test moves by hand."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at


class FixedEngine:
    """EngineReads over facts that a test made."""

    def __init__(self, people: dict[Person, PersonFacts]) -> None:
        self.people = people
        self.down: Exception | None = None

    def status(self) -> EngineStatus:
        self._answer()
        names = [name for facts in self.people.values() for name in facts.segments]
        return EngineStatus(
            offset=Offset(4096 * 900),
            tick_offset=Offset(4096 * 899),
            at=NOW,
            version=3,
            n_persons=len(self.people),
            n_events=sum(facts.n_events for facts in self.people.values()),
            n_duplicates=12,
            n_items=len(PRODUCTS),
            segments={name: names.count(name) for name in SEGMENTS},
        )

    def facts(
        self, persons: Sequence[Person], conditions: Sequence[str] = (), *, past: bool = False
    ) -> dict[Person, PersonFacts]:
        self._answer()
        found = {person: self.people[person] for person in persons if person in self.people}
        return found if past else {n: msgspec.structs.replace(one, history={}) for n, one in found.items()}

    def having(self, trait: str, value: Any) -> list[Person]:
        self._answer()
        told = {person: facts.traits[trait].value for person, facts in self.people.items() if trait in facts.traits}
        asked = value["hash"] if isinstance(value, dict) else value
        return [n for n, one in told.items() if (one["hash"] if isinstance(one, dict) else one) == asked]

    def accounts(self, after: str | None, limit: int) -> list[AccountFacts]:
        self._answer()
        if after is not None and after not in ACCOUNTS:
            raise NotFound("account.unknown", f"there is no account {after!r}")
        start = 0 if after is None else list(ACCOUNTS).index(after) + 1
        return list(ACCOUNTS.values())[start : start + limit]

    def account(self, group: str) -> AccountFacts | None:
        self._answer()
        return ACCOUNTS.get(group)

    def find(self, kind: str, value: str) -> Person | None:
        self._answer()
        wanted = Identifier(kind, value)
        return next((facts.person for facts in self.people.values() if wanted in facts.identifiers), None)

    def graph(self, person: int) -> PersonGraph:
        """Everybody's identifiers came with their first one; nobody was ever merged."""
        facts = self.people[Person(person)]
        keys = [f"{one.kind}:{one.value}" for one in facts.identifiers]
        return PersonGraph(
            person=facts.person,
            numbers=[facts.person],
            identifiers=[
                GraphIdentifier(key=key, since_at=START, offset=Offset(4096), via=keys[0] if place else "")
                for place, key in enumerate(keys)
            ],
            merges=[],
            refused=[],
            apart=[],
        )

    def members(self, segment: str, after: Person | None, limit: int) -> list[Person]:
        self._answer()
        if segment not in SEGMENTS:
            raise NotFound("segment.unknown", f"there is no segment {segment!r}")
        start = -1 if after is None else after
        inside = (person for person, facts in self.people.items() if segment in facts.segments and person > start)
        return list(itertools.islice(inside, limit))

    def first_identifiers(self, persons: Sequence[Person]) -> dict[Person, str]:
        self._answer()
        return {person: self.people[person].first_identifier for person in persons if person in self.people}

    def overlap(self, segment: str, others: Sequence[str]) -> dict[str, int]:
        members = {name: set(self.members(name, None, 10**6)) for name in (segment, *others)}
        return {name: len(members[segment] & members[name]) for name in others}

    def preview(self, rule: bytes, against: str | None, limit: int) -> Preview:
        """Understands ``in segment X`` alone; anything else needs leaves that are not kept."""
        self._answer()
        node = from_json(rule)
        if not isinstance(node, InSegment):
            return Preview(at=NOW, n_persons=len(self.people), exact=False, missing=["leaf"])
        inside = self.members(node.name, None, 10**6)
        before = self.members(against, None, 10**6) if against in SEGMENTS else []
        entering, leaving = sorted(set(inside) - set(before)), sorted(set(before) - set(inside))
        return Preview(
            at=NOW,
            n_persons=len(self.people),
            exact=True,
            size=Count.of(len(inside)),
            entering=Count.of(len(entering)) if against is not None else None,
            leaving=Count.of(len(leaving)) if against is not None else None,
            sample=inside[:limit],
            entering_sample=entering[:limit],
            leaving_sample=leaving[:limit],
        )

    def transitions(self, after: Cursor | None, segments: Sequence[str] | None, limit: int) -> TransitionPage:
        """It remembers nothing: History has all."""
        self._answer()
        since = Cursor(Offset(4096 * 899))
        return TransitionPage(changes=[], cursor=after or since, kept_since=since)

    def latest_transitions(self, segment: str, limit: int) -> TransitionPage:
        self._answer()
        return TransitionPage(changes=[], cursor=Cursor(Offset(4096 * 899)))

    def unwritten(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        """History has all."""
        self._answer()
        return Unwritten(rows=[], after=Offset(2**62))

    def items(self, catalog: str, item_ids: Sequence[str]) -> dict[str, Item]:
        return {
            i: Item(catalog=catalog, item_id=i, stamp_at=START, facts={"title": PRODUCTS[i]})
            for i in item_ids
            if i in PRODUCTS
        }

    def _answer(self) -> None:
        if self.down:
            raise self.down
