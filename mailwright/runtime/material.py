"""The definitions in force as the sender works with them, made anew when a version or a model comes in."""

from __future__ import annotations

from collections.abc import Sequence

from mailwright.core.errors import NotFound, Transient
from mailwright.core.instants import SECOND
from mailwright.core.ports import DefinitionVersion
from mailwright.decisions.content_rules import condition_name
from mailwright.decisions.mail import MailDefinition
from mailwright.decisions.matched import facts_used
from mailwright.delivery.gate import Audience
from mailwright.delivery.opt_ins import confirm_step, form_origin
from mailwright.delivery.plan import Condition, Material, Plan
from mailwright.journeys.definitions import ARCHIVED_CONDITION, audience_condition, exit_condition
from mailwright.journeys.requests import CAMPAIGN_STEP
from mailwright.rules.show import show
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.in_force import in_force
from mailwright.runtime.project.load import Project, load_project
from mailwright.runtime.project.templates import templates_of
from mailwright.runtime.recommender import ModelShelf


class MaterialSource:
    """Gives the material of the version in force; compiles a version once."""

    def __init__(self, installation: Installation) -> None:
        self._there = installation
        self._watch = installation.clock_watch()
        self._made: Material | None = None
        self._catalog = "products"
        self._shelf = ModelShelf(installation.records.models, installation.blobs, self._titles)

    def __call__(self) -> Material:
        """The material now in force.

        Raises:
            NotFound: Before the first apply.
            Transient: While the machine's clock has jumped: nothing is handed over then.
        """
        if self._watch and (jump := self._watch.look()):
            raise Transient(
                "clock.parted",
                f"the machine's clock has jumped by {jump.parted_micros // SECOND:,} s",
                "`mailwright clock` says more; nothing is handed over until that is confirmed",
            )
        version = in_force(self._there.records.definitions, self._there.records.meta)
        if version is None:
            raise NotFound("definition.not_applied", "nothing was applied yet", "run `mailwright apply`")
        if self._made is None or self._made.version != version.version:
            self._made = _material(version, self._shelf)
            self._catalog = self._made.catalog
        self._shelf.refresh()
        return self._made

    def _titles(self, item_ids: Sequence[str]) -> dict[str, str]:
        found = self._there.engine.items(self._catalog, item_ids)
        return {item_id: str(item.facts["title"]) for item_id, item in found.items() if "title" in item.facts}


def _material(version: DefinitionVersion, shelf: ModelShelf) -> Material:
    project = load_project(version.files)
    catalog = next(iter(project.catalogs), "products")
    required = project.catalogs[catalog].required if catalog in project.catalogs else ()
    return Material(
        version=version.version,
        plans=plans(project),
        content_rules=project.content_rules,
        conditions=conditions(project),
        templates=templates_of(project),
        recommender=shelf,
        catalog=catalog,
        needed_facts=tuple(sorted({*required, "price"})),
    )


def plans(project: Project) -> dict[tuple[str, str], Plan]:
    """(origin, step) of a message -> what it sends and to whom still."""
    found: dict[tuple[str, str], Plan] = {}
    after = project.quality.audit.archive_micros
    for name, campaign in project.campaigns.items():
        archived = None if campaign.archived or not after else ARCHIVED_CONDITION
        audience = Audience(holds=audience_condition(name), archived=archived, unseen_micros=after)
        plan = Plan(mail=campaign.mail, experiment=campaign.experiment, audience=audience)
        found[f"campaign:{name}", CAMPAIGN_STEP] = plan
    for name, journey in project.journeys.items():
        audience = Audience(fails=exit_condition(name) if journey.exit_when else None)
        for step_name, step in journey.named_steps().items():
            if step.mail is not None:
                found[f"journey:{name}", step_name] = Plan(
                    mail=step.mail, experiment=step.experiment, audience=audience
                )
    for name, form in project.forms.items():
        if form.double_opt_in is not None:
            mail = MailDefinition(template=form.double_opt_in.template)
            found[form_origin(name), confirm_step()] = Plan(mail=mail, title=form.title, language=form.language)
            for language, words in form.translations.items():
                theirs = MailDefinition(template=words.confirmation) if words.confirmation else mail
                plan = Plan(mail=theirs, title=words.title or form.title, language=language)
                found[form_origin(name), confirm_step(language)] = plan
    return found


def conditions(project: Project) -> dict[str, Condition]:
    """Every named condition with its text and the facts that it reads."""
    texts = {audience_condition(name): campaign.audience for name, campaign in project.campaigns.items()}
    texts |= {exit_condition(name): one.exit_when for name, one in project.journeys.items() if one.exit_when}
    texts |= {
        condition_name(name, row.name): row.when for name, rule in project.content_rules.items() for row in rule.rows
    }
    if ARCHIVED_CONDITION in project.conditions:
        texts[ARCHIVED_CONDITION] = show(project.conditions[ARCHIVED_CONDITION])
    return {name: Condition(rule=text, uses=facts_used(project.conditions[name])) for name, text in texts.items()}
