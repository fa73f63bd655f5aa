"""What a project says about a model (``models/NAME.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from mailwright.core.errors import Issue
from mailwright.models.recommenders import Ease, OwnPurchaseCount, Popularity, Recommender
from mailwright.models.repurchase import Repurchase

Kind = Literal["popularity", "own_purchase_count", "ease", "repurchase"]
Baseline = Literal["popularity", "own_purchase_count"]
MetricName = Literal["ndcg@10", "precision@10", "recall@10", "hit_rate@10"]

RECOMMENDERS: Mapping[Kind, type[Popularity | OwnPurchaseCount | Ease | Repurchase]] = {
    "popularity": Popularity,
    "own_purchase_count": OwnPurchaseCount,
    "ease": Ease,
    "repurchase": Repurchase,
}
BASELINES: Mapping[str, Recommender] = {"popularity": Popularity(), "own_purchase_count": OwnPurchaseCount()}


class GateDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a model must beat before it serves: every baseline of `beats`, on `metric`, beyond chance."""

    metric: MetricName = "ndcg@10"
    beats: Annotated[list[Baseline], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: list(get_args(Baseline))
    )


class ModelDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A model: its name is the file's.

    Attributes:
        kind: See `mailwright.models.recommenders` and `repurchase`.
        event: The event whose items are learned from.
        items: Path of the item ids in that event.
        parameters: Of the kind: ``popularity`` window_days; ``own_purchase_count`` half_life_days; ``ease`` n_items,
            l2, half_life_days; ``repurchase`` horizon_days, n_snapshots.
        gate: Needed unless it is a baseline: a plain ``popularity`` or ``own_purchase_count``.
    """

    title: Annotated[str, msgspec.Meta(min_length=1)]
    kind: Kind
    event: str = "Order Completed"
    items: str = "products.product_id"
    parameters: dict[str, Any] = {}
    gate: GateDefinition | None = None

    def __post_init__(self) -> None:
        recommender = self.recommender()
        if self.gate is None and recommender not in BASELINES.values():
            raise ValueError(f"a model of kind {self.kind!r} that is no baseline needs a gate")

    def recommender(self) -> Recommender:
        """The kind with its parameters.

        Raises:
            ValueError: If a parameter is unknown, of the wrong type or not more than zero.
        """
        try:
            made = msgspec.convert(self.parameters, RECOMMENDERS[self.kind], strict=True)
        except msgspec.ValidationError as error:
            raise ValueError(f"parameters of {self.kind!r}: {error}") from error
        _check_parameters(self.kind, self.parameters)
        return made


def _check_parameters(kind: Kind, parameters: Mapping[str, Any]) -> None:
    known = RECOMMENDERS[kind].__dataclass_fields__
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f"{kind!r} has no parameter {name!r}; it has {', '.join(known)}")
        if value is not None and value <= 0:
            raise ValueError(f"parameter {name!r} must be more than zero, not {value}")


def check_models(models: Mapping[str, ModelDefinition]) -> list[Issue]:
    """A model may have a baseline's name only if it is that baseline: reports show both by name."""
    return [
        Issue(
            path=f"models/{name}.yaml",
            message=f"{name!r} is the name of a baseline, but the model is another",
            hint="rename the file",
        )
        for name, model in models.items()
        if name in BASELINES and model.recommender() != BASELINES[name]
    ]
