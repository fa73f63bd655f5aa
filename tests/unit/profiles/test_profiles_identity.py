"""Who is who: tables of merge cases, and what must hold for any sequence of events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.ingest.identifiers import PREVIOUS as PREVIOUS_AT_THE_DOOR
from mailwright.profiles.identity import PREVIOUS, Belonging, IdentityGraph, key_of

SHORT = {"u": "user_id", "e": "email", "p": "phone", "a": "anonymous_id", "c": "crm_id", "old": "previous_id"}


def named(text):
    """``u:1 a:x`` as identifiers."""
    return [Identifier(SHORT[kind], value) for kind, value in (each.split(":") for each in text.split())]


def event(text, kind="track"):
    at = Instant(0)
    return Event(
        message_id="m", source="shop", type=kind, stamp_at=at, received_at=at, known_at=at, identifiers=named(text)
    )


def played(texts):
    """A graph after events; an alias is marked by its ``old:``. Returns it with each event's (person, merges)."""
    graph = IdentityGraph()
    told = []
    for place, text in enumerate(texts):
        resolution = graph.resolve(event(text, "alias" if "old:" in text else "track"), Offset(place + 1))
        told.append((resolution.person, [(merge.into, merge.gone) for merge in resolution.merges]))
    return graph, told


CASES = {
    "numbers are given in order of first appearance": (
        ["u:1", "a:x", "u:1", "u:2"],
        [(0, []), (1, []), (0, []), (2, [])],
    ),
    "a new identifier is linked": (["u:1", "u:1 e:a", "e:a"], [(0, []), (0, []), (0, [])]),
    "a new user_id takes the anonymous person over": (["a:x", "u:1 a:x", "u:1"], [(0, []), (0, []), (0, [])]),
    "an anonymous person joins the known one": (
        ["u:1", "a:x", "u:1 a:x", "a:x"],
        [(0, []), (1, []), (0, [(0, 1)]), (0, [])],
    ),
    "the known one survives though its number is higher": (
        ["a:x", "u:1", "u:1 a:x"],
        [(0, []), (1, []), (1, [(1, 0)])],
    ),
    "two anonymous people: the lower number survives": (["a:x", "e:a", "e:a a:x"], [(0, []), (1, []), (0, [(0, 1)])]),
    "the known one survives as second identifier too": (
        ["e:a", "u:1 a:x", "e:a a:x"],
        [(0, []), (1, []), (1, [(1, 0)])],
    ),
    "a shared e-mail joins no two users": (["u:1 e:a", "u:2 e:a", "e:a"], [(0, []), (1, []), (0, [])]),
    "a shared browser joins no two users": (["u:1 a:x", "u:2 a:x", "a:x"], [(0, []), (1, []), (0, [])]),
    "the newest link takes nothing": (
        ["u:1", "u:2", "u:1 a:x", "u:2 a:x", "a:x"],
        [(0, []), (1, []), (0, []), (1, []), (0, [])],
    ),
    "one event joins several": (
        ["e:a", "a:x", "c:7", "u:1 e:a a:x c:7"],
        [(0, []), (1, []), (2, []), (0, [(0, 1), (0, 2)])],
    ),
    "after a refused join the rest is still read": (["u:1 e:a", "a:x", "u:2 e:a a:x"], [(0, []), (1, []), (1, [])]),
    "alias merges an anonymous person": (["a:x", "u:1", "u:1 old:x"], [(0, []), (1, []), (1, [(1, 0)])]),
    "alias merges users": (["u:0", "u:1", "u:1 old:0", "u:0"], [(0, []), (1, []), (1, [(1, 0)]), (1, [])]),
    "alias of an unknown name waits for it": (["u:1 old:x", "a:x", "u:x"], [(0, []), (0, []), (0, [])]),
    "alias to an unknown user": (["u:0", "u:1 old:0"], [(0, []), (1, [(1, 0)])]),
    "alias twice changes nothing": (["a:x", "u:1 old:x", "u:1 old:x"], [(0, []), (1, [(1, 0)]), (1, [])]),
    "alias to itself changes nothing": (["u:1", "u:1 old:1"], [(0, []), (0, [])]),
}


@pytest.mark.parametrize("name", CASES)
def test_merge_cases(name):
    texts, expected = CASES[name]
    assert played(texts)[1] == expected


def test_the_door_and_the_graph_agree_on_the_old_name():
    assert PREVIOUS == PREVIOUS_AT_THE_DOOR


def test_reading_the_graph():
    graph, _ = played(["a:x", "u:1 e:a", "u:1 a:x", "u:2"])
    assert (graph.n_persons, graph.n_living) == (3, 2)
    assert [graph.current(Person(n)) for n in range(3)] == [1, 1, 2]
    assert graph.number_of(Identifier("anonymous_id", "x")) == 1
    assert graph.number_of(Identifier("anonymous_id", "y")) is None
    assert graph.identifiers(Person(1)) == named("u:1 e:a a:x")
    assert graph.identifiers(Person(0)) == []
    assert graph.first_identifier(Person(0)) == graph.first_identifier(Person(1)) == "user_id:1"
    for number in (-1, 3):
        with pytest.raises(IndexError, match="never given"):
            graph.current(Person(number))


def test_a_merge_says_why():
    graph, _ = played(["u:1", "a:x"])
    [merge] = graph.resolve(event("u:1 a:x"), Offset(9)).merges
    assert merge.reason == "track m of shop names user_id:1 and anonymous_id:x"


def test_an_event_of_nobody_stops():
    with pytest.raises(Corrupt, match="no identifier"):
        IdentityGraph().resolve(event(""), Offset(1))


def test_values_may_hold_colons():
    graph = IdentityGraph()
    told = Identifier("user_id", "a:b:c")
    at = Instant(0)
    graph.resolve(
        Event(message_id="m", source="s", type="track", stamp_at=at, received_at=at, known_at=at, identifiers=[told]),
        Offset(1),
    )
    assert graph.identifiers(Person(0)) == [told]


def test_belonging_rows_open_and_close():
    graph, _ = played(["a:x", "u:1", "u:1 a:x"])
    assert graph.belonging_changes() == [
        Belonging("anonymous_id:x", 0, 1, None),
        Belonging("user_id:1", 1, 2, None),
        Belonging("anonymous_id:x", 0, 1, 3),
        Belonging("anonymous_id:x", 1, 3, None),
    ]
    assert graph.belonging_changes() == []


# --- any sequence ----------------------------------------------------------------------------------------------------

names = st.sampled_from([f"{kind}:{n}" for kind in "ueac" for n in range(4)])


def order_of(name):
    return "ueac".index(name[0])


one_event = st.lists(names, min_size=1, max_size=4, unique=True).map(lambda each: " ".join(sorted(each, key=order_of)))
one_alias = st.builds("u:{} old:{}".format, st.integers(0, 3), st.integers(0, 3))
sequences = st.lists(one_event, max_size=25) | st.lists(one_event | one_alias, max_size=25)


def partition(graph):
    """The living people as sets of identifiers."""
    return {frozenset(map(key_of, graph.identifiers(Person(n)))) for n in range(graph.n_persons)} - {frozenset()}


@settings(max_examples=100, deadline=None)
@given(sequence=sequences, cut=st.integers(0, 25))
def test_what_holds_after_any_sequence(sequence, cut):
    graph, told = played(sequence)
    living = {graph.current(Person(n)) for n in range(graph.n_persons)}
    assert len(living) == graph.n_living
    for place, (person, merges) in enumerate(told):
        first = named(sequence[place])[0]
        assert graph.number_of(first) == graph.current(person)
        assert all(into != gone and graph.current(gone) == graph.current(into) for into, gone in merges)
    for person in living:
        assert all(graph.number_of(each) == person for each in graph.identifiers(person))
    if not any("old:" in text for text in sequence):
        assert all(sum(each.kind == "user_id" for each in graph.identifiers(person)) <= 1 for person in living)
    assert graph.living() == sorted(living)
    assert all(graph.firsts[person] == graph.first_identifier(person) for person in living)
    assert replayed_with_reload(sequence, cut).dump() == graph.dump()
    assert_belonging_is_a_history(graph, sequence, told)


@settings(max_examples=100, deadline=None)
@given(sequence=sequences, cut=st.integers(0, 25))
def test_the_quick_answer_is_the_full_one_and_a_frozen_graph_stays_as_it_was(sequence, cut):
    quick, full, frozen, before = IdentityGraph(), Thorough(), None, b""
    for place, text in enumerate(sequence):
        if place == cut:
            frozen, before = quick.freeze(), quick.dump()
        told = event(text, "alias" if "old:" in text else "track")
        one, other = quick.resolve(told, Offset(place + 1)), full.resolve(told, Offset(place + 1))
        assert (one.person, list(one.merges)) == (other.person, list(other.merges))
    assert quick.dump() == full.dump()
    assert frozen is None or frozen() == before


class Thorough(IdentityGraph):
    """Looks at every event in full."""

    def known(self, event):
        return None


def replayed_with_reload(sequence, cut):
    graph = IdentityGraph()
    for place, text in enumerate(sequence):
        if place == cut:
            graph = IdentityGraph.load(graph.dump())
        if graph.n_persons:
            graph.current(Person(graph.n_persons - 1))  # reading must leave no trace
        graph.resolve(event(text, "alias" if "old:" in text else "track"), Offset(place + 1))
    return graph


def assert_belonging_is_a_history(graph, sequence, told):
    """Joining rows by first identifier and offset gives the person that each event was resolved to."""
    rows = {}
    for row in graph.belonging_changes():
        rows[row.identifier, row.from_offset, row.person] = row
    for place, text in enumerate(sequence):
        at = place + 1
        found = {
            row.person
            for row in rows.values()
            if row.identifier == key_of(named(text)[0])
            and row.from_offset <= at
            and (row.to_offset is None or at < row.to_offset)
        }
        assert found == {told[place][0]}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_links_without_contradiction_give_the_same_people_in_any_order(data):
    """True people have one user_id at most; events name their own identifiers: connected components."""
    links = []
    for n in range(data.draw(st.integers(1, 4))):
        own = [f"u:{n}"] * data.draw(st.booleans()) + [f"{kind}:{n}{m}" for kind in "eac" for m in range(2)]
        for pair in data.draw(
            st.lists(st.lists(st.sampled_from(own), min_size=1, max_size=3, unique=True), max_size=8)
        ):
            links.append(" ".join(sorted(pair, key=order_of)))
    shuffled = data.draw(st.permutations(links))
    assert partition(played(shuffled)[0]) == partition(played(links)[0]) == components(links)


def components(links):
    people = []
    for link in links:
        keys = {key_of(each) for each in named(link)}
        touched = [each for each in people if each & keys]
        people = [each for each in people if not each & keys] + [keys.union(*touched)]
    return set(map(frozenset, people))


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x92\x96\x02\x90\xc4\x00\xc4\x00\xc4\x00\xc4\x00\xc4\x00"])
def test_torn_bytes_are_refused(data):
    with pytest.raises(Corrupt):
        IdentityGraph.load(data)
