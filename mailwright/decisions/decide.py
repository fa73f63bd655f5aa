"""One decision: what a person gets in one mail, or why they get none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailwright.core.errors import NotFound, nearest
from mailwright.core.facts import PersonFacts
from mailwright.core.instants import Instant
from mailwright.decisions.content_rules import Choice, ContentRuleDefinition, choose
from mailwright.decisions.mail import MailDefinition, merged
from mailwright.decisions.recommend import CatalogLookup, Recommendations, Recommender, recommend
from mailwright.decisions.variables import Resolved, resolve
from mailwright.experiments.assign import Assignment, assign
from mailwright.experiments.definitions import ExperimentDefinition

NO_ITEMS = "no_items"
MISSING_VARIABLE = "missing_variable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All that was weighed, sent or not.

    Attributes:
        mail: The definition in force for this person, a variant's overrides included.
        assignment: The experiment arm; None without an experiment.
        choices: One per content rule, in the mail's order.
        recommendations: None for a mail without them.
        resolved: One per variable, in the order of their names.
    """

    mail: MailDefinition
    assignment: Assignment | None
    choices: tuple[Choice, ...]
    recommendations: Recommendations | None
    resolved: tuple[Resolved, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A mail to render.

    Attributes:
        ground: What led to it.
        variables: What the template gets, plain JSON: each declared variable under its name; ``content.<slot>.<field>``
            of the content rules; ``recommendations``, a list of objects with the item's catalog facts and ``item_id``,
            ``reason`` and ``source``. Sealed values are sealed objects still.
    """

    ground: Ground
    variables: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """No mail. `reason` is a short code (``missing_variable``, ``no_items``), `detail` says it in words."""

    ground: Ground
    reason: str
    detail: str


def decide(
    mail: MailDefinition,
    experiment: ExperimentDefinition | None,
    facts: PersonFacts,
    content_rules: Mapping[str, ContentRuleDefinition],
    recommender: Recommender,
    now: Instant,
    lookup: CatalogLookup | None = None,
) -> Decision | Skip:
    """Decide one mail for one person. Pure: the same arguments give the same answer.

    Args:
        mail: The mail of the campaign or step.
        experiment: Its experiment, or None.
        facts: The person at the engine's last tick, with the truths of the rows of `content_rules` asked for.
        content_rules: At least those that the mail names, by name.
        recommender: The models.
        now: The project clock's instant; ages are counted from the stamps to it.
        lookup: Facts of catalog items; items it does not know are not shown. None: every item is shown, without facts.

    Raises:
        NotFound: If the mail names a content rule that does not exist.
        InvalidInput: If a variant's overrides do not fit.
    """
    assignment = assign(experiment.name, facts.first_identifier, experiment.variants) if experiment else None
    if experiment and assignment:
        mail = merged(mail, experiment.variants[assignment.variant].mail)
    choices = tuple(choose(name, _rule(name, content_rules), facts.truths) for name in mail.content_rules)
    ground = Ground(
        mail=mail,
        assignment=assignment,
        choices=choices,
        recommendations=recommend(mail.recommend, facts, recommender, lookup) if mail.recommend else None,
        resolved=tuple(resolve(name, mail.variables[name], facts, choices, now) for name in sorted(mail.variables)),
    )
    return _skip(ground) or Decision(ground=ground, variables=_variables(ground))


def _rule(name: str, rules: Mapping[str, ContentRuleDefinition]) -> ContentRuleDefinition:
    if name not in rules:
        raise NotFound("content_rule.unknown", f"there is no content rule {name!r}", nearest(name, rules))
    return rules[name]


def _skip(ground: Ground) -> Skip | None:
    lacking = [one for one in ground.resolved if one.used == "none"]
    if lacking:
        detail = "; ".join(f"{one.name}: {one.why}" for one in lacking)
        return Skip(ground=ground, reason=MISSING_VARIABLE, detail=detail)
    definition, found = ground.mail.recommend, ground.recommendations
    if definition and found and definition.on_missing == "skip" and not found.items:
        return Skip(ground=ground, reason=NO_ITEMS, detail="no source has an item for this person")
    return None


def _variables(ground: Ground) -> dict[str, Any]:
    found = ground.recommendations
    return variables_of(
        {one.name: one.value for one in ground.resolved},
        [(choice.slot, choice.use) for choice in ground.choices],
        None if found is None else [(item.facts, item.item_id, item.reason, item.source) for item in found.items],
    )


def variables_of(
    values: Mapping[str, Any],
    content: Sequence[tuple[str, Mapping[str, Any]]],
    items: Sequence[tuple[Mapping[str, Any], str, str, str]] | None,
) -> dict[str, Any]:
    """A template's variables out of resolved values, (slot, use) pairs and (facts, item id, reason, source) rows.

    Two content rules may fill one slot: of a field that both give, the first rule's stays.
    """
    variables = dict(values)
    slots: dict[str, dict[str, Any]] = {}
    for slot, use in content:
        slots[slot] = {**use, **slots.get(slot, {})}
    if slots:
        variables["content"] = slots
    if items is not None:
        variables["recommendations"] = [
            {**facts, "item_id": item_id, "reason": reason, "source": source}
            for facts, item_id, reason, source in items
        ]
    return variables
