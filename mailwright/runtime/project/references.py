"""Whether the names that definitions use of one another exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mailwright.core.errors import Issue, nearest
from mailwright.decisions.mail import MailDefinition, merged
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.runtime.project.documents import Document, Path

if TYPE_CHECKING:
    from mailwright.runtime.project.load import Project

_Mail = tuple[str, Path, MailDefinition]


def check_references(project: Project, documents: Mapping[str, Document]) -> list[Issue]:
    """Every use of a template, content rule, model, attribute or segment that nobody defines."""
    issues: list[Issue] = []
    for path, at, mail in mails(project):
        issues += _mail(project, documents[path], at, mail)
    for name, journey in project.journeys.items():
        document = documents[f"journeys/{name}.yaml"]
        segment = journey.trigger.segment
        if segment not in project.segments:
            key = "enters" if journey.trigger.enters else "leaves"
            issues.append(_unknown(document, ("trigger", key), "segment", segment, project.segments))
    return issues


def mails(project: Project) -> Iterator[_Mail]:
    """Every mail that can be sent, variants merged: file, place in the file, definition."""
    for name, campaign in project.campaigns.items():
        yield from _variants(f"campaigns/{name}.yaml", (), campaign.mail, campaign.experiment)
    for name, journey in project.journeys.items():
        for place, step in enumerate(journey.steps):
            if step.mail is not None:
                yield from _variants(f"journeys/{name}.yaml", ("steps", place), step.mail, step.experiment)


def _variants(path: str, at: Path, mail: MailDefinition, experiment: ExperimentDefinition | None) -> Iterator[_Mail]:
    yield path, (*at, "mail"), mail
    for name, variant in (experiment.variants if experiment else {}).items():
        yield path, (*at, "experiment", "variants", name, "mail"), merged(mail, variant.mail)


def _mail(project: Project, document: Document, at: Path, mail: MailDefinition) -> Iterator[Issue]:
    if mail.template not in project.templates:
        yield _unknown(document, (*at, "template"), "template", mail.template, project.templates)
    for place, rule in enumerate(mail.content_rules):
        if rule not in project.content_rules:
            yield _unknown(document, (*at, "content_rules", place), "content rule", rule, project.content_rules)
    for place, model in enumerate(mail.recommend.sources if mail.recommend else ()):
        if model not in project.models:
            yield _unknown(document, (*at, "recommend", "sources", place), "model", model, project.models)
    for name, variable in mail.variables.items():
        kind, _, path = variable.source.partition(" ")
        known = {"attribute": project.attributes, "segment": project.segments}.get(kind)
        if known is not None and path not in known:
            yield _unknown(document, (*at, "variables", name, "from"), kind, path, known)


def _unknown(document: Document, at: Path, what: str, name: str, known: Mapping[str, object]) -> Issue:
    return document.issue(at, f"there is no {what} {name!r}", nearest(name, known))
