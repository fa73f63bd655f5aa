"""Which definition uses which event, property and trait: what rules read, and what the other files name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import sqlglot
from sqlglot import exp

from mailwright.decisions.mail import parse_source
from mailwright.ingest.expressions import looks_like_expression
from mailwright.ingest.forms.definitions import TAGS, FormDefinition
from mailwright.ingest.forms.submission import ANSWERED, SEEN, STARTED, SUBMITTED
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.lookups import ATTRIBUTE, LookupDefinition
from mailwright.ingest.mapping import Cell
from mailwright.ingest.schema import ProfileSchema, ValueDefinition
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.profiles.identity_rules import KINDS
from mailwright.reports.data_map import Key
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.reports.quality.people import COMPARED
from mailwright.rules.sql.star import views
from mailwright.rules.sugar import OWN_EVENTS
from mailwright.rules.uses import Uses as Read
from mailwright.rules.uses import uses_of
from mailwright.rules.zones import ZONE
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.references import mails

OURS = "Mailwright itself"
"""Who uses what Mailwright tells, as mails, forms and the tracking plan would not work without it, and the time zone
that decides every day and hour of a person."""

_OWN = (*OWN_EVENTS, SUBMITTED, SEEN, STARTED, ANSWERED, "Violation Generated")
_VIEWS = ("orders", "order_lines", "messages")
"""Those of the star-shaped views that read what they name; the others give whatever there is."""

_Use = tuple[Key, str]


@dataclass(frozen=True, slots=True)
class _Query:
    """What a statement of SQL names.

    Attributes:
        texts: Every text in it; those that are names of events are events.
        fields: (column, key) of what it takes out of JSON: ``(properties, total)``.
        columns: Names of columns.
    """

    texts: frozenset[str] = frozenset()
    fields: frozenset[tuple[str, str]] = frozenset()
    columns: frozenset[str] = frozenset()

    def reads(self, key: Key) -> bool:
        kind, name = key
        match kind:
            case "event":
                return name in self.texts
            case "trait":
                return ("traits", name) in self.fields or ("trait" in self.columns and name in self.texts)
            case "property":
                # A statement that asks for names of events reads the properties of those alone.
                return any(
                    column == "properties"
                    and name.endswith(f".{step}")
                    and ("name" not in self.columns or name.removesuffix(f".{step}") in self.texts)
                    for column, step in self.fields
                )
        return False


@dataclass(frozen=True, slots=True)
class Uses:
    """What the definitions use.

    Attributes:
        named: Piece -> the definitions that name it, each in words: ``segment vip``.
    """

    named: dict[Key, set[str]] = field(default_factory=dict)
    _identifiers: set[str] = field(default_factory=set)
    _queries: dict[str, _Query] = field(default_factory=dict)

    def of(self, key: Key) -> set[str]:
        """The definitions that use a piece."""
        kind, name = key
        own = kind == "event" and name in _OWN
        own = own or key == ("trait", *ZONE)
        own = own or (kind == "property" and any(name.startswith(f"{event}.") for event in _OWN))
        asked = {user for user, query in self._queries.items() if query.reads(key)}
        told = [OURS] if own else ["identity"] if kind == "trait" and name in self._identifiers else []
        return {*self.named.get(key, ()), *asked, *told}


def uses(project: Project) -> Uses:
    """Everything that a project uses."""
    identity = project.identity
    kinds = {*KINDS, *identity.priority, *identity.kinds, *(identity.external or ())}
    found = Uses(_identifiers=kinds, _queries={user: _query(sql) for user, sql in _sql(project)})
    for key, user in (
        *_by_rules(project),
        *_by_mails(project),
        *_by_models(project),
        *_by_quality(project.quality),
        *_by_profile(project.profile),
        *(use for name, form in project.forms.items() for use in _by_form(f"form {name}", form)),
        *(use for name, lookup in project.lookups.items() for use in _by_lookup(f"lookup {name}", lookup)),
        *(use for name, one in project.imports.items() for use in _by_import(f"import {name}", one)),
        *(use for name, hook in project.webhooks.items() for use in _by_webhook(f"webhook {name}", hook)),
        (("event", project.data_map.conversion), "conversion of the data map"),
    ):
        found.named.setdefault(key, set()).add(user)
    return found


def declared(project: Project) -> set[Key]:
    """Pieces that the tracking plan and the profile schema name."""
    plan, profile = project.tracking_plan, project.profile
    types = plan.types()
    properties: set[Key] = {("property", f"{event}.{name}") for event, one in types.properties.items() for name in one}
    events: set[Key] = {("event", name) for name in types.properties}
    traits: set[Key] = {("trait", name) for name in (*types.traits, *profile.traits)}
    accounts: set[Key] = {("account", name) for name in profile.accounts.traits}
    return events | properties | traits | accounts


def _by_rules(project: Project) -> Iterator[_Use]:
    named = {
        **{f"attribute {name}": node for name, node in project.expressions.items()},
        **{f"segment {name}": node for name, node in project.memberships.items()},
        **{name.replace(":", " ", 1): node for name, node in project.conditions.items()},
    }
    for user, node in named.items():
        for key in _keys(uses_of(node)):
            yield key, user


def _keys(read: Read) -> Iterator[Key]:
    yield from (("event", name) for name in read.events)
    yield from (("property", f"{event}.{name}") for event, name in read.properties)
    yield from (("trait", name) for name in read.traits)


def _by_mails(project: Project) -> Iterator[_Use]:
    for placed in mails(project):
        folder, _, name = placed.path.removesuffix(".yaml").partition("/")
        user = f"mail of {folder.removesuffix('s')} {name}"
        yield ("trait", "email"), user
        for _, mail in placed.sent():
            for variable in mail.variables.values():
                source = parse_source(variable.source)
                if source.kind == "trait":
                    yield ("trait", source.path.partition(".")[0]), user


def _by_models(project: Project) -> Iterator[_Use]:
    for name, model in project.models.items():
        yield ("event", model.event), f"model {name}"
        yield ("property", f"{model.event}.{model.items.partition('.')[0]}"), f"model {name}"


def _by_quality(quality: QualityDefinition) -> Iterator[_Use]:
    for event, name in quality.keys.items():
        yield ("event", event), "quality keys"
        yield ("property", f"{event}.{name}"), "quality keys"
    for event in quality.freshness:
        yield ("event", event), "quality freshness"
    for name, asked in quality.reconcile.items():
        yield ("event", asked.event), f"reconciliation {name}"
        if asked.value:
            yield ("property", f"{asked.event}.{asked.value}"), f"reconciliation {name}"
    for name in quality.audit.expected:
        yield ("trait", name), "audit expected"
    for name in quality.audit.fill:
        yield ("trait", name), "audit fill"
    if quality.audit.duplicates.merge_above is not None:
        yield from ((("trait", name), "audit duplicates") for name in COMPARED)


def _by_profile(profile: ProfileSchema) -> Iterator[_Use]:
    for name in profile.indexed():
        yield ("trait", name), "lookup of people"
    for beside in _beside(profile.traits.values()):
        yield ("trait", beside), "profile schema"
    for beside in _beside(profile.accounts.traits.values()):
        yield ("account", beside), "profile schema"


def _beside(definitions: Any) -> Iterator[str]:
    """Fields that tell the currency or country of another."""
    one: ValueDefinition
    for one in definitions:
        yield from filter(None, (one.currency_from, one.country_from))


def _by_form(user: str, form: FormDefinition) -> Iterator[_Use]:
    for one in form.fields:
        yield ("trait", one.trait), user
        for option in one.options:
            yield from ((("trait", name), user) for name in (*option.set, *([TAGS] if option.tag else [])))


def _by_lookup(user: str, lookup: LookupDefinition) -> Iterator[_Use]:
    places = [where for where in lookup.place.values() if not where.startswith(ATTRIBUTE)]
    written = [lookup.into] if lookup.into else list(lookup.values)
    for path in (*(["email"] if lookup.by == "email" else []), *places, *written):
        yield ("trait", path.partition(".")[0]), user


def _by_import(user: str, asked: ImportDefinition) -> Iterator[_Use]:
    targets = [cell.to if isinstance(cell, Cell) else cell for cell in (asked.columns or {}).values()]
    for target in (*targets, *(asked.constants or {})):
        part, _, rest = target.partition(".")
        name = rest.partition(".")[0]
        if part == "traits" and name:
            yield ("account" if asked.kind == "group" else "trait", name), user
        elif part == "properties" and name and asked.event:
            yield ("property", f"{asked.event}.{name}"), user
    for event in (asked.event, asked.deletes.event if asked.deletes else ""):
        if event:
            yield ("event", event), user


def _by_webhook(user: str, hook: WebhookDefinition) -> Iterator[_Use]:
    for one in hook.events:
        for name in one.traits:
            yield ("account" if one.type == "group" else "trait", name), user
        if one.name and not looks_like_expression(one.name):
            yield ("event", one.name), user
            yield from ((("property", f"{one.name}.{name}"), user) for name in one.properties)


def _sql(project: Project) -> Iterator[tuple[str, str]]:
    yield from ((f"segment {name}", one.sql) for name, one in project.sql_segments.items())
    yield from ((f"view {name}", views()[name]) for name in _VIEWS)


def _query(sql: str) -> _Query:
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return _Query()
    fields = {
        (taken.this.name.lower(), str(step.this))
        for taken in tree.find_all(exp.JSONExtract, exp.JSONExtractScalar)
        for step in islice(taken.expression.find_all(exp.JSONPathKey), 1)
    }
    return _Query(
        texts=frozenset(one.this for one in tree.find_all(exp.Literal) if one.is_string),
        fields=frozenset(fields),
        columns=frozenset(column.name.lower() for column in tree.find_all(exp.Column)),
    )
