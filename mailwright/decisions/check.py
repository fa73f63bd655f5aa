"""Cross-checks of a mail's definition against the rest of the project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from mailwright.core.errors import nearest
from mailwright.decisions.content_rules import ContentRuleDefinition
from mailwright.decisions.mail import MailDefinition, Source, parse_source

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a project defines, by name. Traits are not listed: any event may bring a new one."""

    templates: Collection[str] = ()
    content_rules: Mapping[str, ContentRuleDefinition] = field(default_factory=dict)
    attributes: Collection[str] = ()
    segments: Collection[str] = ()
    models: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a mail that fits nothing: keys and places from the mail down to it, what is wrong, what to do."""

    at: Place
    message: str
    hint: str


def check_mail(mail: MailDefinition, names: Names) -> list[Fault]:
    """Every name in a mail, a variant's overrides merged already, that nothing defines."""
    return [fault for fault in _mail(mail, names) if fault is not None]


def _mail(mail: MailDefinition, names: Names) -> Iterator[Fault | None]:
    yield _known("template", mail.template, names.templates, ("template",))
    for place, rule in enumerate(mail.content_rules):
        yield _known("content rule", rule, names.content_rules, ("content_rules", place))
    for name, variable in mail.variables.items():
        yield _source(parse_source(variable.source), mail, names, ("variables", name, "from"))
    if mail.recommend:
        for place, model in enumerate(mail.recommend.sources):
            yield _known("model", model, names.models, ("recommend", "sources", place))
        for place, text in enumerate(mail.recommend.exclude):
            yield _source(parse_source(text), mail, names, ("recommend", "exclude", place))
        if mail.recommend.exclude_recent:
            yield _source(mail.recommend.exclusions()[0], mail, names, ("recommend", "exclude_recent"))


def _source(source: Source, mail: MailDefinition, names: Names, at: Place) -> Fault | None:
    first = source.path.split(".")[0]
    match source.kind:
        case "attribute":
            return _known("attribute", first, names.attributes, at)
        case "segment":
            return _known("segment", source.path, names.segments, at)
        case "content":
            return _content(source.path, mail, names, at)
        case "trait":
            return None


def _content(path: str, mail: MailDefinition, names: Names, at: Place) -> Fault | None:
    slot, name = path.split(".")[:2]
    rules = [names.content_rules[rule] for rule in mail.content_rules if rule in names.content_rules]
    filled = [rule for rule in rules if rule.slot == slot]
    if not filled:
        return _known("content slot of this mail", slot, {rule.slot for rule in rules}, at)
    fields = {key for rule in filled for use in (rule.otherwise, *(row.use for row in rule.rows)) for key in use}
    return _known(f"field of slot {slot!r}", name, fields, at)


def _known(what: str, name: str, known: Collection[str], at: Place) -> Fault | None:
    return None if name in known else Fault(at, f"there is no {what} {name!r}", nearest(name, known))
