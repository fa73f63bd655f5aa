"""Every recommender on toy shops whose right answer is obvious."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.models.evaluate import evaluate
from mailwright.models.interactions import Interactions, from_table
from mailwright.models.reasons import ReasonCode
from mailwright.models.recommenders import Ease, OwnPurchaseCount, Popularity, Recommender
from mailwright.models.repurchase import Repurchase, pairs_of
from mailwright.models.train import predictions

CUT = parse_iso("2017-12-01T00:00:00Z")
ALL: list[Recommender] = [
    Popularity(),
    OwnPurchaseCount(),
    OwnPurchaseCount(half_life_days=30),
    Ease(n_items=50, l2=1.0),
    Repurchase(),
]


def table(rows: Iterable[tuple[str, str, float]]) -> pa.Table:
    """Rows of (user, item, days before the cut)."""
    rows = list(rows)
    return pa.table(
        {
            "identifier": pa.array([user for user, _, _ in rows], pa.string()),
            "item_id": pa.array([item for _, item, _ in rows], pa.string()),
            "stamp_at": pa.array([CUT - int(days * DAY) for _, _, days in rows], pa.int64()),
            "quantity": pa.array([1.0] * len(rows), pa.float64()),
        }
    )


def checkerboard(n: int = 20) -> list[tuple[str, str, float]]:
    """Even users take even items, odd users odd ones, each all but the one of their own number."""
    return [
        (f"u{user:02}", f"i{item:02}", 10 + (user * 7 + item) % 20)
        for user in range(n)
        for item in range(n)
        if item % 2 == user % 2 and item != user
    ]


def a_year(seed: int = 1, n_users: int = 40) -> list[tuple[str, str, float]]:
    """A shop of habits: everyone takes three own items at gaps of 5..30 days, and now and then anything."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        for item in random.choice(30, 3, replace=False):
            gap = random.integers(5, 30)
            rows += [(f"u{user}", f"i{item}", days) for days in np.arange(random.uniform(0.1, gap), 200, gap)]
        rows += [(f"u{user}", f"i{item}", random.uniform(0.1, 200)) for item in random.choice(30, 6)]
    return rows


def test_ease_sees_the_checkerboard() -> None:
    data = from_table(table(checkerboard()))
    scores = Ease(n_items=50, l2=1.0).fit(data, CUT).scores(np.arange(20, dtype=np.int32))
    for user in range(20):
        taken = set(data.item[data.user == user].tolist())
        new = [item for item in range(20) if item not in taken]
        assert max(new, key=lambda item: scores[user, item]) == user


def test_ease_is_the_closed_form() -> None:
    """Against the definition: B minimises |X - XB|^2 + l2 |B|^2 with a zero diagonal (checked column by column)."""
    data = from_table(table(checkerboard(8)))
    fitted = Ease(n_items=50, l2=2.0, half_life_days=1e12).fit(data, CUT)
    x = np.log1p(data.matrix().toarray())
    for item in range(8):
        others = [other for other in range(8) if other != item]
        ridge = np.linalg.solve(x[:, others].T @ x[:, others] + 2.0 * np.eye(7), x[:, others].T @ x[:, item])
        assert fitted.scores(np.arange(8, dtype=np.int32))[:, item] == pytest.approx(x[:, others] @ ridge, abs=1e-4)


def test_ease_says_because_of_the_item_that_adds_most() -> None:
    data = from_table(table(checkerboard()))
    fitted = Ease(n_items=50, l2=1.0).fit(data, CUT)
    codes, others = fitted.reasons(4, np.asarray([4]))
    assert codes[0] == ReasonCode.BECAUSE
    assert others[0] % 2 == 0
    assert others[0] in data.item[data.user == 4]


def test_ease_beyond_its_cap_scores_nothing() -> None:
    data = from_table(table([*checkerboard(), ("u01", "zz", 3)]))
    scores = Ease(n_items=20, l2=1.0).fit(data, CUT).scores(np.asarray([1], dtype=np.int32))
    assert scores[0, data.items.tolist().index("zz")] == 0


def test_popularity_counts_people_in_the_window_not_purchases() -> None:
    rows = [
        ("a", "often", 3),
        ("a", "often", 2),
        ("a", "often", 1),
        ("b", "wide", 3),
        ("c", "wide", 28),
        ("d", "old", 29),
    ]
    rows += [("e", "old", 28.5), ("f", "old", 40)]
    data = from_table(table(rows))
    scores = Popularity(window_days=28).fit(data, CUT).scores(np.asarray([0], dtype=np.int32))[0]
    assert dict(zip(data.items.tolist(), scores.tolist(), strict=True)) == {"often": 1, "old": 0, "wide": 2}


def test_own_count_puts_habit_first_and_decay_what_is_recent() -> None:
    rows = [("a", "habit", days) for days in (100, 110, 120)] + [("a", "fresh", 1), ("a", "fresh", 2), ("b", "pop", 1)]
    data = from_table(table(rows))

    def best(model: Recommender) -> list[str]:
        table_of = predictions(model.fit(data, CUT), data)
        return [one.item_id for one in table_of.ranked("a", 3)]

    assert best(OwnPurchaseCount()) == ["habit", "fresh", "pop"]
    assert best(OwnPurchaseCount(half_life_days=30)) == ["fresh", "habit", "pop"]


@pytest.mark.parametrize(
    ("item", "code", "argument"),
    [("twice", ReasonCode.BEFORE, 2), ("thrice", ReasonCode.OFTEN, 3), ("pop", ReasonCode.POPULAR, 28), ("old", 0, 0)],
)
def test_own_count_gives_true_reasons(item: str, code: int, argument: int) -> None:
    rows = (
        [("a", "twice", d) for d in (1, 2)]
        + [("a", "thrice", d) for d in (1, 2, 3)]
        + [("b", "pop", 1), ("b", "old", 99)]
    )
    data = from_table(table(rows))
    codes, arguments = OwnPurchaseCount().fit(data, CUT).reasons(0, np.asarray([data.items.tolist().index(item)]))
    assert (codes[0], arguments[0]) == (code, argument)


def test_repurchase_calls_an_item_due_only_near_its_usual_gap() -> None:
    rows = [("a", "due", d) for d in (12, 22, 32)] + [("a", "early", d) for d in (1, 11, 21)]
    rows += [("a", "over", d) for d in (60, 70, 80)]
    data = from_table(table(rows))
    items = [data.items.tolist().index(name) for name in ("due", "early", "over")]
    codes, arguments = Repurchase().fit(data, CUT).reasons(0, np.asarray(items))
    assert codes.tolist() == [ReasonCode.DUE, ReasonCode.OFTEN, ReasonCode.OFTEN]
    assert arguments[0] == 10


def test_repurchase_learns_that_living_habits_come_again() -> None:
    """Two items taken equally often by each: one lately, one only long ago. The shop's past shows which comes again."""
    rows = []
    for user in range(40):
        rows += [(f"u{user}", f"live{user % 5}", days) for days in np.arange(2 + user % 3, 200, 10)]
        rows += [(f"u{user}", f"dead{user % 5}", days) for days in np.arange(150, 350, 10)]
    data = from_table(table(rows))
    shown = predictions(Repurchase().fit(data, CUT), data)
    assert all(shown.ranked(f"u{user}", 1)[0].item_id == f"live{user % 5}" for user in range(40))


def test_pairs_count_occasions_and_gaps() -> None:
    pairs = pairs_of(from_table(table([("a", "x", 30), ("a", "x", 20), ("a", "x", 5), ("a", "y", 7)])), CUT)
    assert pairs.times.tolist() == [3, 1]
    assert pairs.last_days.tolist() == [5, 7]
    assert pairs.gap_days.tolist() == [12.5, 0]


# --- what every recommender must do ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_many_at_once_are_as_one_by_one(model: Recommender) -> None:
    data = from_table(table(a_year()))
    fitted = model.fit(data, CUT)
    users = np.arange(data.n_users, dtype=np.int32)
    together = fitted.scores(users)
    assert together.shape == (data.n_users, data.n_items)
    for user in users:
        assert fitted.scores(users[user : user + 1])[0] == pytest.approx(together[user], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_the_same_data_gives_the_same_bytes_in_whatever_order_it_comes(model: Recommender) -> None:
    rows = a_year()
    first = from_table(table(rows))
    other = from_table(table(rows[::-1]))
    assert first.digest() == other.digest()
    assert predictions(model.fit(first, CUT), first).to_bytes() == predictions(model.fit(other, CUT), other).to_bytes()


def planted(rows: list[tuple[str, str, float]]) -> Interactions:
    """The shop with its future: after the cut everyone takes one and the same item, which nobody had before."""
    users = sorted({user for user, _, _ in rows})
    return from_table(table([*rows, *((user, "planted", -3.0) for user in users), ("u0", "never", -100)]))


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_a_feature_planted_in_the_future_is_not_seen(model: Recommender) -> None:
    data = planted(a_year())
    place = {name: number for number, name in enumerate(data.items.tolist())}
    users = np.arange(data.n_users, dtype=np.int32)
    scores = model.fit(data.before(CUT), CUT).scores(users)
    assert (scores[:, place["planted"]] == scores[:, place["never"]]).all()
    with pytest.raises(InvalidInput, match="not before the instant"):
        model.fit(data, CUT)


def test_the_planted_feature_would_be_found_by_a_model_that_looks() -> None:
    """The control: a model that does see the future wins by far, so the test above can fail."""
    data = planted(a_year())

    class Cheat(Popularity):
        def fit(self, seen: Interactions, cut: Instant):  # type: ignore[no-untyped-def]
            later = Instant(cut + 5 * DAY)
            return super().fit(data.before(later), later)

    found = evaluate({"cheat": Cheat(), "honest": Popularity()}, data, CUT, horizon_days=10, k=1).table()
    assert found["cheat"]["hit_rate@1"] == 1.0
    assert found["honest"]["hit_rate@1"] == 0.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_what_happens_after_a_snapshot_never_changes_its_features(seed: int) -> None:
    """The regression's own cuts: its examples are the same whether or not the later rows exist."""
    data = from_table(table(a_year(seed % 1000, n_users=8)))
    snapshot = Instant(CUT - 60 * DAY)
    model = Repurchase(horizon_days=28)
    whole, _ = model._snapshot(data, snapshot)
    cut, _ = model._snapshot(data.before(snapshot), snapshot)
    assert (whole == cut).all()


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_a_shop_with_almost_nothing_is_no_reason_to_fail(model: Recommender) -> None:
    one = from_table(table([("a", "x", 1)]))
    assert predictions(model.fit(one, CUT), one).items in ([], ["x"])
    empty = from_table(table([]))
    assert predictions(model.fit(empty, CUT), empty).items == []
