"""Splits by a real engine over real stores: History is brought up to date, and a crash changes nothing."""

from __future__ import annotations

from engine_world import FILES, at, defined, event, world

from mailwright.core.events import Event, Events, Identifier, ListChanged, PersonSplit, Tick
from mailwright.runtime.graphs import Belongings
from mailwright.runtime.past import Past
from mailwright.runtime.rehearsal.replay import InForce, Replay


def anonymous(number, days, total):
    return Event(
        message_id=f"a{number}",
        source="shop",
        type="track",
        name="Order Completed",
        stamp_at=at(days),
        received_at=at(days),
        known_at=at(days),
        identifiers=[Identifier("anonymous_id", "a1")],
        properties={"total": total},
    )


BEFORE = [
    (0, defined(FILES | {"segments.yaml": FILES["segments.yaml"] + "press: {title: Press, rule: in list press}\n"})),
    (0.1, Events([event(1, "ada", properties={"total": 60}), anonymous(1, 0.1, 70)])),
    (0.1, ListChanged(name="press", added=["anonymous_id:a1"])),
    (0.3, Tick()),
    (0.4, Events([event(2, "ada", "Page", days=0.4, also=[Identifier("anonymous_id", "a1")])])),
    (0.5, Tick()),
    (1, Events([anonymous(2, 1, 80), event(3, "ada", "", days=1, traits={"plan": "gold"})])),
    (1.1, Tick()),
]
AFTER = [
    (1.2, PersonSplit(person=0, merge=1, reason="a shared laptop", by="cli")),
    (1.3, Tick()),
    (1.4, Events([anonymous(3, 1.4, 5)])),
    (1.5, Tick()),
]


def test_a_split_reads_what_history_holds_and_replays_to_the_same_after_a_crash(tmp_path):
    with world(tmp_path) as there:
        there.append(BEFORE)
        engine = there.engine(checkpoint_events=10**9)
        with there.running(engine):
            state = there.caught_up(engine)
            assert state.fold.sizes() == {"customers": 1, "recent": 1, "big": 1, "press": 1}
            there.append(AFTER)
            state = there.caught_up(engine)
            assert state.living() == [0, 1]
            assert state.fold.sizes() == {"customers": 2, "recent": 2, "big": 1, "press": 1}
            told = state.state_hash(), state.identity.dump()
        assert not there.failures
        again = there.engine()  # no checkpoint: the whole log once more, and History is ahead of it
        with there.running(again):
            state = there.caught_up(again)
            assert (state.state_hash(), state.identity.dump()) == told
        columns = "kind, number, person, other, one, reason, done_by"
        rows = there.history.query(f'SELECT {columns} FROM merges ORDER BY "offset"')
        assert rows.to_pylist() == [
            {
                "kind": "merge",
                "number": 1,
                "person": 0,
                "other": 1,
                "one": "user_id:ada",
                "reason": "track m2 of shop names user_id:ada and anonymous_id:a1",
                "done_by": "",
            },
            {
                "kind": "split",
                "number": 1,
                "person": 0,
                "other": 1,
                "one": "anonymous_id:a1",
                "reason": "a shared laptop",
                "done_by": "cli",
            },
        ]


def test_history_tells_who_was_who_before_and_after_a_split(tmp_path):
    with world(tmp_path) as there:
        there.append(BEFORE + AFTER)
        engine = there.engine()
        with there.running(engine):
            there.caught_up(engine)
            engine.ask(lambda _: engine.flush_history()).result(30)
        past = Past(there.history)
        merged, parted = (past.graph_at(tick.offset) for tick in past.ticks()[1::3])
        assert merged.current.tolist() == [0, 0]
        assert parted.current.tolist() == [0, 1]
        assert [merge.gone for merge in past.merges(0, past.upto)] == [1], "a split is no merge"
        assert isinstance(past.belongings, Belongings)
        owners = [person for _, person, event in past.arrivals(past.upto) if event.identifiers[0].value == "a1"]
        assert owners == [1, 0, 1], "whose each event was at its own time"
        fold = past.fill(engine.state.project.rules, engine.state.ticked_at, past.upto)
        assert fold.sizes() == engine.state.fold.sizes()


def test_a_rehearsal_over_a_split_says_what_was_said_then(tmp_path):
    with world(tmp_path) as there:
        there.append(BEFORE + AFTER)
        engine = there.engine()
        with there.running(engine):
            there.caught_up(engine)
            engine.ask(lambda _: engine.flush_history()).result(30)
        past = Past(there.history)
        replay = Replay(past, [InForce(offset=0, version=1, rules=engine.state.project.rules)], past.upto)
        replayed = [(tick.offset, change) for tick in past.ticks() for change in replay.evaluate(tick)]
        recorded = sorted((offset, change) for offset, _, change in past.transitions())
        assert replayed == recorded
        assert [change.cause for _, change in recorded].count("split") == 6
