"""`identity.yaml`: limits, unique kinds, caps, what is refused and why; and taking merges back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import HOUR, Instant
from mailwright.ingest.identifiers import Named, Source, identifiers_of
from mailwright.privacy import KeyRing, Sealer
from mailwright.profiles.identity import IdentityGraph
from mailwright.profiles.identity_rules import DEFAULTS, IdentityRules, KindRule, MergeLimits
from mailwright.profiles.merge_book import Said
from mailwright.profiles.parting import Parting
from mailwright.runtime.project.load import load_project

SHORT = {"u": "user_id", "e": "email", "p": "phone", "a": "anonymous_id", "c": "crm_id", "old": "previous_id"}
AT = Instant(1_000 * HOUR)


def event(text: str, number: int) -> Event:
    names = [Identifier(SHORT[kind], value) for kind, value in (each.split(":") for each in text.split())]
    kind = "alias" if "old:" in text else "track"
    return Event(
        message_id=f"m{number}", source="shop", type=kind, stamp_at=AT, received_at=AT, known_at=AT, identifiers=names
    )


def played(texts: list[str], rules: IdentityRules = DEFAULTS, *, every: int = 0) -> IdentityGraph:
    graph = IdentityGraph()
    graph.rules = rules
    for number, text in enumerate(texts, 1):
        graph.resolve(event(text, number), Offset(4096 * number), Instant(AT + number * every))
    return graph


def people(graph: IdentityGraph) -> dict[int, str]:
    """Living people and their identifiers, as the tests write them."""
    short = {kind: letter for letter, kind in SHORT.items()}
    return {
        int(person): " ".join(sorted(f"{short[one.kind]}:{one.value}" for one in graph.identifiers(person)))
        for person in graph.living()
    }


def refused(graph: IdentityGraph) -> list[str]:
    return [each.reason for person in graph.living() for each in graph.book.refused(person)]


def rules(**kinds: KindRule) -> IdentityRules:
    return IdentityRules(kinds=kinds)


CASES = {
    "without a file a second user_id is not linked": (
        DEFAULTS,
        ["a:x u:1", "a:x u:2"],
        {0: "a:x u:1"},
        ["one user_id"],
    ),
    "a limit refuses one more": (
        rules(email=KindRule(limit=1)),
        ["u:1 e:a", "u:1 e:b", "e:b"],
        {0: "e:a u:1", 1: "e:b"},
        ["already has 1 email"],
    ),
    "a limit refuses a merge that would break it": (
        rules(email=KindRule(limit=1)),
        ["u:1 e:a", "e:b a:x", "u:1 a:x"],
        {0: "e:a u:1", 1: "a:x e:b"},
        ["together would have 2 email, more than 1"],
    ),
    "the oldest of a kind joins nobody any more": (
        rules(anonymous_id=KindRule(limit=2, at_limit="drop_oldest")),
        ["u:1 a:x", "u:1 a:y", "u:1 a:z", "e:b", "e:b a:x", "e:b a:z"],
        {0: "a:x a:y a:z e:b u:1"},
        [],
    ),
    "what joins nobody keeps its person": (
        rules(anonymous_id=KindRule(limit=1, at_limit="drop_oldest")),
        ["u:1 a:x", "u:1 a:y", "e:b", "e:b a:x"],
        {0: "a:x a:y u:1", 1: "e:b"},
        [],
    ),
    "two values of a unique kind never merge": (
        rules(crm_id=KindRule(unique=True)),
        ["c:1 a:x", "c:2 e:b", "a:x e:b"],
        {0: "a:x c:1", 1: "c:2 e:b"},
        ["each have a crm_id"],
    ),
    "nor does a second one of it come in": (
        rules(crm_id=KindRule(unique=True)),
        ["c:1 a:x", "a:x c:2"],
        {0: "a:x c:1"},
        ["already has one crm_id"],
    ),
    "user_id may be told not to be unique": (
        rules(user_id=KindRule(limit=None, unique=False)),
        ["u:1 e:a", "u:2 e:a"],
        {0: "e:a u:1 u:2"},
        [],
    ),
    "what is not told of user_id holds as without a file": (
        rules(user_id=KindRule(blocked=["x"])),
        ["u:mum e:home", "u:dad e:home"],
        {0: "e:home u:mum", 1: "u:dad"},
        ["each have a user_id"],
    ),
    "not unique alone still leaves one to a person": (
        rules(user_id=KindRule(unique=False)),
        ["u:1 a:x", "u:2 a:x"],
        {0: "a:x u:1", 1: "u:2"},
        ["together would have 2 user_id, more than 1"],
    ),
    "an alias goes over all of it but the cap": (
        rules(email=KindRule(limit=1)),
        ["u:1 e:a", "u:2 e:b", "u:1 old:2"],
        {0: "a:2 e:a e:b u:1 u:2"},
        [],
    ),
    "a cap in all": (
        IdentityRules(merges=MergeLimits(in_all=1)),
        ["u:1", "a:x", "a:y", "u:1 a:x", "u:1 a:y"],
        {0: "a:x u:1", 2: "a:y"},
        ["would gain 2 identifiers by merges, more than 1"],
    ),
    "a cap holds for an alias too": (
        IdentityRules(merges=MergeLimits(in_all=1)),
        ["u:1", "u:2 e:b", "u:1 old:2"],
        {0: "a:2 u:1", 1: "e:b u:2"},
        ["more than 1"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(name):
    asked, texts, expected, reasons = CASES[name]
    graph = played(texts, asked)
    assert people(graph) == expected
    found = refused(graph)
    assert len(found) == len(reasons)
    assert all(reason in told for reason, told in zip(reasons, found, strict=True)), found
    again = IdentityGraph.load(graph.dump())
    assert again.dump() == graph.dump()


def test_a_cap_per_hour_lets_merges_in_again_later():
    capped = IdentityRules(merges=MergeLimits(per_hour=1))
    texts = ["u:1", "a:x", "a:y", "u:1 a:x", "u:1 a:y"]
    assert people(played(texts, capped, every=1)) == {0: "a:x u:1", 2: "a:y"}
    assert people(played(texts, capped, every=HOUR)) == {0: "a:x a:y u:1"}


def test_the_same_refusal_is_counted_and_told_once():
    graph = played(["u:1 e:a", *["u:2 e:a"] * 30])
    assert [(each.times, each.one, each.other) for each in graph.book.refused(1)] == [(30, "user_id:2", "email:a")]
    assert len(graph.new_refusals()) == 1


UNMERGED = {
    "each side keeps what it brought": (["u:1", "a:x", "u:1 a:x"], 1, {0: "u:1", 1: "a:x"}),
    "what was linked since goes with its own side": (
        ["u:1", "a:x", "u:1 a:x", "a:x e:a", "u:1 p:1"],
        1,
        {0: "p:1 u:1", 1: "a:x e:a"},
    ),
    "a merge made since stays with the side that it joined": (
        ["u:1", "a:x", "a:y", "u:1 a:x", "a:x a:y"],
        1,
        {0: "u:1", 1: "a:x a:y"},
    ),
    "an inner merge is taken out of the middle": (
        ["u:1", "a:x", "a:y", "a:x a:y", "u:1 a:y"],
        1,
        {0: "a:y u:1", 1: "a:x"},
    ),
    "the known one keeps the number": (["a:x", "u:1", "a:x u:1"], 1, {0: "a:x", 1: "u:1"}),
    "an alias comes apart": (["u:1", "u:2 e:b", "u:1 old:2"], 1, {0: "a:2 u:1", 1: "e:b u:2"}),
}


@pytest.mark.parametrize("name", UNMERGED)
def test_taking_a_merge_back(name):
    texts, number, expected = UNMERGED[name]
    graph = played(texts)
    merge = graph.book.get(number)
    parting = graph.parting(merge.into, number, [])
    assert isinstance(parting, Parting), parting
    graph.part(parting, Offset(10**6), AT)
    assert people(graph) == expected
    assert all(graph.current(person) == person for person in graph.living())
    assert IdentityGraph.load(graph.dump()).dump() == graph.dump()
    assert graph.parting(merge.into, number, []) == f"merge {number} was taken back already"
    [one, other] = [person for person in graph.living()][:2]
    graph.resolve(event("u:1 a:x", 99), Offset(10**7), AT)
    assert len(graph.living()) == len(expected), "they are kept apart"
    graph.merge_by_hand(one, other, Offset(10**8), AT, Said("merge", by="me", reason="one after all"))
    assert len(graph.living()) == len(expected) - 1
    assert not graph.book.apart


TAKEN_OUT = {
    "a leaf": (["u:1 e:a a:x"], ["a:x"], {0: "e:a u:1", 1: "a:x"}),
    "the first": (["a:x e:a u:1"], ["a:x"], {0: "e:a u:1", 1: "a:x"}),
    "two at once stay together": (["u:1 e:a a:x"], ["a:x", "e:a"], {0: "u:1", 1: "a:x e:a"}),
    "a bridge": (["u:1", "a:x", "a:y", "u:1 a:x", "a:x a:y"], ["a:x"], {0: "a:y u:1", 3: "a:x"}),
}


@pytest.mark.parametrize("name", TAKEN_OUT)
def test_taking_identifiers_out(name):
    texts, out, expected = TAKEN_OUT[name]
    graph = played(texts)
    keys = [f"{SHORT[each[0]]}:{each[2:]}" for each in out]
    parting = graph.parting(0, None, keys)
    assert isinstance(parting, Parting), parting
    graph.part(parting, Offset(10**6), AT)
    assert people(graph) == expected
    graph.resolve(event("u:1 e:new", 99), Offset(10**7), AT)
    again = IdentityGraph.load(graph.dump())
    assert again.dump() == graph.dump()


def test_the_door_blocks_orders_and_knows_external_ids():
    told: list[tuple[str, str]] = []

    class Plain:
        def hash(self, kind: str, value: str) -> str:
            return f"hash of {value}"

    naming = IdentityRules(
        priority=["crm", "email", "user_id"],
        kinds={
            "email": KindRule(blocked_patterns=[r".*@test\.shop"]),
            "user_id": KindRule(limit=1, unique=True, blocked=["House"]),
        },
        external=["crm"],
    )

    def names(traits: dict[str, str], user: str = "7") -> list[str]:
        external = [{"type": "crm", "id": "c1"}, {"type": "loyalty", "id": "l1"}]
        named = Named(user_id=user, anonymous_id="a1", traits=traits, external=external)
        found = identifiers_of(named, Source("shop"), Plain(), lambda *word: told.append(word), naming)
        return [f"{one.kind}:{one.value}" for one in found]

    assert names({"email": "ada@shop.example"}) == [
        "crm:c1",
        "email:hash of ada@shop.example",
        "user_id:7",
        "anonymous_id:a1",
    ]
    assert names({"email": "bot@test.shop"}, " house ") == ["crm:c1", "anonymous_id:a1"]
    assert [place for place, _ in told] == ["context.externalIds", "userId", "traits.email", "context.externalIds"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kinds: {email: {limit: 0}}", "limit"),
        ("kinds: {email: {blocked_patterns: ['(']}}", "RE2"),
        ("priority: [email, email]", "twice"),
        ("kinds: {email: {limits: 2}}", "limits"),
        ("merges: {per_day: 3}", "per_day"),
        ("external: [previous_id]", "previous_id"),
    ],
)
def test_a_fault_in_the_file_is_placed(text, said):
    with pytest.raises(InvalidInput) as caught:
        load_project({"identity.yaml": text + "\n"})
    assert said in str(caught.value)
    assert "identity.yaml" in str(caught.value)


def test_the_file_gives_the_rules():
    text = "priority: [email, user_id]\nkinds:\n  email: {limit: 5}\n  crm: {unique: true}\nmerges: {per_hour: 20}\n"
    found = load_project({"identity.yaml": text})
    assert (found.identity.unique, found.identity.limited) == ({"user_id", "crm"}, {"user_id", "email"})
    blocking = load_project({"identity.yaml": "kinds: {user_id: {blocked: [x]}}\n"}).identity
    assert (blocking.unique, blocking.limited) == (DEFAULTS.unique, DEFAULTS.limited) == ({"user_id"}, {"user_id"})
    freed = load_project({"identity.yaml": "kinds: {user_id: {limit: null, unique: false}}\n"}).identity
    assert (freed.unique, freed.limited) == (set(), set())
    sealer = Sealer(KeyRing.generate())
    assert found.ingest_rules(sealer).naming is found.identity
    assert load_project({}).ingest_rules(sealer).naming is None


class Walked(IdentityGraph):
    """Counts the rows that are walked over."""

    steps = 0

    def _rows_of(self, person):
        for row in super()._rows_of(person):
            self.steps += 1
            yield row


@pytest.mark.parametrize("at_limit", ["refuse", "drop_oldest"])
def test_a_limit_walks_nobodys_names_again_for_each_new_one(at_limit):
    graph = Walked()
    graph.rules = rules(anonymous_id=KindRule(limit=20, at_limit=at_limit), crm_id=KindRule(unique=True))
    n = 300
    for number in range(n):
        graph.resolve(event(f"e:hub a:{number} c:{number}", number), Offset(4096 * (number + 1)), AT)
        graph.resolve(event(f"e:hub p:{number}", n + number), Offset(4096 * (n + number + 1)), AT)
    assert graph.steps < 4 * n
    assert len(graph.identifiers(graph.living()[0])) > n


KEPT_COUNT = rules(
    anonymous_id=KindRule(limit=3, at_limit="drop_oldest"), email=KindRule(limit=2), crm_id=KindRule(unique=True)
)
some_event = st.lists(
    st.sampled_from([f"{kind}:{n}" for kind in "ueac" for n in range(5)]), min_size=1, max_size=3, unique=True
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(some_event, st.integers(1, 6), st.tuples(st.integers(0, 4), st.integers(0, 4))), max_size=25))
def test_what_is_remembered_of_limits_is_what_a_walk_finds(steps):
    graph = IdentityGraph()
    graph.rules = KEPT_COUNT
    for number, step in enumerate(steps, 1):
        walked = IdentityGraph.load(graph.dump())
        walked.rules = KEPT_COUNT
        for one in (graph, walked):
            offset = Offset(4096 * number)
            if isinstance(step, list):
                one.resolve(event(" ".join(step), number), offset, AT)
            elif isinstance(step, tuple) and max(step) < one.n_persons:
                one.merge_by_hand(Person(step[0]), Person(step[1]), offset, AT, Said("merge", by="me"))
            elif isinstance(step, int) and (merge := one.book.get(step)) is not None:
                parting = one.parting(merge.into, step, [])
                if isinstance(parting, Parting):
                    one.part(parting, offset, AT)
        assert graph.dump() == walked.dump()


def test_names_past_a_limit_join_again_once_the_newer_ones_are_another_persons():
    dropping = rules(anonymous_id=KindRule(limit=2, at_limit="drop_oldest"))
    graph = played(["u:1 a:1", "e:x a:2", "e:x a:3", "u:1 e:x", "u:1 a:4", "a:8", "a:9"], dropping)
    retired = [graph.key(row) for row in range(7) if graph.is_retired(row)]
    assert retired == ["anonymous_id:1", "anonymous_id:2"]
    parting = graph.parting(0, 1, [])
    assert isinstance(parting, Parting), parting
    graph.part(parting, Offset(10**6), AT)
    assert people(graph) == {0: "a:1 a:4 u:1", 1: "a:2 a:3 e:x", 2: "a:8", 3: "a:9"}
    assert not any(graph.is_retired(row) for row in range(7))
    graph.resolve(event("u:1 a:5", 90), Offset(10**7), AT)
    assert [graph.key(row) for row in range(10) if graph.is_retired(row)] == ["anonymous_id:1"]
