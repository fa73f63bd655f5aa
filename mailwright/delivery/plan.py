"""The definitions in force as the sender needs them: which mail a message stands for, and what it is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mailwright.core.errors import NotFound, nearest
from mailwright.core.facts import PersonFacts
from mailwright.decisions.content_rules import ContentRuleDefinition, RowDefinition, condition_name
from mailwright.decisions.mail import MailDefinition, merged
from mailwright.decisions.matched import Match
from mailwright.decisions.recommend import Recommender
from mailwright.delivery.gate import Audience
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.rendering.liquid_environment import TemplateEnvironment
from mailwright.rendering.template import CompiledTemplate, Template, compile_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one campaign or journey step sends, and to whom still. `title` and `language` are the confirmed form's."""

    mail: MailDefinition
    title: str = ""
    language: str = ""
    experiment: ExperimentDefinition | None = None
    audience: Audience = field(default_factory=Audience)

    def mails(self) -> list[MailDefinition]:
        """The mail, and each variant's."""
        variants = self.experiment.variants.values() if self.experiment else ()
        return [self.mail, *(merged(self.mail, variant.mail) for variant in variants)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A named condition that the engine evaluates: its rule's text, and the named facts that the rule reads."""

    rule: str
    uses: tuple[str, ...] = ()


class Templates:
    """The templates of one version of the definitions, each compiled when it is first needed."""

    def __init__(
        self,
        templates: Mapping[str, Template],
        snippets: Mapping[str, str] | None = None,
        environment: TemplateEnvironment | None = None,
    ) -> None:
        """Keep the sources; nothing is compiled yet."""
        self._templates = templates
        self._snippets = snippets
        self._environment = environment
        self._compiled: dict[tuple[str, str | None], CompiledTemplate] = {}

    def get(self, name: str, subject: str | None = None) -> CompiledTemplate:
        """The compiled template, with `subject` in place of its own if given.

        Raises:
            NotFound: If there is none of that name.
            InvalidInput: If it does not compile.
        """
        key = (name, subject)
        if key not in self._compiled:
            self._compiled[key] = self._compile(name, subject)
        return self._compiled[key]

    def _compile(self, name: str, subject: str | None) -> CompiledTemplate:
        if name not in self._templates:
            raise NotFound("template.unknown", f"there is no template {name!r}", nearest(name, self._templates))
        template = self._templates[name]
        if subject is not None:
            template = dataclasses.replace(template, subject=subject)
        return compile_template(template, self._snippets, self._environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One version of the definitions, ready for composing.

    Attributes:
        version: Number of the definitions' version.
        plans: (origin, step) of a message -> its plan: ``("campaign:weekly_offers", "mail")``.
        conditions: Every condition name that a plan or content rule row refers to.
        catalog: The catalog that recommended items are looked up in.
        needed_facts: An item without one of these catalog facts is not shown; the next one takes its place.
    """

    version: int
    plans: Mapping[tuple[str, str], Plan]
    content_rules: Mapping[str, ContentRuleDefinition]
    conditions: Mapping[str, Condition]
    templates: Templates
    recommender: Recommender
    catalog: str = "products"
    needed_facts: tuple[str, ...] = ("price",)

    def asked(self, plan: Plan) -> list[str]:
        """Names of the conditions that must be known to send `plan`, each once."""
        asked = (plan.audience.holds, plan.audience.fails, plan.audience.archived)
        audience = [name for name in asked if name is not None]
        used = dict.fromkeys(name for mail in plan.mails() for name in mail.content_rules)
        rows = [condition_name(name, row.name) for name in used for row in self._rows(name)]
        return list(dict.fromkeys(audience + rows))

    def _rows(self, name: str) -> Iterable[RowDefinition]:
        return self.content_rules[name].rows if name in self.content_rules else ()

    def matches(self, plan: Plan, facts: PersonFacts) -> list[Match]:
        """The conditions of `plan` with a person's answers, for the decision record."""
        found = [(name, self.conditions[name]) for name in self.asked(plan) if name in self.conditions]
        return [
            Match(condition=name, rule=one.rule, truth=facts.truths.get(name, False), uses=one.uses)
            for name, one in found
        ]
