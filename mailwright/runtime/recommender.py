"""The registered models as decisions ask them: the newest version of each that its gate lets through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mailwright.core.errors import Corrupt, NotFound
from mailwright.core.facts import PersonFacts
from mailwright.core.ports import Blobs, ModelRecords, ModelVersion
from mailwright.decisions.recommend import Ranked
from mailwright.models.predictions import Prediction, PredictionTable
from mailwright.models.reasons import ReasonCode

Titles = Callable[[Sequence[str]], Mapping[str, str]]
"""Item ids -> titles of those that have one."""


class ModelShelf:
    """`mailwright.decisions.recommend.Recommender` over the registry; `refresh` looks for newer versions."""

    def __init__(self, models: ModelRecords, blobs: Blobs, titles: Titles) -> None:
        self._models = models
        self._blobs = blobs
        self._titles = titles
        self._serving: dict[str, tuple[ModelVersion, PredictionTable]] = {}
        self._why_not: dict[str, str] = {}

    def refresh(self) -> None:
        """Serve each model's newest version that passed; an older one goes on serving if the newest did not."""
        self._why_not = {}
        passed: dict[str, ModelVersion] = {}
        for version in self._models.all():
            if version.passed and version.blob is not None:
                passed[version.name] = version
            elif version.name not in passed:
                self._why_not[version.name] = f"version {version.version} did not pass its gate: {version.gate}"
        for name, version in passed.items():
            serving = self._serving.get(name)
            if serving is None or serving[0].version != version.version:
                self._load(name, version)

    def _load(self, name: str, version: ModelVersion) -> None:
        try:
            table = PredictionTable.from_bytes(self._blobs.get(version.blob or ""))
        except (NotFound, Corrupt) as error:
            if name not in self._serving:
                self._why_not[name] = f"version {version.version} cannot be read: {error.message}"
            return
        self._serving[name] = version, table

    def ready(self, source: str) -> str | None:
        """None if the source may serve, else why not."""
        if source in self._serving:
            return None
        return self._why_not.get(source, "it was never trained")

    def items(self, source: str, facts: PersonFacts, n: int) -> Sequence[Ranked]:
        """The model's list for the first of the person's identifiers that has one."""
        _, table = self._serving[source]
        names = [f"{identifier.kind}:{identifier.value}" for identifier in facts.identifiers]
        own = next((name for name in names if name in table.places), names[0] if names else "")
        found = table.ranked(own, n)
        titles = self._named(found)
        return [Ranked(one.item_id, one.score, one.reason.text(titles)) for one in found]

    def version(self, source: str) -> str:
        """``for_you 3``."""
        return f"{source} {self._serving[source][0].version}"

    def _named(self, found: Sequence[Prediction]) -> Mapping[str, str]:
        wanted = {one.reason.item_id for one in found if one.reason.code is ReasonCode.BECAUSE}
        return self._titles(sorted(wanted)) if wanted else {}
