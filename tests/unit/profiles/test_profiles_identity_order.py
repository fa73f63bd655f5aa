"""In which order events come makes no difference to who is who, wherever the rules do not say no to anybody.

The rules that say no are those of limits: a second ``user_id`` (or another unique kind), one more of a kind than its
limit. There the first to come keeps what it has, so order matters by rule: two accounts at one shared address. Such
groups are left out here but for what holds of them in any order; so are ``alias``, splits, and caps on merges, which
are about time. Everything else is plain connectedness, and a union-find says what it gives.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.profiles.identity import IdentityGraph, key_of
from mailwright.profiles.identity_rules import DEFAULTS, KINDS, IdentityRules, KindRule

POOL = [*(f"user_id:{n}" for n in range(3)), *(f"{kind}:{n}" for kind in ("email", "anonymous_id") for n in range(5))]
POOL += ["crm_id:0", "crm_id:1"]
RULES = {
    "without a file": DEFAULTS,
    "a limit": IdentityRules(kinds={"email": KindRule(limit=2)}),
    "a limit that drops the oldest": IdentityRules(kinds={"anonymous_id": KindRule(limit=3, at_limit="drop_oldest")}),
    "another unique kind": IdentityRules(kinds={"crm_id": KindRule(unique=True), "email": KindRule(limit=3)}),
}
Names = tuple[str, ...]
People = set[frozenset[str]]


def _rank(key: str) -> int:
    kind = key.partition(":")[0]
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _in_order(names: Iterable[str]) -> Names:
    return tuple(sorted(names, key=_rank))


one_call = st.lists(st.sampled_from(POOL), min_size=1, max_size=3, unique=True).map(_in_order)
calls = st.lists(one_call, max_size=14)


def played(sequence: Sequence[Names], rules: IdentityRules) -> People:
    """The people that the graph makes of calls."""
    graph, at = IdentityGraph(), Instant(0)
    graph.rules = rules
    for place, names in enumerate(sequence, 1):
        told = [Identifier(*name.split(":")) for name in names]
        event = Event(
            message_id=f"m{place}",
            source="shop",
            type="track",
            stamp_at=at,
            received_at=at,
            known_at=at,
            identifiers=told,
        )
        graph.resolve(event, Offset(place))
    return {frozenset(map(key_of, graph.identifiers(Person(number)))) for number in graph.living()}


def connected(sequence: Sequence[Names]) -> People:
    """The groups of names that calls connect: the textbook's union-find, and nothing of our own code."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for names in sequence:
        for name in names:
            parent[root(name)] = root(names[0])
    groups = defaultdict(set)
    for name in parent:
        groups[root(name)].add(name)
    return set(map(frozenset, groups.values()))


def within(group: frozenset[str], rules: IdentityRules, *, refusing: bool = False) -> bool:
    """Whether a group has no more of any kind than a person may have; `refusing`: of kinds that refuse one more."""
    for kind, count in Counter(name.partition(":")[0] for name in group).items():
        rule = rules.rule(kind)
        if kind in rules.unique and count > 1:
            return False
        if rule.limit is not None and count > rule.limit and not (refusing and rule.at_limit == "drop_oldest"):
            return False
    return True


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60, deadline=None)
@given(sequence=calls, data=st.data())
def test_any_order_gives_the_same_people_where_no_rule_says_no(
    name: str, sequence: list[Names], data: st.DataObject
) -> None:
    rules = RULES[name]
    groups = connected(sequence)
    promised = {group for group in groups if within(group, rules)}
    one, other = played(sequence, rules), played(data.draw(st.permutations(sequence)), rules)
    contested = frozenset().union(*(groups - promised))
    for people in (one, other):
        assert {person for person in people if not person & contested} == promised
        assert all(any(person <= group for group in groups) for person in people), "nobody is joined without a call"
        assert all(within(person, rules, refusing=True) for person in people)


def test_two_accounts_at_a_shared_address_are_why_order_matters_elsewhere() -> None:
    sequence = [("user_id:0", "email:0"), ("user_id:1", "email:0")]
    first, last = played(sequence, DEFAULTS), played(sequence[::-1], DEFAULTS)
    assert first == {frozenset({"user_id:0", "email:0"}), frozenset({"user_id:1"})}
    assert last == {frozenset({"user_id:1", "email:0"}), frozenset({"user_id:0"})}
