"""Training: from History to registered models with their predictions for everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

import pyarrow as pa

from mailwright import __version__
from mailwright.core.events import Predicted
from mailwright.core.instants import Instant
from mailwright.core.ports import History, ModelVersion
from mailwright.models.definitions import BASELINES, ModelDefinition
from mailwright.models.evaluate import evaluate
from mailwright.models.interactions import from_table
from mailwright.models.train import Trained
from mailwright.models.train import train_all as fit_all
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.versions import current_project

_ITEMS_IN_LIST = """
    SELECT identifier_kind || ':' || identifier AS identifier, json_extract_string(line, $key) AS item_id, stamp_at,
           TRY_CAST(json_extract_string(line, '$.quantity') AS DOUBLE) AS quantity
    FROM (
        SELECT identifier_kind, identifier, epoch_us(stamp_at) AS stamp_at,
               unnest(CAST(json_extract(properties, $list) AS JSON[])) AS line
        FROM events WHERE name = $event AND type = 'track'
    )
"""

_ITEM_IN_EVENT = """
    SELECT identifier_kind || ':' || identifier AS identifier, json_extract_string(properties, $key) AS item_id,
           epoch_us(stamp_at) AS stamp_at, CAST(NULL AS DOUBLE) AS quantity
    FROM events WHERE name = $event AND type = 'track'
"""


def interactions(history: History, event: str, items: str) -> pa.Table:
    """Who took which item when: columns identifier (``kind:value``), item_id, stamp_at (microseconds), quantity.

    Args:
        history: Where from.
        event: Name of the track event.
        items: Path of the item ids: ``product_id``, or ``products.product_id`` for a list of lines.
    """
    listed, _, key = items.rpartition(".")
    if listed:
        return history.query(_ITEMS_IN_LIST, {"event": event, "list": f"$.{listed}", "key": f"$.{key}"})
    return history.query(_ITEM_IN_EVENT, {"event": event, "key": f"$.{key}"})


def train_all(there: Installation, done: Callable[[ModelVersion], None]) -> None:
    """Train, measure and register every model of the version in force; `done` is told of each.

    A model is a new version even if its gate keeps it from serving. Predictions enter the log with their blob's name.

    Raises:
        NotFound: If nothing was applied yet.
    """
    _, project = current_project(there)
    cutoff = there.clock.now()
    for (event, items), definitions in _by_input(project.models):
        fitted = fit_all(definitions, interactions(there.history, event, items), cutoff)
        for name, trained in fitted.items():
            done(_register(there, name, definitions[name], trained))


def measure_all(history: History, models: Mapping[str, ModelDefinition], cut: Instant) -> dict[str, dict[str, float]]:
    """How well each model and baseline, fitted on what came before `cut`, foretold the four weeks after it.

    For a figure on data that nobody had when the models were trained: the gate's own figures hide older weeks.
    """
    measured: dict[str, dict[str, float]] = {}
    for (event, items), definitions in _by_input(models):
        recommenders = {name: one.recommender() for name, one in definitions.items()}
        known = {recommender: name for name, recommender in BASELINES.items()}
        fresh = {name: one for name, one in recommenders.items() if one not in known}
        found = evaluate({**BASELINES, **fresh}, from_table(interactions(history, event, items)), cut).table()
        measured |= {name: found[known.get(one, name)] for name, one in recommenders.items()}
        measured |= {name: found[name] for name in BASELINES}
    return measured


def _by_input(
    models: Mapping[str, ModelDefinition],
) -> Iterator[tuple[tuple[str, str], dict[str, ModelDefinition]]]:
    ordered = sorted(models.items(), key=lambda pair: (pair[1].event, pair[1].items, pair[0]))
    for key, group in groupby(ordered, key=lambda pair: (pair[1].event, pair[1].items)):
        yield key, dict(group)


def _register(there: Installation, name: str, definition: ModelDefinition, trained: Trained) -> ModelVersion:
    newest = there.records.models.newest(name)
    blob = there.blobs.put(trained.predictions)
    parameters: Mapping[str, object] = definition.parameters
    version = ModelVersion(
        name=name,
        version=newest.version + 1 if newest else 1,
        created_at=there.clock.now(),
        kind=definition.kind,
        parameters=parameters,
        metrics=trained.metrics,
        passed=trained.gate.passed,
        gate=trained.gate.text,
        blob=blob,
        data_hash=trained.data_hash,
        code_version=__version__,
    )
    there.records.models.register(version)
    there.log.append([Predicted(model=name, version=version.version, blob=blob)], there.clock.now())
    return version
