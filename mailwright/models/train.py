"""From interactions to a measured, judged and ready-to-serve model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.models.definitions import BASELINES, ModelDefinition, check_models
from mailwright.models.evaluate import CHUNK, Evaluation, evaluate
from mailwright.models.gate import BASELINE, Gate, judge
from mailwright.models.interactions import Interactions, from_table
from mailwright.models.metrics import best_with_ties
from mailwright.models.predictions import PredictionTable
from mailwright.models.reasons import ReasonCode
from mailwright.models.recommenders import Fitted, Recommender, Scores

if TYPE_CHECKING:
    import pyarrow as pa

HORIZON_DAYS = 28
"""How much of the newest data is held out for measuring; four weeks hold four of each weekday."""

N_KEPT = 50
"""Items kept per person: enough for a mail of 12 after exclusions and what the catalog no longer has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model ready for the registry: the fields of `mailwright.core.ports.ModelVersion` that training knows.

    Attributes:
        metrics: Row (the model's name and each baseline's) -> metric -> value, with ``_low`` and ``_high``.
        gate: The verdict; `predictions` are there whether it passed or not.
        predictions: Bytes of a `PredictionTable` from all data before the cutoff.
        data_hash: SHA-256 over that data.
    """

    metrics: Mapping[str, Mapping[str, float]]
    gate: Gate
    predictions: bytes
    data_hash: str


def train(name: str, definition: ModelDefinition, table: pa.Table, cutoff: Instant) -> Trained:
    """Train one model; see `train_all`."""
    return train_all({name: definition}, table, cutoff)[name]


def train_all(definitions: Mapping[str, ModelDefinition], table: pa.Table, cutoff: Instant) -> dict[str, Trained]:
    """Measure, judge and fit models that learn from the same interactions.

    Each is measured by hiding the last four weeks before `cutoff`, then fitted anew on everything before it.

    Args:
        definitions: Name -> model; all of the same event and items.
        table: See `mailwright.models.interactions.from_table`. Rows at or after `cutoff` are left out first.
        cutoff: The instant of training.

    Raises:
        InvalidInput: If the table lacks a column, or a model has the name of a baseline that it is not.
    """
    faults = check_models(definitions)
    if faults:
        raise InvalidInput("model.name", faults)
    data = from_table(table.filter(table["stamp_at"].to_numpy() < cutoff))
    recommenders: dict[str, Recommender] = {name: one.recommender() for name, one in definitions.items()}
    measured, failure = _measured({**BASELINES, **recommenders}, data, cutoff)
    rows = measured.table() if measured else {}
    digest = data.digest()
    return {
        name: Trained(
            metrics={row: values for row, values in rows.items() if row == name or row in BASELINES},
            gate=_gate(name, definition, measured, failure),
            predictions=predictions(recommenders[name].fit(data, cutoff), data).to_bytes(),
            data_hash=digest,
        )
        for name, definition in definitions.items()
    }


def _measured(models: Mapping[str, Recommender], data: Interactions, cutoff: Instant) -> tuple[Evaluation | None, str]:
    try:
        return evaluate(models, data, Instant(cutoff - HORIZON_DAYS * DAY), HORIZON_DAYS), ""
    except InvalidInput as error:
        return None, error.message


def _gate(name: str, definition: ModelDefinition, measured: Evaluation | None, failure: str) -> Gate:
    if definition.gate is None:
        return BASELINE
    if measured is None:
        return Gate(passed=False, text=f"could not be measured: {failure}")
    return judge(measured, name, definition.gate.metric, definition.gate.beats)


def predictions(fitted: Fitted, data: Interactions, n: int = N_KEPT) -> PredictionTable:
    """The `n` best items with a score above zero, for every user, or once for everyone if the model is not personal.

    Equal scores stand in the order of their item ids.
    """
    lists = _lists(fitted, data, n)
    rows = [items for items, _ in lists]
    item = np.concatenate([np.zeros(0, np.intp), *rows])
    whys = [fitted.reasons(user, items) for user, items in enumerate(rows)]
    code = np.concatenate([np.zeros(0, np.uint8), *(codes for codes, _ in whys)])
    argument = np.concatenate([np.zeros(0, np.int32), *(arguments for _, arguments in whys)])
    because = code == ReasonCode.BECAUSE
    named = np.unique(np.concatenate([item, argument[because]]))
    argument[because] = np.searchsorted(named, argument[because])
    return PredictionTable.of(
        identifiers=data.users.tolist() if fitted.personal else [""],
        everyone=not fitted.personal,
        items=data.items[named].tolist(),
        starts=np.cumsum([0, *(len(items) for items in rows)], dtype=np.int64),
        item=np.searchsorted(named, item).astype(np.int32),
        score=np.concatenate([np.zeros(0, np.float32), *(scores for _, scores in lists)]),
        code=code,
        argument=argument,
    )


def _lists(fitted: Fitted, data: Interactions, n: int) -> list[tuple[NDArray[np.intp], Scores]]:
    n_lists = data.n_users if fitted.personal else 1
    lists: list[tuple[NDArray[np.intp], Scores]] = []
    for start in range(0, n_lists, CHUNK):
        users = np.arange(start, min(start + CHUNK, n_lists), dtype=np.int32)
        lists += [best_items(scores, n) for scores in fitted.scores(users)]
    return lists


def best_items(scores: Scores, n: int) -> tuple[NDArray[np.intp], Scores]:
    """Numbers and scores of the `n` best items of one row that score above zero; equal ones by number."""
    best = best_with_ties(scores, n)[:n]
    best = best[scores[best] > 0]
    return best, scores[best]
