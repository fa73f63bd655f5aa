"""The declared profile schema, ``profile.yaml``: what traits and properties are, and how they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec

from mailwright.core.errors import nearest
from mailwright.core.zones import zone_named
from mailwright.ingest.definitions import ValueType
from mailwright.ingest.normalise.money import is_currency
from mailwright.ingest.normalise.places import is_country
from mailwright.ingest.normalise.times import format_fault
from mailwright.ingest.normalise.units import UNITS, converts

Normal = Literal[
    "email", "phone", "country", "language", "currency", "money", "postal_code", "place", "address"
]  # fmt: skip
Policy = Literal["none", "personal", "sensitive", "secret"]
OnFault = Literal["keep", "drop", "refuse"]
Place = tuple[str, ...]

_OF_NORMAL: Mapping[str, ValueType] = {"money": "number", "address": "object"}


class Misfit(NamedTuple):
    """A fault of the schema: the path of keys to it in the file, what is wrong, what to do."""

    at: Place
    message: str
    hint: str = ""


class ValueDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a value is and how it is made one of its type.

    Attributes:
        type: Without one it is what `normalise` gives, else text.
        aliases: Other names under which it arrives, from any source.
        unit: Of a number; values with another unit (by their text, or by their source) are converted.
        normalise: A form beyond the type: an address in one spelling, a code for a country.
        currency: Of money: the one that it is kept in. An amount that comes in another is exchanged by ``rates.csv``.
        currency_from: The name of the field beside it, or beside what it lies in, that tells in which currency it
            comes; without `currency` it stays in that one.
        country_from: The field beside a phone number or postal code that tells its country.
        yes: Words for true of a boolean, beside the common ones.
        no: Words for false.
        separator: Text is cut there into a list.
        items: What the elements of a list are.
        fields: What the fields of an object are; others are let in as they are.
        policy: ``personal`` is sealed at the door, ``sensitive`` is sealed and no rule may read it, ``secret`` is never
            stored.
        on_fault: What happens to a value that cannot be normalised: it is kept as sent, left out, or the whole call is
            refused. Each is told in the answer.
    """

    type: ValueType | None = None
    aliases: tuple[str, ...] = ()
    unit: str = ""
    normalise: Normal | None = None
    currency: str = ""
    currency_from: str = ""
    country_from: str = ""
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    separator: str = ""
    items: ValueDefinition | None = None
    fields: Mapping[str, ValueDefinition] = {}
    policy: Policy = "none"
    on_fault: OnFault = "keep"

    @property
    def kind(self) -> ValueType:
        """The type, declared or implied."""
        if self.type is not None:
            return self.type
        if self.normalise is not None:
            return _OF_NORMAL.get(self.normalise, "text")
        return (
            "list" if self.items or self.separator else "object" if self.fields else "number" if self.unit else "text"
        )

    def faults(self, at: Place) -> Iterator[Misfit]:
        """What does not fit together; `at` is where it is declared."""
        if self.normalise is not None and self.kind != (wanted := _OF_NORMAL.get(self.normalise, "text")):
            yield Misfit((*at, "type"), f"normalise: {self.normalise} gives {wanted}, not {self.kind}")
        if self.unit and self.kind != "number":
            yield Misfit((*at, "unit"), f"a unit belongs to a number, this is {self.kind}")
        if self.unit and self.unit not in UNITS:
            yield Misfit((*at, "unit"), f"there is no unit {self.unit!r}", nearest(self.unit, UNITS))
        if self.currency and not is_currency(self.currency):
            yield Misfit((*at, "currency"), f"{self.currency!r} is no ISO 4217 code", "write it like EUR")
        if (self.currency or self.currency_from) and self.normalise != "money":
            yield Misfit((*at, "currency" if self.currency else "currency_from"), "belongs to normalise: money")
        if (self.items or self.separator) and self.kind != "list":
            yield Misfit((*at, "items" if self.items else "separator"), f"belongs to a list, this is {self.kind}")
        if self.fields and self.kind != "object":
            yield Misfit((*at, "fields"), f"fields belong to an object, this is {self.kind}")
        if self.items:
            yield from self.items.faults((*at, "items"))
            if self.items.policy != "none":
                yield Misfit((*at, "items", "policy"), "elements share the list's policy", "declare it on the list")
        yield from _of_names(self.fields, (*at, "fields"))


class TraitDefinition(ValueDefinition, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A trait of people, under its name.

    Attributes:
        title: What pages call it; its name without one.
        index: People can be looked up by it.
        merge: Which of several writes counts: the newest, the oldest, or all lists together.
        rules: Rules may read it although it is sensitive.
    """

    title: str = ""
    description: str = ""
    index: bool = False
    merge: Literal["newest", "oldest", "union"] = "newest"
    rules: bool = False

    def faults(self, at: Place) -> Iterator[Misfit]:
        """What does not fit together."""
        yield from super().faults(at)
        if self.merge == "union" and self.kind != "list":
            yield Misfit((*at, "merge"), f"only lists can be united, this is {self.kind}", "add type: list")
        if self.index and self.kind == "object":
            yield Misfit((*at, "index"), "an object cannot be looked up", "index a text, a number or a list")
        if self.policy == "secret" and (self.index or self.rules):
            yield Misfit((*at, "policy"), "a secret is never stored, so nothing can find or read it")


class Ways(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How values are written.

    Attributes:
        country: ISO 3166 alpha-2, for phone numbers and postal codes that do not tell theirs.
        time_zone: Of times without an offset; without one the call's own ``context.timezone``, else the project's.
        dates: Forms such as ``DD.MM.YYYY``, ``MM/DD/YYYY HH:mm``, ``unix``, ``unix_ms``; ISO 8601 is always read.
        decimal: Whether ``1,5`` or ``1.5`` is one and a half.
    """

    country: str | None = None
    time_zone: str | None = None
    dates: tuple[str, ...] | None = None
    decimal: Literal["point", "comma"] | None = None

    def faults(self, at: Place) -> Iterator[Misfit]:
        """Codes and forms that nobody knows."""
        if self.country and not is_country(self.country):
            yield Misfit((*at, "country"), f"{self.country!r} is no ISO 3166 code", "write it like DE")
        if self.time_zone and zone_named(self.time_zone) is None:
            yield Misfit((*at, "time_zone"), f"there is no time zone {self.time_zone!r}", "write it like Europe/Berlin")
        for form in self.dates or ():
            if fault := format_fault(form):
                yield Misfit((*at, "dates"), f"{form!r}: {fault}", "write it like DD.MM.YYYY or MM/DD/YYYY HH:mm")


class SourceWays(Ways, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How one source writes, where it differs.

    Attributes:
        names: Its name for a trait or property -> ours; ``address.street`` puts it into an object.
        units: Trait or property (ours) -> the unit in which this source sends it; ``minor`` for money in cents.
    """

    names: Mapping[str, str] = {}
    units: Mapping[str, str] = {}


_FUNCTIONS = {"sum": "sum", "average": "average", "min": "least", "max": "greatest"}


class RollUp(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A figure of an account over its members now: how many, or something of a computed attribute; one of these.

    Attributes:
        people: ``count``: how many members it has.
        sum: The attribute whose values are added; members without a value are left out, as for the others.
        average: The attribute whose mean it is.
        min: The attribute whose least value it is.
        max: The attribute whose greatest value it is.
        title: What pages and commands call it; without, what it is made of.
    """

    people: Literal["count"] | None = None
    sum: str | None = None
    average: str | None = None
    min: str | None = None
    max: str | None = None
    title: str = ""

    def __post_init__(self) -> None:
        """Refuse a figure that means nothing, or two things."""
        if len(self.asked()) != 1:
            raise ValueError("one of people: count, sum, average, min and max says what it is")

    def asked(self) -> dict[str, str]:
        """The one function and the attribute that it asks; ``people`` asks none."""
        told = {"people": self.people, "sum": self.sum, "average": self.average, "min": self.min, "max": self.max}
        return {name: attribute for name, attribute in told.items() if attribute is not None}

    def named(self, titles: Mapping[str, str]) -> str:
        """What people call it; `titles` are those of the attributes."""
        function, attribute = next(iter(self.asked().items()))
        if self.title or function == "people":
            return self.title or "Members"
        name = titles.get(attribute) or attribute.replace("_", " ")
        return f"{name[:1].upper()}{name[1:]} ({_FUNCTIONS[function]})"


class AccountsDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is known of accounts (``group`` calls).

    Attributes:
        traits: Their traits.
        rollup: Figures over their members, by name.
    """

    traits: Mapping[str, TraitDefinition] = {}
    rollup: Mapping[str, RollUp] = {}

    def faults(self) -> Iterator[Misfit]:
        """What does not fit together."""
        yield from _of_names(self.traits, ("accounts", "traits"))
        yield from _of_currencies(self.traits, ("accounts", "traits"), {})
        for name, one in self.traits.items():
            at = ("accounts", "traits", name)
            if one.policy not in ("none", "secret"):
                yield Misfit((*at, "policy"), "an account is no person: its traits are kept in clear text, or secret")
            if one.index or one.merge != "newest":
                yield Misfit((*at, "index" if one.index else "merge"), "belongs to traits of people")


class RatesDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How ``rates.csv`` is used.

    Attributes:
        max_age_days: How many days before the event's own a rate may be of; 0: of that very day alone.
    """

    max_age_days: Annotated[int, msgspec.Meta(ge=0, le=3660)] = 7


class ProfileSchema(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """``profile.yaml``.

    Attributes:
        defaults: How values are written where a source says nothing else.
        traits: Traits of people.
        properties: Properties of events, by name; of whatever event they are.
        sources: How single sources write, by the source's name.
        accounts: Companies, households, teams.
        rates: How money is exchanged.
    """

    defaults: Ways = Ways()
    traits: Mapping[str, TraitDefinition] = {}
    properties: Mapping[str, ValueDefinition] = {}
    sources: Mapping[str, SourceWays] = {}
    accounts: AccountsDefinition = AccountsDefinition()
    rates: RatesDefinition = RatesDefinition()

    def faults(self) -> Iterator[Misfit]:
        """Every fault that types cannot tell."""
        yield from self.defaults.faults(("defaults",))
        yield from _of_names(self.traits, ("traits",))
        yield from _of_names(self.properties, ("properties",))
        yield from _of_currencies(self.traits, ("traits",), {})
        yield from _of_currencies(self.properties, ("properties",), {})
        yield from self.accounts.faults()
        for name, source in self.sources.items():
            at = ("sources", name)
            yield from source.faults(at)
            for theirs, ours in source.names.items():
                if self._declared(ours) is None:
                    known = [*self.traits, *self.properties, *self.accounts.traits]
                    yield Misfit((*at, "names", theirs), f"{ours!r} is declared nowhere", nearest(ours, known))
            for ours, unit in source.units.items():
                yield from self._unit_faults(ours, unit, (*at, "units", ours))

    def _declared(self, path: str) -> ValueDefinition | None:
        """The definition of a trait or property by its dotted path; a built-in field of an address counts as text."""
        head, *rest = path.split(".")
        for book in (self.traits, self.properties, self.accounts.traits):
            found: ValueDefinition | None = book.get(head)
            for step in rest:
                if found is not None:
                    found = found.fields.get(step) or (_FIELD if found.kind == "object" else None)
            if found is not None:
                return found
        return None

    def _unit_faults(self, ours: str, unit: str, at: Place) -> Iterator[Misfit]:
        declared = self._declared(ours)
        if declared is None:
            yield Misfit(at, f"{ours!r} is declared nowhere", nearest(ours, [*self.traits, *self.properties]))
        elif declared.normalise == "money":
            if unit not in ("minor", "major"):
                yield Misfit(at, f"money comes in minor or major units, not in {unit!r}")
        elif not converts(unit, declared.unit):
            yield Misfit(at, f"{unit!r} cannot be made {declared.unit or 'a number without a unit'!r}")

    def names(self, policy: str) -> frozenset[str]:
        """Top-level traits of a policy."""
        return frozenset(name for name, one in self.traits.items() if one.policy == policy)

    def money(self) -> dict[str, ValueDefinition]:
        """Top-level properties that are money."""
        return {name: one for name, one in self.properties.items() if one.normalise == "money"}

    def indexed(self) -> frozenset[str]:
        """Traits that people are looked up by."""
        return frozenset(name for name, one in self.traits.items() if one.index)

    def merges(self) -> dict[str, str]:
        """Traits of which another write than the newest counts, with which."""
        return {name: one.merge for name, one in self.traits.items() if one.merge != "newest"}

    def types(self) -> dict[str, ValueType]:
        """Dotted trait -> type, as the rule language takes it: what is sealed has none."""
        return dict(_types(self.traits, ""))

    def closed(self) -> dict[str, str]:
        """Dotted traits that no rule may read, each with the reason."""
        found = dict(_closed(self.traits, ""))
        for name, one in self.traits.items():
            if one.merge != "newest":
                found[name] = f"profile.yaml says merge: {one.merge}, and a rule reads what was written last"
            elif one.policy == "sensitive" and one.rules:
                found.pop(name)
        if self.traits.get("birthday", _FIELD).policy != "none":
            found.setdefault("birthday", "it is sealed, and an age cannot be told from it")
        return found


def _of_currencies(
    definitions: Mapping[str, ValueDefinition], at: Place, around: Mapping[str, tuple[str, str]]
) -> Iterator[Misfit]:
    """Money that shares the field telling its currency, beside it or around it, but is kept in another one.

    An exchange writes the currency that it is kept in to that field, where it would be read as that of all.

    Args:
        definitions: Of one object.
        at: Where they are declared.
        around: Field that tells a currency -> (name, currency) of an amount of the objects around.
    """
    shared = dict(around)
    objects: list[tuple[Place, ValueDefinition]] = []
    for name, declared in definitions.items():
        place, one = (*at, name), declared
        while one.items:
            place, one = (*place, "items"), one.items
        objects.append((place, one))
        if one.normalise != "money" or not one.currency_from:
            continue
        other, currency = shared.setdefault(one.currency_from, (name, one.currency))
        if currency != one.currency:
            is_kept = f"is kept in {currency}" if currency else "stays in what it comes in"
            message = f"{other!r} has the same currency_from: {one.currency_from}, and {is_kept}"
            at_fault = (*place, "currency" if one.currency else "currency_from")
            yield Misfit(at_fault, message, "declare one currency for both, or another currency_from")
    for place, one in objects:
        yield from _of_currencies(one.fields, (*place, "fields"), shared)


_FIELD = ValueDefinition()
_MOST_NAME_BYTES = 120


def _types(definitions: Mapping[str, ValueDefinition], before: str) -> Iterator[tuple[str, ValueType]]:
    for name, one in definitions.items():
        if one.policy == "none":
            yield before + name, one.kind
            yield from _types(one.fields, f"{before}{name}.")


def _closed(definitions: Mapping[str, ValueDefinition], before: str) -> Iterator[tuple[str, str]]:
    for name, one in definitions.items():
        if one.policy == "secret":
            yield before + name, "profile.yaml declares it secret, so it is never stored"
        elif one.policy == "sensitive":
            yield before + name, "profile.yaml declares it sensitive; rules: true would let rules read it"
        else:
            yield from _closed(one.fields, f"{before}{name}.")


def _of_names(definitions: Mapping[str, ValueDefinition], at: Place) -> Iterator[Misfit]:
    """Faults of definitions that stand beside one another: of each, and names that two of them take."""
    taken = dict.fromkeys(definitions, "")
    for name, one in definitions.items():
        if len(name.encode()) > _MOST_NAME_BYTES:
            yield Misfit((*at, name), f"a name has at most {_MOST_NAME_BYTES} bytes")
        if "." in name or not name:
            yield Misfit((*at, name), "a name has no dot in it", "declare it as a field of an object")
        yield from one.faults((*at, name))
        for alias in one.aliases:
            if alias in taken and taken[alias] != name:
                message = f"{alias!r} is {taken[alias] or 'a declared name'} already"
                yield Misfit((*at, name, "aliases"), message, "take one of them out")
            taken[alias] = name
