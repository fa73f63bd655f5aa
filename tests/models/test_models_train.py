"""Evaluation, gate, predictions and definitions of models."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mailwright.core.errors import Corrupt, InvalidInput
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.models.definitions import BASELINES, ModelDefinition, check_models
from mailwright.models.evaluate import Evaluation, evaluate, interval
from mailwright.models.gate import judge
from mailwright.models.interactions import from_table
from mailwright.models.predictions import PredictionTable
from mailwright.models.reasons import Reason, ReasonCode
from mailwright.models.train import train, train_all

CUTOFF = parse_iso("2017-12-01T00:00:00Z")


def shop(n_users: int = 60, seed: int = 3) -> pa.Table:
    """Habits that live and die: what somebody took for 100 days they replace by something else."""
    random = np.random.default_rng(seed)
    rows: list[tuple[str, str, int]] = []
    for user in range(n_users):
        for start in (300, 200, 100):
            for item in random.choice(40, 3, replace=False):
                days = np.arange(start, start - 100, -float(random.integers(4, 12))) + random.uniform(0, 3)
                rows += [(f"user_id:u{user}", f"i{item:02}", int(day * DAY)) for day in days]
    return pa.table(
        {
            "identifier": [user for user, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "stamp_at": [CUTOFF - age for _, _, age in rows],
            "quantity": [1.0] * len(rows),
        }
    )


def model(**changes: Any) -> ModelDefinition:
    return msgspec.convert({"title": "M", "kind": "repurchase", "gate": {}} | changes, ModelDefinition)


BASELINE = {"kind": "own_purchase_count", "gate": None}


def evaluation(**means: list[float]) -> Evaluation:
    values = {name: {"ndcg@10": np.asarray(each)} for name, each in means.items()}
    return Evaluation(cut=CUTOFF, horizon_days=28, n_users=len(next(iter(means.values()))), values=values)


# --- evaluation and gate ---------------------------------------------------------------------------------------------


def test_all_models_are_measured_on_the_same_people_with_intervals() -> None:
    found = evaluate(BASELINES, from_table(shop()), Instant(CUTOFF - 28 * DAY))
    assert found.n_users == 60
    assert list(found.table()) == ["popularity", "own_purchase_count"]
    for row in found.table().values():
        assert set(row) >= {"ndcg@10", "precision@10", "recall@10", "hit_rate@10", "ndcg@10_low", "ndcg@10_high"}
        assert row["ndcg@10_low"] < row["ndcg@10"] < row["ndcg@10_high"]


def test_the_mean_of_a_sample_lies_in_its_interval_as_often_as_promised() -> None:
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(60):
        low, high = interval(random.exponential(1.0, 150))
        hits += low <= 1.0 <= high
    assert hits >= 52


def test_a_shop_without_anybody_who_came_back_cannot_be_measured() -> None:
    with pytest.raises(InvalidInput, match="nobody has purchases both"):
        evaluate(BASELINES, from_table(shop()), Instant(CUTOFF + DAY))


@pytest.mark.parametrize(
    ("values", "passed"),
    [([0.5, 0.6] * 50, True), ([0.4, 0.4] * 50, False), ([0.3, 0.5] * 50, False), ([0.0, 0.81] * 50, False)],
)
def test_the_gate_opens_only_beyond_chance(values: list[float], passed: bool) -> None:
    """The last row has the higher mean, .405 against .4, but people differ too much to know."""
    verdict = judge(
        evaluation(new=values, popularity=[0.1] * 100, own=[0.4] * 100), "new", "ndcg@10", ["popularity", "own"]
    )
    assert verdict.passed is passed
    assert verdict.baseline == "own"
    assert ("beats own" in verdict.text) is passed


def test_the_comparison_is_paired() -> None:
    """Two models that differ by the same little on everyone differ for certain, however much people differ."""
    random = np.random.default_rng(1)
    base = random.uniform(0, 1, 100)
    verdict = judge(evaluation(new=list(base + 0.01), own=list(base)), "new", "ndcg@10", ["own"])
    assert verdict.passed


# --- training --------------------------------------------------------------------------------------------------------


def test_training_measures_judges_and_predicts() -> None:
    trained = train("for_you", model(), shop(), CUTOFF)
    assert set(trained.metrics) == {"for_you", "popularity", "own_purchase_count"}
    assert trained.metrics["for_you"]["ndcg@10"] > trained.metrics["own_purchase_count"]["ndcg@10"] + 0.05
    assert trained.gate.passed
    assert len(PredictionTable.from_bytes(trained.predictions).identifiers) == 60


def test_a_model_that_is_no_better_is_refused_in_words() -> None:
    trained = train("new", model(kind="ease", parameters={"n_items": 2}), shop(), CUTOFF)
    assert not trained.gate.passed
    assert "does not beat own_purchase_count" in trained.gate.text


def test_a_baseline_serves_as_it_is() -> None:
    trained = train("usual", model(**BASELINE), shop(), CUTOFF)
    assert trained.gate.passed
    assert "baseline" in trained.gate.text
    assert trained.metrics["usual"] == trained.metrics["own_purchase_count"]


def test_the_same_data_trains_the_same_model() -> None:
    table = shop()
    assert train("m", model(), table, CUTOFF) == train("m", model(), table.take(list(range(len(table)))[::-1]), CUTOFF)


def test_rows_after_the_cutoff_change_nothing() -> None:
    table = shop()
    future = table.set_column(2, "stamp_at", pa.array([CUTOFF + n for n in range(len(table))]))
    assert train("m", model(), pa.concat_tables([table, future]), CUTOFF) == train("m", model(), table, CUTOFF)


def test_too_little_data_lets_baselines_serve_and_nothing_else() -> None:
    table = shop().slice(0, 3)
    trained = train_all({"new": model(), "usual": model(**BASELINE)}, table, CUTOFF)
    assert not trained["new"].gate.passed
    assert trained["new"].gate.text.startswith("could not be measured")
    assert trained["usual"].gate.passed
    assert trained["new"].metrics == {}


# --- predictions -----------------------------------------------------------------------------------------------------


def test_predictions_survive_bytes_and_are_looked_up_by_identifier() -> None:
    trained = train("new", model(), shop(), CUTOFF)
    table = PredictionTable.from_bytes(trained.predictions)
    assert table.to_bytes() == trained.predictions
    ranked = table.ranked("user_id:u7", 5)
    assert len(ranked) == 5
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert table.ranked("user_id:nobody", 5) == []


def test_what_is_alike_for_all_is_stored_once_and_serves_strangers() -> None:
    trained = train("popular", model(kind="popularity", gate=None), shop(), CUTOFF)
    table = PredictionTable.from_bytes(trained.predictions)
    assert table.identifiers == [""]
    assert table.ranked("user_id:nobody", 3) == table.ranked("user_id:u1", 3)
    assert table.ranked("user_id:nobody", 1)[0].reason == Reason(ReasonCode.POPULAR, 28)


def test_because_names_an_item_the_person_really_took() -> None:
    source = shop()
    table = PredictionTable.from_bytes(train("also", model(kind="ease"), source, CUTOFF).predictions)
    rows = source.to_pylist()
    for user in ("user_id:u1", "user_id:u2"):
        taken = {row["item_id"] for row in rows if row["identifier"] == user}
        because = [one.reason.item_id for one in table.ranked(user, 50) if one.reason.code is ReasonCode.BECAUSE]
        assert because
        assert set(because) <= taken


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_torn_bytes_are_refused(cut: int) -> None:
    data = train("popular", model(kind="popularity", gate=None), shop(), CUTOFF).predictions
    with pytest.raises(Corrupt):
        PredictionTable.from_bytes(data[:cut])


def test_a_table_that_names_what_it_lacks_is_refused() -> None:
    table = PredictionTable.from_bytes(
        train("popular", model(kind="popularity", gate=None), shop(), CUTOFF).predictions
    )
    wire = msgspec.msgpack.decode(table.to_bytes())
    for change in (
        {"items": wire["items"][:-1]},
        {"starts": wire["starts"][:-8]},
        {"score": wire["score"][:-4]},
        {"format": 2},
        {"identifiers": ["x"]},
        {"code": b"\xff" * len(wire["code"])},
        {"starts": wire["starts"] + b"\x00"},
    ):
        with pytest.raises(Corrupt):
            PredictionTable.from_bytes(msgspec.msgpack.encode(wire | change))


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason(ReasonCode.NONE), ""),
        (Reason(ReasonCode.OFTEN, 7), "You buy this often"),
        (Reason(ReasonCode.BEFORE, 1), "You bought this before"),
        (Reason(ReasonCode.DUE, 12), "Time for more: you buy this about every 12 days"),
        (Reason(ReasonCode.DUE, 1), "Time for more: you buy this every day"),
        (Reason(ReasonCode.BECAUSE, 0, "i1"), "Because you bought Oat milk"),
        (Reason(ReasonCode.BECAUSE, 0, "i2"), "Because of what you bought"),
        (Reason(ReasonCode.POPULAR, 28), "Popular this month"),
        (Reason(ReasonCode.POPULAR, 7), "Popular in the last 7 days"),
    ],
)
def test_reasons_in_words(reason: Reason, text: str) -> None:
    assert reason.text({"i1": "Oat milk"}) == text


# --- definitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gate": None}, "needs a gate"),
        ({"kind": "own_purchase_count", "gate": None, "parameters": {"half_life_days": 90}}, "needs a gate"),
        ({"kind": "magic"}, "kind"),
        ({"parameters": {"n_snapshot": 2}}, "no parameter 'n_snapshot'"),
        ({"parameters": {"n_snapshots": "two"}}, "n_snapshots"),
        ({"parameters": {"n_snapshots": 0}}, "more than zero"),
        ({"gate": {"beats": []}}, "beats"),
        ({"gate": {"beats": ["chance"]}}, "beats"),
        ({"gate": {"metric": "auc"}}, "metric"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        model(**changes)


def test_a_baseline_name_is_for_that_baseline() -> None:
    assert check_models({"popularity": model(kind="popularity", gate=None), "for_you": model()}) == []
    (issue,) = check_models({"own_purchase_count": model()})
    assert issue.path == "models/own_purchase_count.yaml"
    with pytest.raises(InvalidInput, match="name of a baseline"):
        train("own_purchase_count", model(), shop(), CUTOFF)
