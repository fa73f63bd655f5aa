"""Whether the definitions of a project fit one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.decisions.check import Fault, Names, check_mail
from mailwright.decisions.mail import MailDefinition, merged
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.ingest.lookups import ATTRIBUTE
from mailwright.models.definitions import check_models
from mailwright.rules.check import cycle_message, find_cycle
from mailwright.runtime.project.documents import Document, Path, explain
from mailwright.runtime.project.forms import check_forms

if TYPE_CHECKING:
    from mailwright.runtime.project.load import Project

_Documents = Mapping[str, Document]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMail:
    """A mail of a campaign or of a journey's step. `at`: where its step, or the campaign, stands in the file."""

    path: str
    at: Path
    mail: MailDefinition
    experiment: ExperimentDefinition | None

    def variants(self) -> Iterator[tuple[Path, MailDefinition]]:
        """Each variant's place and whole mail; one that does not fit is left out."""
        for name, variant in (self.experiment.variants if self.experiment else {}).items():
            try:
                yield (*self.at, "experiment", "variants", name, "mail"), merged(self.mail, variant.mail)
            except InvalidInput:
                continue

    def sent(self) -> list[tuple[Path, MailDefinition]]:
        """What people really get: the variants, or the mail itself without an experiment."""
        return list(self.variants()) if self.experiment else [((*self.at, "mail"), self.mail)]


def mails(project: Project) -> Iterator[PlacedMail]:
    """Every mail that can be sent."""
    for name, campaign in project.campaigns.items():
        yield PlacedMail(path=f"campaigns/{name}.yaml", at=(), mail=campaign.mail, experiment=campaign.experiment)
    for name, journey in project.journeys.items():
        for place, step in enumerate(journey.steps):
            if step.mail is not None:
                path, at = f"journeys/{name}.yaml", ("steps", place)
                yield PlacedMail(path=path, at=at, mail=step.mail, experiment=step.experiment)


def check_references(project: Project, documents: _Documents) -> list[Issue]:
    """Every use of something that nobody defines, every name that stands for two, every circle."""
    names = Names(
        templates=project.templates,
        content_rules=project.content_rules,
        attributes=project.attributes,
        segments=project.segments,
        models=project.models,
    )
    issues = [issue for mail in mails(project) for issue in _mail(mail, names, documents[mail.path])]
    issues += _experiments(project, documents)
    issues += _triggers(project, documents)
    issues += _circle(project, documents)
    issues += _data(project, documents)
    issues += _lookups(project, documents)
    issues += _profile(project, documents)
    issues += check_forms(project, documents)
    issues += [
        documents[issue.path].issue(("kind",), issue.message, issue.hint) for issue in check_models(project.models)
    ]
    return issues


def _mail(placed: PlacedMail, names: Names, document: Document) -> Iterator[Issue]:
    told: set[Fault] = set()
    for at, mail in [((*placed.at, "mail"), placed.mail), *placed.variants()]:
        for fault in check_mail(mail, names):
            if fault not in told:
                told.add(fault)
                yield document.issue((*at, *fault.at), fault.message, fault.hint)
    for name, variant in (placed.experiment.variants if placed.experiment else {}).items():
        try:
            merged(placed.mail, variant.mail)
        except InvalidInput as error:
            at = (*placed.at, "experiment", "variants", name, "mail")
            yield explain(document, at, variant.mail, MailDefinition, _said(error))


def _said(error: InvalidInput) -> str:
    """What msgspec said, with the path in the form that `explain` reads."""
    cause = error.__cause__
    return str(cause) if isinstance(cause, msgspec.ValidationError) else error.issues[0].message


def _experiments(project: Project, documents: _Documents) -> Iterator[Issue]:
    first: dict[str, str] = {}
    for placed in mails(project):
        if placed.experiment is None:
            continue
        name = placed.experiment.name
        if name in first:
            message = f"the experiment {name!r} is in {first[name]} already: assignment and report go by its name"
            yield documents[placed.path].issue((*placed.at, "experiment", "name"), message, "give it another name")
        first.setdefault(name, placed.path)


def _triggers(project: Project, documents: _Documents) -> Iterator[Issue]:
    for name, journey in project.journeys.items():
        segment = journey.trigger.segment
        if segment not in project.segments:
            at = ("trigger", "enters" if journey.trigger.enters else "leaves")
            hint = nearest(segment, project.segments)
            yield documents[f"journeys/{name}.yaml"].issue(at, f"there is no segment {segment!r}", hint)


def _circle(project: Project, documents: _Documents) -> Iterator[Issue]:
    cycle = find_cycle(project.expressions, project.memberships)
    if cycle:
        kind, name = cycle[0]
        path, key = ("attributes.yaml", "value") if kind == "attribute" else ("segments.yaml", "rule")
        yield documents[path].issue((name, key), cycle_message(cycle), "take one of these references out")


def _data(project: Project, documents: _Documents) -> Iterator[Issue]:
    for name, catalog in project.catalogs.items():
        for issue in catalog.check(""):
            yield documents["catalog.yaml"].issue((name, "required"), issue.message, issue.hint)
    plan = project.tracking_plan
    for at, event in plan.places():
        for issue in event.check(""):
            inside = [int(step) if step.isdecimal() else step for step in issue.path.split(".") if step]
            yield documents["tracking-plan.yaml"].issue((*at, *inside), issue.message, issue.hint)
    for issue in plan.check():
        yield documents["tracking-plan.yaml"].issue(("traits",), issue.message, issue.hint)


def _lookups(project: Project, documents: _Documents) -> Iterator[Issue]:
    for name, lookup in project.lookups.items():
        document = documents[f"lookups/{name}.yaml"]
        if lookup.segment not in project.segments:
            hint = nearest(lookup.segment, project.segments)
            yield document.issue(("segment",), f"there is no segment {lookup.segment!r}", hint)
        for key, where in lookup.place.items():
            attribute = where.removeprefix(ATTRIBUTE).strip().partition(".")[0]
            if where.startswith(ATTRIBUTE) and attribute not in project.attributes:
                hint = nearest(attribute, project.attributes)
                yield document.issue(("place", key), f"there is no attribute {attribute!r}", hint)


def _profile(project: Project, documents: _Documents) -> Iterator[Issue]:
    """Where the profile schema contradicts the tracking plan, or names an attribute that there is not."""
    planned = project.tracking_plan.types().traits
    for name, kind in project.profile.types().items():
        if planned.get(name, kind) != kind:
            at = ("traits", *name.split("."))
            message = f"{name!r} is {kind} here, and {planned[name]} in tracking-plan.yaml"
            yield documents["profile.yaml"].issue(at, message, "declare it in one place, or as one type")
    for name, one in project.profile.accounts.rollup.items():
        for function, attribute in one.asked().items():
            if function != "people" and attribute not in project.attributes:
                at = ("accounts", "rollup", name, function)
                hint = nearest(attribute, project.attributes)
                yield documents["profile.yaml"].issue(at, f"there is no attribute {attribute!r}", hint)
