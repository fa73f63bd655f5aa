"""What the door does first with traits and properties: our names, one form for every source, nothing secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from mailwright.core.instants import Instant, to_datetime
from mailwright.core.zones import zone_named
from mailwright.ingest.hooks import MoneyPart, Warn
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.normalise import contacts
from mailwright.ingest.normalise.faults import Unfit
from mailwright.ingest.normalise.fields import Field, Sender, compiled_all, fitted
from mailwright.ingest.normalise.money import Exchange
from mailwright.ingest.normalise.names import names
from mailwright.ingest.normalise.rates import Rates
from mailwright.ingest.plan import ORIGINAL
from mailwright.ingest.schema import ProfileSchema, SourceWays, ValueDefinition, Ways

UTC = ZoneInfo("UTC")
_FALLBACK = Ways(country="", dates=(), decimal="point")
_SLOW = ("country", "language", "currency", "address", "money")  # their names are a table that takes a second to make


class _Book:
    """Declared values by name, and for each source the names under which they come."""

    def __init__(self, definitions: Mapping[str, ValueDefinition], sources: Mapping[str, SourceWays]) -> None:
        self.fields: dict[str, Field] = compiled_all(definitions)
        self.names: Mapping[str, str] = _aliases(definitions)
        self._of_source = {
            source: self.names
            | {theirs: ours for theirs, ours in ways.names.items() if ours.split(".")[0] in definitions}
            for source, ways in sources.items()
        }
        self._met: dict[str, frozenset[str]] = {}

    def names_of(self, source: str) -> Mapping[str, str]:
        """Another name -> ours."""
        return self._of_source.get(source, self.names)

    def met(self, source: str) -> frozenset[str]:
        """Every key that is looked at in what this source sends."""
        found = self._met.get(source if source in self._of_source else "")
        if found is None:
            key = source if source in self._of_source else ""
            found = self._met[key] = frozenset(self.fields) | frozenset(self.names_of(source))
        return found


class Normaliser:
    """A profile schema at work; it keeps nothing of what it sees, so threads may share it."""

    def __init__(self, schema: ProfileSchema, zone: ZoneInfo = UTC, rates: Rates | None = None) -> None:
        """Take a schema without faults, the project's zone, whose days the rates are of, and those."""
        self.schema = schema
        self._rates = rates or Rates()
        self._zone = zone
        self._traits = _Book(schema.traits, schema.sources)
        self._properties = _Book(schema.properties, schema.sources)
        self._accounts = _Book(schema.accounts.traits, schema.sources)
        books: Mapping[MoneyPart, Mapping[str, ValueDefinition]] = {
            "traits": schema.traits,
            "account_traits": schema.accounts.traits,
            "properties": schema.properties,
        }
        self._money = {
            part: frozenset(name for name, one in book.items() if one.normalise == "money")
            for part, book in books.items()
        }
        self._units = {name: ways.units for name, ways in schema.sources.items()}
        phone = schema.traits.get("phone")
        self._phones = phone is not None and phone.normalise == "phone"
        email = schema.traits.get("email")
        self._emails = email is not None and email.normalise == "email"
        self._sealing: tuple[Seal, Seal] | None = None

    def traits(
        self, source: str, traits: dict[str, Any], warn: Warn, zone: Any = None, at: Instant | None = None
    ) -> dict[str, Any]:
        """A person's traits as declared.

        Raises:
            Declined: As for all of these, if a value cannot be normalised and the schema then refuses the call.
        """
        return self._fitted(self._traits, source, traits, warn, "traits", zone, at)

    def account_traits(
        self, source: str, traits: dict[str, Any], warn: Warn, zone: Any = None, at: Instant | None = None
    ) -> dict[str, Any]:
        """A group call's traits as declared."""
        return self._fitted(self._accounts, source, traits, warn, "traits", zone, at)

    def properties(
        self,
        source: str,
        event: str,  # noqa: ARG002 a name means the same in whatever event it is
        properties: dict[str, Any],
        warn: Warn,
        zone: Any = None,
        at: Instant | None = None,
    ) -> dict[str, Any]:
        """An event's properties as declared."""
        if self._leaves_alone(properties, source):
            return properties
        return self._fitted(self._properties, source, properties, warn, "properties", zone, at)

    def _leaves_alone(self, properties: Mapping[str, Any], source: str) -> bool:
        """Whether properties are surely as declared already; cheap."""
        book = self._properties
        found = book.met(source) & properties.keys()
        if not found:
            return True
        units, names_ = self._units.get(source, {}), book.names_of(source)
        return all(key not in names_ and book.fields[key].is_settled(properties[key], key, units) for key in found)

    def without_secrets(self, source: str, call: dict[str, Any]) -> dict[str, Any]:
        """A decoded call without what is declared secret: for whoever keeps it as it was sent."""
        made = dict(call)
        schema = self.schema
        people, accounts = (schema.traits, self._traits), (schema.accounts.traits, self._accounts)
        for part, (declared, book) in (
            ("traits", accounts if call.get("type") == "group" else people),
            ("properties", (schema.properties, self._properties)),
        ):
            if isinstance(made.get(part), dict):
                made[part] = _pruned(made[part], declared, book.names_of(source))
        context = made.get("context")
        if isinstance(context, dict) and isinstance(context.get("traits"), dict):
            told = _pruned(context["traits"], schema.traits, self._traits.names_of(source))
            made["context"] = {**context, "traits": told}
        return made

    def sealing(self, seal: Seal) -> Seal:
        """`seal` with the schema's personal and sensitive names, hashing e-mails and phones by their declared form."""
        known = self._sealing
        if known is None or known[0] is not seal:
            made = _FormSeal(self._with_names(seal), self) if self._phones or self._emails else self._with_names(seal)
            known = self._sealing = (seal, made)
        return known[1]

    def contact(self, kind: str, value: str) -> str:
        """An e-mail or phone in its declared form, for hashing; as it is where none is declared, or it is none."""
        try:
            if kind == "phone" and self._phones:
                return contacts.phone(value, self.schema.defaults.country or "")
            if kind == "email" and self._emails:
                return contacts.email(value)
        except Unfit:
            pass
        return value

    def money(self, part: MoneyPart) -> frozenset[str]:
        """Top-level amounts, beside which what was sent is kept."""
        return self._money[part]

    def prepare(self) -> None:
        """Make the tables of names now if they may be needed, so that no request waits for them."""
        books = (self.schema.traits, self.schema.properties, self.schema.accounts.traits)
        if any(_is_slow(one) for book in books for one in book.values()):
            names()

    def _with_names(self, seal: Seal) -> Seal:
        of_traits = frozenset(_sealed_names(self.schema.traits))
        anywhere = frozenset(_nested(self.schema.traits)) | frozenset(_sealed_names(self.schema.properties))
        anywhere |= frozenset(_nested(self.schema.properties))
        return seal.with_names(of_traits, anywhere) if of_traits or anywhere else seal

    def _fitted(
        self, book: _Book, source: str, data: dict[str, Any], warn: Warn, place: str, zone: Any, at: Instant | None
    ) -> dict[str, Any]:
        if not data or book.met(source).isdisjoint(data):
            return data
        sender = self._sender(source, zone, at)
        made = fitted(data, book.fields, book.names_of(source), sender, place)
        for told, reason in sender.told:
            warn(told, reason)
        return made

    def _exchange(self, at: Instant) -> Exchange:
        """By the rates of the shop's day at an instant."""

        def exchange(told: str, wanted: str) -> Fraction:
            return self._rates.exchange(told, wanted, to_datetime(at).astimezone(self._zone).date())

        return exchange

    def _sender(self, source: str, zone: Any, at: Instant | None) -> Sender:
        own, defaults = self.schema.sources.get(source), self.schema.defaults
        country, dates, decimal = _FALLBACK.country, _FALLBACK.dates, _FALLBACK.decimal
        declared = None
        for ways in (defaults, own):
            if ways is not None:
                country = ways.country if ways.country is not None else country
                dates = ways.dates if ways.dates is not None else dates
                decimal = ways.decimal if ways.decimal is not None else decimal
        said = own.time_zone if own is not None and own.time_zone else None
        declared = zone_named(said) or zone_named(zone) or zone_named(defaults.time_zone)
        return Sender(
            country=country or "",
            zone=declared or self._zone,
            declared=declared is not None,
            dates=dates or (),
            decimal=decimal or "point",
            units=self._units.get(source, {}),
            exchange=None if at is None else self._exchange(at),
        )


class _FormSeal:
    """A seal that hashes e-mails and phone numbers by their declared form, so that three spellings are one person."""

    def __init__(self, inner: Seal, normaliser: Normaliser) -> None:
        self._inner = inner
        self._normaliser = normaliser

    @property
    def suspects(self) -> frozenset[str]:
        return self._inner.suspects

    def hash(self, kind: str, value: str) -> str:
        return self._inner.hash(kind, self._normaliser.contact(kind, value))

    def seal_fields(self, part: str, data: dict[str, Any]) -> dict[str, Any]:
        return self._inner.seal_fields(part, data)

    def with_names(self, traits: frozenset[str], anywhere: frozenset[str]) -> Seal:
        return _FormSeal(self._inner.with_names(traits, anywhere), self._normaliser)


def _nested(definitions: Mapping[str, ValueDefinition]) -> list[str]:
    """``parent.field`` of every personal field of an object."""
    found: list[str] = []
    for name, one in definitions.items():
        inner = one.items.fields if one.items else one.fields
        found += [f"{name}.{key}" for key in _sealed_names(inner)]
        found += _nested(inner)
    return found


def _sealed_names(definitions: Mapping[str, ValueDefinition]) -> Iterator[str]:
    """The fields that are personal; of money also the one that keeps what was sent."""
    for name, one in definitions.items():
        if one.policy in ("personal", "sensitive"):
            yield name
            if one.normalise == "money":
                yield name + ORIGINAL


def _is_slow(one: ValueDefinition) -> bool:
    inner = [*one.fields.values(), *([one.items] if one.items else [])]
    return one.normalise in _SLOW or any(_is_slow(each) for each in inner)


def _pruned(
    data: Mapping[str, Any], definitions: Mapping[str, ValueDefinition], names_: Mapping[str, str]
) -> dict[str, Any]:
    """An object without its secret fields, under whatever name they come."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        one = _found(definitions, names_.get(key, key))
        if one is None or one.policy != "secret":
            found[key] = value if one is None else _pruned_value(value, one)
    return found


def _pruned_value(value: Any, one: ValueDefinition) -> Any:
    if isinstance(value, dict):
        return _pruned(value, one.fields, _aliases(one.fields))
    if isinstance(value, list) and one.items is not None:
        return [_pruned_value(each, one.items) for each in value]
    return value


def _found(definitions: Mapping[str, ValueDefinition], path: str) -> ValueDefinition | None:
    """What is declared at a dotted path, or the secret that it lies in."""
    head, *rest = path.split(".")
    one = definitions.get(head)
    for step in rest:
        if one is None or one.policy == "secret":
            break
        one = one.fields.get(step)
    return one


def _aliases(definitions: Mapping[str, ValueDefinition]) -> dict[str, str]:
    return {alias: name for name, one in definitions.items() for alias in one.aliases}
