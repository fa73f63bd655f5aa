"""Un-merging is exact: with events in between, in any cut, after a checkpoint, whatever the rules."""

from __future__ import annotations

from engine_world import BLOBS, DAY, at
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from split_world import Told, gone_back, told

from mailwright.core.events import (
    ClockMoved,
    Defined,
    Event,
    Events,
    Identifier,
    Installed,
    ListChanged,
    LogRecord,
    Offset,
    PeopleMerged,
    Person,
    PersonSplit,
    Tick,
)
from mailwright.core.instants import Instant
from mailwright.core.presence import is_sign_of_life
from mailwright.rules.fold import Arrival, Fold
from mailwright.runtime.engine.installing import packed_past
from mailwright.runtime.engine.rerun import lives_of, relived
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.runtime.project.load import load_project

FILES = {
    "mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "Europe/Berlin"\n',
    "attributes.yaml": (
        "orders: {title: Orders, value: count of 'Order Completed'}\n"
        "spend: {title: Spend, value: sum of 'Order Completed'.total within 3 days}\n"
        "dearest: {title: Dearest, value: max of 'Order Completed'.total}\n"
        "mean: {title: Mean, value: average of 'Order Completed'.total}\n"
        "latest: {title: Latest, value: last of 'Order Completed'.total}\n"
        "usual: {title: Usual, value: most frequent of 'Order Completed'.total}\n"
        "kinds: {title: Kinds, value: last 3 distinct of 'Order Completed'.total}\n"
        "visits: {title: Visits, value: count of sessions with gap 30 minutes}\n"
        "since: {title: Since, value: time since last 'Order Completed'}\n"
        "score: {title: Score, value: \"score {'Order Completed': 5} half-life 30 days\"}\n"
    ),
    "segments.yaml": (
        "customers: {title: Customers, rule: orders >= 1}\n"
        "quiet: {title: Quiet, rule: not did 'Order Completed' within 2 days}\n"
        "big: {title: Big, rule: spend > 100 and in segment customers}\n"
        "regular: {title: Regular, rule: has been in segment customers for 2 days}\n"
        "vip: {title: VIP, rule: trait plan = 'gold'}\n"
        "press: {title: Press, rule: in list press}\n"
        "busy: {title: Busy, rule: did 'Order Completed' at least 2 times today or local hour > 20}\n"
    ),
}
LATER = FILES | {
    "segments.yaml": FILES["segments.yaml"].replace("spend > 100", "spend > 60")
    + "loyal: {title: Loyal, rule: orders >= 3}\n"
    + "pages: {title: Pages, rule: did 'Page Seen' at least 2 times within 4 days}\n",
}
LIMITED = FILES | {
    "identity.yaml": (
        "kinds:\n  anonymous_id: {limit: 1, at_limit: drop_oldest}\n  email: {limit: 1, at_limit: drop_oldest}\n"
        "merges: {per_hour: 4}\n"
    )
}
NAMES = ["user_id:u1", "user_id:u2", "user_id:u3", "email:e1", "email:e2", "anonymous_id:a1", "anonymous_id:a2"]


ZONES = ["America/New_York", None, "Asia/Tokyo", "Tokyo", "Pacific/Apia"]


def identifier(name: str) -> Identifier:
    kind, _, value = name.partition(":")
    return Identifier(kind, value)


def call(number: int, day: float, names: list[str], what: str, total: int, kind: str = "") -> Event:
    late = at(day) - (DAY if total % 3 == 0 else 0)  # some come late, some are of tomorrow
    stamp = Instant(late + (DAY if total % 7 == 0 else 0))
    identify = what == "identify"
    return Event(
        message_id=f"m{number}",
        source="shop",
        type=kind or ("identify" if identify else "track"),
        name="" if identify or kind else what,
        stamp_at=stamp,
        received_at=at(day),
        known_at=at(day),
        identifiers=[identifier(name) for name in names],
        properties={} if identify or kind else {"total": total},
        traits={"plan": "gold" if total % 2 else "none", "timezone": ZONES[total % len(ZONES)]} if identify else {},
        context={"timezone": ZONES[total // 5 % len(ZONES)]} if total % 5 == 0 else {},
    )


one_name = st.lists(st.sampled_from(NAMES), min_size=1, max_size=1)
some_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
totals = st.integers(1, 80)
whats = st.sampled_from(["Order Completed", "Order Completed", "Page Seen", "identify"])


def steps(names: st.SearchStrategy[list[str]], *, by_hand: bool) -> st.SearchStrategy[list[tuple]]:
    """What may happen, one step a third of a day."""
    events = st.tuples(st.just("event"), names, whats, totals)
    lists = st.tuples(st.just("list"), st.sampled_from(NAMES), st.booleans())
    ticks = st.tuples(st.just("tick"))
    kinds = [events, events, events, ticks, lists]
    if by_hand:
        kinds.append(st.tuples(st.just("alias"), st.sampled_from(NAMES[:3]), st.sampled_from(NAMES[:3])))
        kinds.append(st.tuples(st.just("merge"), st.integers(0, 5), st.integers(0, 5)))
        kinds.append(st.tuples(st.just("unmerge"), st.integers(0, 9)))
        kinds.append(st.tuples(st.just("take_out"), st.sampled_from(NAMES)))
        kinds += [st.tuples(st.just("define")), st.tuples(st.just("install"))]
    return st.lists(st.one_of(kinds), max_size=14)


class Log:
    """A log that grows step by step, so that a step may name what stands in the state."""

    def __init__(self, files: dict[str, str] = FILES, *, merges: bool = True) -> None:
        self.history = Told()
        self.state: EngineState = told([], history=self.history)
        self.records: list[LogRecord] = []
        self.merges = merges
        self.version = 1
        self.add(Defined(version=1, files=files))

    def add(self, *bodies: object) -> None:
        for body in bodies:
            number = len(self.records) + 1
            record = LogRecord(number, at(number / 3), body)  # type: ignore[arg-type]
            self.records.append(record)
            self.state.apply(record, self.history.folded)

    def play(self, all_steps: list[tuple]) -> None:
        for step in all_steps:
            self.step(step)

    def step(self, step: tuple) -> None:
        number = len(self.records) + 1
        graph = self.state.identity
        match step:
            case ("event", names, what, total):
                self.add(Events([call(number, number / 3, names, what, total)]))
            case ("alias", name, old) if name != old:
                made = call(number, number / 3, [name], "", 1, "alias")
                made.identifiers.append(Identifier("previous_id", old.partition(":")[2]))
                self.add(Events([made]))
            case ("tick",):
                self.add(Tick())
            case ("list", name, added):
                self.add(ListChanged(name="press", **{"added" if added else "removed": [name]}))
            case ("merge", one, other):
                self.add(PeopleMerged(one=one, other=other, reason="by hand", by="test"))
            case ("unmerge", n) if len(graph.book):
                merge = graph.book.get(n % len(graph.book) + 1)
                assert merge is not None
                self.add(PersonSplit(person=graph.current(merge.into), merge=merge.number, by="test"))
            case ("take_out", name) if (person := graph.number_of(identifier(name))) is not None:
                self.add(PersonSplit(person=person, identifiers=[name], by="test"))
            case ("define",):
                self.version += 1
                self.add(Defined(version=self.version, files=LATER if self.version % 2 == 0 else FILES))
                self.past_blob = self.packed()
            case ("install",) if (underway := self.state.underway) is not None:
                self.add(Installed(version=underway.version, defined=underway.defined, blob=self.past_blob))

    def packed(self) -> str:
        """What the job makes of everything before the newest definition, with the people as they were then."""
        if self.state.underway is None:
            return ""
        order, graph = self.state.underway.order, self.state.identity
        keys = list(graph._keys)
        fold = Fold.of_leaves(load_project(order.files).rules, self.state.catalog, order.leaves)
        told = self.history.past(keys, Offset(order.upto + 1)).events
        owners = ((offset, graph.number_of(event.identifiers[0]), event) for offset, event in told)
        fold.ingest([Arrival(offset, person, event) for offset, person, event in owners if person is not None])
        if order.counted_at is not None:
            fold.count(order.counted_at, graph.n_persons)
        return BLOBS.put(packed_past(fold.freeze()))


def consistent(state: EngineState, history: Told) -> None:
    """Everything kept of everybody is what the events of their identifiers make, and nothing else."""
    graph, before = state.identity, Offset(state.upto + 1)
    living = graph.living()
    keys = [f"{each.kind}:{each.value}" for person in living for each in graph.identifiers(person)]
    assert sorted(keys) == sorted(graph._keys)
    lives = lives_of(graph, living)
    fresh = relived(state.fold.like(), lives, history.past(keys, before), before=before)
    people = [Person(number) for number in lives.numbers]
    if state.ticked_at is not None:
        fresh.count(state.ticked_at, len(people))
    for name in state.project.attributes:
        expected = dict(zip(people, fresh.attribute(name, range(len(people))), strict=True))
        found = dict(zip(people, state.fold.attribute(name, people), strict=True))
        assert {p: found[p] for p in living} == {p: expected[p] for p in living}, name
    for person in living:
        mine = {f"{each.kind}:{each.value}" for each in graph.identifiers(person)}
        events = [each for _, each in history.past(mine, before).events]
        profile = state.profiles.view(person)
        assert profile.n_events == len(events)
        assert profile.last_seen_at == max(
            (each.stamp_at for each in events if is_sign_of_life(each)), default=profile.first_seen_at
        )
    assert {person for person in range(graph.n_persons) if graph.current(Person(person)) == person} == set(living)
    for name, size in state.fold.sizes().items():
        assert size == int(state.fold.members(name).sum())


BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@BOUNDED
@given(steps(some_names, by_hand=True))
def test_any_history_leaves_everybody_with_what_their_identifiers_did(all_steps):
    log = Log()
    log.play(all_steps)
    log.step(("install",))
    log.add(Tick())
    consistent(log.state, log.history)


@BOUNDED
@given(steps(some_names, by_hand=True), st.data())
def test_a_checkpoint_anywhere_and_a_history_that_is_ahead_change_nothing(all_steps, data):
    log = Log()
    log.play(all_steps)
    log.add(Tick())
    at_tick = [record.number for record in log.records if isinstance(record.body, Tick)]
    stop = data.draw(st.sampled_from(at_tick))
    state = told(log.records[:stop], history=Told())
    again = gone_back(state, log.history)  # which holds all that came later too
    changes = Folded()
    for record in log.records[stop:]:
        again.apply(record, changes)
    assert again.state_hash() == log.state.state_hash()
    assert again.identity.dump() == log.state.identity.dump()
    assert dict(again.freeze().parts()).keys() == dict(log.state.freeze().parts()).keys()


@BOUNDED
@given(
    before=steps(one_name, by_hand=False),
    between=steps(one_name, by_hand=False),
    after=steps(one_name, by_hand=False),
    pair=st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True).filter(
        lambda names: not all(name.startswith("user_id") for name in names)
    ),
    how=st.sampled_from(["event", "hand"]),
    files=st.sampled_from([FILES, LIMITED]),
)
def test_what_was_merged_and_taken_back_never_was(before, between, after, pair, how, files):
    merged, plain = Log(files), Log(files)
    for log in (merged, plain):
        for name in NAMES:  # everybody is known, so that later events teach nothing
            log.step(("event", [name], "Page Seen", 1))
        log.play(before)
    total = 8
    one, other = (merged.state.identity.number_of(identifier(name)) for name in pair)
    if how == "event":
        merged.step(("event", pair, "Order Completed", total))
        plain.step(("event", pair[:1], "Order Completed", total))
    else:
        merged.step(("merge", one, other))
        plain.add(ClockMoved())
    assume(len(merged.state.identity.book))  # a limit may have refused it
    [number] = range(1, len(merged.state.identity.book) + 1)
    for log in (merged, plain):
        log.play(between)
    assert merged.state.identity.n_living == plain.state.identity.n_living - 1
    merged.add(PersonSplit(person=merged.state.identity.current(one), merge=number, reason="wrong", by="test"))
    plain.add(ClockMoved())
    assert merged.state.state_hash() == plain.state.state_hash()
    for log in (merged, plain):
        log.play(after)
        log.add(Tick())
    assert merged.state.state_hash() == plain.state.state_hash()
    announced: dict[tuple[int, str], bool] = {}
    for _, _, change in merged.history.folded.changes:
        assert announced.get((change.person, change.segment), False) != change.entered, change
        announced[change.person, change.segment] = change.entered
    for name in plain.state.project.segments:
        members = {person for (person, segment), inside in announced.items() if inside and segment == name}
        assert members == set(plain.state.fold.members(name).nonzero()[0].tolist())


def test_a_version_on_its_way_gets_people_who_were_parted_meanwhile():
    log = Log()
    for name in ("user_id:u1", "anonymous_id:a1"):
        log.play([("event", [name], "Page Seen", 1), ("event", [name], "Page Seen", 2), ("tick",)])
    log.play([("event", ["user_id:u1", "anonymous_id:a1"], "Page Seen", 4), ("tick",), ("define",)])
    assert log.state.underway
    log.play([("event", ["anonymous_id:a1"], "Page Seen", 5), ("unmerge", 0), ("tick",)])
    again, defined = gone_back(log.state, log.history), log.state.underway.defined
    for state in (log.state, again):
        state.apply(
            LogRecord(len(log.records) + 1, at(9), Installed(version=2, defined=defined, blob=log.past_blob)),
            Folded(),
        )
        state.apply(LogRecord(len(log.records) + 2, at(9.1), Tick()), Folded())
        consistent(state, log.history)
    assert again.state_hash() == log.state.state_hash()


def said_by(who: str, *pairs: tuple[int, int]) -> list[PeopleMerged]:
    return [PeopleMerged(one=one, other=other, reason="alike", by=who) for one, other in pairs]


def refusals(log: Log) -> list[tuple[str, str]]:
    return [(row.reason, row.done_by) for row in log.history.folded.merges if row.kind == "refused"]


def test_the_audit_joins_no_two_accounts_through_somebody_without_one():
    log = Log()
    log.play([("event", [name], "Page Seen", 1) for name in ("user_id:u1", "anonymous_id:a1", "user_id:u2")])
    log.add(*said_by("audit", (0, 1), (1, 2)))
    assert log.state.identity.living() == [0, 2]
    assert refusals(log) == [("#0 and #2 each have a user_id", "audit")]
    log.add(*said_by("anna", (1, 2)))
    assert log.state.identity.living() == [0], "a person may"


def test_the_audit_leaves_people_apart_whom_somebody_split():
    log = Log()
    log.play([("event", [name], "Page Seen", 1) for name in ("user_id:u1", "anonymous_id:a1")])
    log.add(*said_by("audit", (0, 1)))
    log.play([("unmerge", 0)])
    assert log.state.identity.living() == [0, 1]
    log.add(*said_by("audit", (0, 1)))
    assert log.state.identity.living() == [0, 1]
    assert log.state.identity.book.apart == {(0, 1)}
    assert refusals(log) == [("#0 and #1 were set apart by hand", "audit")]
    consistent(log.state, log.history)
