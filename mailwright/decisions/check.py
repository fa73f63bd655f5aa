"""Cross-checks of a mail's definition against the rest of the project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.decisions.content_rules import ContentRuleDefinition
from mailwright.decisions.mail import MailDefinition, Source, merged, parse_source
from mailwright.experiments.definitions import ExperimentDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a project defines, by name. Traits are not listed: any event may bring a new one."""

    templates: Collection[str] = ()
    content_rules: Mapping[str, ContentRuleDefinition] = field(default_factory=dict)
    attributes: Collection[str] = ()
    segments: Collection[str] = ()
    models: Collection[str] = ()


def check_mail(mail: MailDefinition, names: Names, path: str) -> list[Issue]:
    """Every name in a mail that nothing defines; `path` says where the mail stands."""
    return [issue for issue in _mail(mail, names, path) if issue is not None]


def check_experiment(mail: MailDefinition, experiment: ExperimentDefinition, names: Names, path: str) -> list[Issue]:
    """The same for every variant of the mail; a variant whose overrides do not fit is one issue."""
    issues: list[Issue] = []
    for name, variant in experiment.variants.items():
        where = f"{path}.experiment.variants.{name}.mail"
        try:
            whole = merged(mail, variant.mail)
        except InvalidInput as error:
            issues.append(Issue(path=where, message=error.message))
        else:
            issues += check_mail(whole, names, where)
    return list(dict.fromkeys(issues))


def _mail(mail: MailDefinition, names: Names, path: str) -> Iterator[Issue | None]:
    yield _known("template", mail.template, names.templates, f"{path}.template")
    for rule in mail.content_rules:
        yield _known("content rule", rule, names.content_rules, f"{path}.content_rules")
    for name, variable in mail.variables.items():
        yield _source(parse_source(variable.source), mail, names, f"{path}.variables.{name}.from")
    if mail.recommend:
        for model in mail.recommend.sources:
            yield _known("model", model, names.models, f"{path}.recommend.sources")
        for source in mail.recommend.exclusions():
            yield _source(source, mail, names, f"{path}.recommend.exclude")


def _source(source: Source, mail: MailDefinition, names: Names, path: str) -> Issue | None:
    first = source.path.split(".")[0]
    match source.kind:
        case "attribute":
            return _known("attribute", first, names.attributes, path)
        case "segment":
            return _known("segment", source.path, names.segments, path)
        case "content":
            slots = {names.content_rules[rule].slot for rule in mail.content_rules if rule in names.content_rules}
            return _known("content slot of this mail", first, slots, path)
        case "trait":
            return None


def _known(what: str, name: str, known: Collection[str], path: str) -> Issue | None:
    if name in known:
        return None
    return Issue(path=path, message=f"there is no {what} {name!r}", hint=nearest(name, known))
