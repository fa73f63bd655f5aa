"""What History tells of the past is what the engine folded, at every record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_world import BLOBS, FILES, MORE_FILES, at, event, fold, records, with_installed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailwright.core.events import (
    AddressSuppressed,
    Body,
    Defined,
    Events,
    Identifier,
    Item,
    Items,
    LogRecord,
    Offset,
    Person,
    Predicted,
    Tick,
)
from mailwright.profiles.identifier_key import identifier_key, identifier_keys
from mailwright.rules.fold import Arrival, Fold
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.graphs import KeyTable
from mailwright.runtime.past import Past
from mailwright.runtime.project.load import load_project
from mailwright.stores.history_delta import DeltaHistory


def written(folder: Path, log: Sequence[LogRecord], chunk: int = 50_000) -> tuple[Past, Folded, EngineState]:
    """The log folded and written to History."""
    state, folded = fold(log)
    history = DeltaHistory(folder)
    writer = HistoryWriter(history, chunk_rows=chunk)
    writer.add(folded, state.upto)
    writer.flush()
    writer.stop()
    return Past(history), folded, state


def as_kept(arrivals: Sequence[Any]) -> list[Arrival]:
    """Folded events as History has them: with their first identifier alone."""
    return [
        Arrival(offset, person, msgspec.structs.replace(each, identifiers=each.identifiers[:1]))
        for offset, _, person, each in arrivals
    ]


KINDS = st.sampled_from(("user_id", "email", "anonymous_id"))
IDENTIFIERS = st.lists(st.builds(Identifier, KINDS, st.sampled_from("abc")), min_size=1, max_size=3)


@st.composite
def logs(draw: st.DrawFn) -> list[LogRecord]:
    """Records whose events join people over and over."""
    named = draw(st.lists(IDENTIFIERS, min_size=1, max_size=14))
    events = []
    for number, identifiers in enumerate(named):
        made = event(number, "x", draw(st.sampled_from(("Order Completed", "Product Viewed", ""))), days=number)
        alias = len(identifiers) > 1 and draw(st.booleans())
        if alias:
            identifiers = [identifiers[0], Identifier("previous_id", identifiers[-1].value)]
        kind = "alias" if alias else made.type
        events.append(msgspec.structs.replace(made, identifiers=identifiers, type=kind))
    size = draw(st.integers(1, 4))
    bodies: list[tuple[float, Body]] = [(0, Defined(1, FILES))]
    for start in range(0, len(events), size):
        bodies += [(start + size, Events(events[start : start + size])), (start + size, Tick())]
    return records(bodies)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs())
def test_the_graph_of_any_record_is_the_one_the_engine_had(
    tmp_path_factory: pytest.TempPathFactory, log: list[LogRecord]
) -> None:
    past, _, _ = written(tmp_path_factory.mktemp("history"), log)
    before, state = Offset(0), None
    for record in log:
        state, _ = fold([record], state) if state else fold(log[:1])
        identity = state.identity
        graph = past.graph_at(state.upto)
        assert graph.n_persons == identity.n_persons
        assert graph.current.tolist() == [identity.current(n) for n in range(identity.n_persons)]
        assert graph.first_identifiers() == [identity.first_identifier(n) for n in range(identity.n_persons)]
        texts = [(f"{kind}:{value}", Identifier(kind, value)) for kind in ("user_id", "email") for value in "abc"]
        known = [identity.number_of(each) for _, each in texts]
        found = graph.persons_of(identifier_keys([text for text, _ in texts]))
        assert found.tolist() == [-1 if person is None else person for person in known]
        owned = [len(identity.identifiers(n)) for n in range(identity.n_persons)]
        keys, persons = graph.keys_of(np.arange(graph.n_persons))
        assert np.bincount(persons, minlength=graph.n_persons).tolist() == owned
        assert sorted(keys.tolist()) == sorted(
            identifier_key(f"{each.kind}:{each.value}")
            for n in range(identity.n_persons)
            for each in identity.identifiers(n)
        )
        before = state.upto
    assert before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs())
def test_events_come_back_with_the_person_they_went_to(
    tmp_path_factory: pytest.TempPathFactory, log: list[LogRecord]
) -> None:
    past, folded, state = written(tmp_path_factory.mktemp("history"), log)
    told = as_kept(folded.events)
    assert list(past.arrivals(state.upto)) == told
    graph = past.graph_at(state.upto)
    now = [each._replace(person=state.identity.current(each.person)) for each in told]
    assert list(past.arrivals(state.upto, graph=graph)) == now
    someone = np.array([now[0].person])
    assert list(past.arrivals(state.upto, graph=graph, persons=someone)) == [a for a in now if a.person == someone[0]]
    half = told[len(told) // 2].offset
    assert list(past.arrivals(half)) == [a for a in told if a.offset <= half]
    assert list(past.arrivals(state.upto, after=half)) == [a for a in told if a.offset > half]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs())
def test_merges_are_those_that_the_engine_made(tmp_path_factory: pytest.TempPathFactory, log: list[LogRecord]) -> None:
    past, _, state = written(tmp_path_factory.mktemp("history"), log)
    fresh, expected = EngineState(BLOBS.get), []
    for record in log:
        for place, each in enumerate(record.body.events if isinstance(record.body, Events) else []):
            offset = Offset(record.offset + place)
            expected += [(offset, m.into, m.gone) for m in fresh.identity.resolve(each, offset).merges]
    assert [tuple(each) for each in past.merges(Offset(0), state.upto)] == expected
    for offset, *_ in expected[:1]:
        assert [tuple(each) for each in past.merges(offset, state.upto)] == [e for e in expected if e[0] > offset]
        assert [tuple(each) for each in past.merges(Offset(0), offset)] == [e for e in expected if e[0] <= offset]


def story() -> list[LogRecord]:
    bodies = [
        (0, Defined(1, FILES)),
        (1, Items([Item(catalog="products", item_id="p", stamp_at=at(0), facts={"price": 3})])),
        (1, Events([event(1, "ana", days=1)])),
        (1, Tick()),
        (2, Defined(2, MORE_FILES)),
        (2, Predicted("m", 1, "blob")),
        (2, AddressSuppressed("hash", "bounce", at(2))),
        (3, Events([event(2, "ben", days=0, history=True), event(3, "ana", days=3)])),
        (5, Tick()),
    ]
    return records(with_installed(bodies, len(bodies) - 1, 4))


def test_ticks_changes_and_definitions(tmp_path: Path) -> None:
    log = story()
    past, folded, state = written(tmp_path, log)
    ticks = [record for record in log if isinstance(record.body, Tick)]
    assert [tuple(tick) for tick in past.ticks()] == [(tick.offset, tick.at) for tick in ticks]
    assert past.ticks(after=ticks[0].offset)[0].offset == ticks[1].offset
    assert past.ticks(upto=ticks[0].offset)[-1].offset == ticks[0].offset
    assert [past.offset_at(at(day)) for day in (0, 1, 4, 5, 6)] == [0, *[tick.offset for tick in ticks for _ in "ab"]]
    assert [tuple(change) for change in past.transitions()] == folded.changes
    assert {change.change.segment for change in past.transitions("recent")} == {"recent"}
    assert past.definition_at(at(0)) is None
    assert [past.definition_at(at(day)).version for day in (1, 4, 5)] == [1, 1, 2]
    assert past.definition_at(at(6)).files == MORE_FILES
    assert past.catalog_at(state.upto).dump() == state.catalog.dump()
    assert past.catalog_at(Offset(1)).count() == 0


def test_every_other_record_is_kept(tmp_path: Path) -> None:
    written(tmp_path, story())
    rows = DeltaHistory(tmp_path).query("SELECT kind, body FROM records ORDER BY kind").to_pylist()
    assert [row["kind"] for row in rows] == ["installed", "predicted", "suppressed"]
    assert rows[1:] == [
        {"kind": "predicted", "body": '{"model":"m","version":1,"blob":"blob"}'},
        {"kind": "suppressed", "body": f'{{"address_hash":"hash","reason":"bounce","told_at":{at(2)}}}'},
    ]


def test_a_moment_before_a_later_import_is_reconstructed(tmp_path: Path) -> None:
    past, folded, _ = written(tmp_path, story())
    first, second, third = (offset for offset, *_ in folded.events)
    before = past.as_of(at(1))
    assert (before.reconstructed, before.offset, before.graph_offset) == (True, past.offset_at(at(1)), second)
    assert [arrival.offset for arrival in past.arrivals_as_of(before)] == [first, second]
    now = past.as_of(at(6))
    assert (now.reconstructed, now.graph_offset) == (False, now.offset)
    assert [arrival.offset for arrival in past.arrivals_as_of(now)] == [first, second, third]


def test_nothing_happened_yet(tmp_path: Path) -> None:
    past = Past(DeltaHistory(tmp_path))
    assert (past.upto, past.ticks(), past.transitions("x"), past.definition_at(at(1))) == (0, [], [], None)
    assert (list(past.arrivals(Offset(9))), past.graph_at(Offset(9)).n_persons) == ([], 0)
    assert past.as_of(at(1)).reconstructed is False
    assert past.graph_at(Offset(9)).first_identifiers() == []


def test_identifier_keys_are_one_number_however_asked() -> None:
    assert identifier_keys(["a:1", "b:2", "a:1"]).tolist() == [identifier_key(each) for each in ("a:1", "b:2", "a:1")]
    assert identifier_key("email:x") == -5092714556594394108


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs(), st.integers(0, 20), st.booleans())
def test_filled_from_history_it_is_the_fold_of_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, log: list[LogRecord], days: int, typed: bool
) -> None:
    folder = tmp_path_factory.mktemp("history")
    past, _, state = written(folder, log if typed else records([(0, Tick()), *[(1, r.body) for r in log[1:]]]))
    rules = load_project(FILES).rules
    ends = [state.upto, log[len(log) // 2].offset]
    for upto in ends:
        graph = past.graph_at(upto)
        filled = past.fill(rules, at(days), upto)
        expected = Fold(rules, state.catalog)
        expected.ingest(list(past.arrivals(upto, graph=graph)))
        expected.tick(at(days), graph.first_identifiers())
        assert filled.state_hash() == expected.state_hash()
        leaves = expected.leaves()[::2]
        part = past.fill(rules, at(days), upto, leaves=leaves)
        assert part.leaves() == leaves
        some = np.arange(graph.n_persons) % 2 == 0
        fewer = Fold(rules, state.catalog)
        fewer.ingest(list(past.arrivals(upto, graph=graph, persons=np.flatnonzero(some))))
        fewer.tick(at(days), graph.first_identifiers())
        assert past.fill(rules, at(days), upto, persons=some).state_hash() == fewer.state_hash()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True), st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_a_key_table_finds_every_key_and_no_other(known: list[int], asked: list[int]) -> None:
    collide = [key & ~0xFFF for key in known]  # many keys that want one place
    known = list(dict.fromkeys([*known, *collide]))
    table = KeyTable(np.array(known, dtype=np.int64), np.arange(len(known)))
    keys = [*known, *asked, *(key ^ 1 for key in known)]
    places = {key: place for place, key in enumerate(known)}
    assert table.persons_of(np.array(keys, dtype=np.int64)).tolist() == [places.get(key, -1) for key in keys]


def test_what_rules_read_gets_columns_from_its_definition_on(tmp_path: Path) -> None:
    before = records([(0, Events([event(1, "ana", properties={"total": 5})])), (0, Tick())])
    state, folded = fold(before)
    writer = HistoryWriter(DeltaHistory(tmp_path))
    writer.add(folded, state.upto)
    writer.flush()
    log = [*before, *records([(0, Tick()), (0, Tick()), (1, Defined(1, FILES)), (1, Tick())])[2:]]
    _, told = fold(log, state)
    writer.add(told, state.upto)
    writer.stop()
    # One more process, which knows the definition from History alone.
    writer = HistoryWriter(DeltaHistory(tmp_path))
    later = [event(2, "ana", properties={"total": 5.5}), event(3, "ana", properties={"total": [1]})]
    _, told = fold([*log, LogRecord(5, at(2), Events(later))], state)
    writer.add(told, state.upto)
    writer.stop()
    rows = DeltaHistory(tmp_path).query('SELECT kind_total, number_total FROM events ORDER BY "offset"').to_pylist()
    assert [tuple(row.values()) for row in rows] == [(None, None), (2, 5_500_000), (5, None)]
    past = Past(DeltaHistory(tmp_path))
    filled = past.fill(load_project(FILES).rules, at(3), past.upto)
    assert filled.attribute("spend", [Person(0)]) == [11.5]
