"""One declared value: what is sent becomes what is declared, and whatever does not is told with its place."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from mailwright.ingest.hooks import Declined
from mailwright.ingest.normalise import contacts, money, numbers, places, times
from mailwright.ingest.normalise.faults import Foreign, Original, Unfit, shape
from mailwright.ingest.plan import ORIGINAL
from mailwright.ingest.standard import AMOUNTS

if TYPE_CHECKING:
    from mailwright.ingest.schema import ValueDefinition

GONE: Final = object()
"""In place of a value that is left out."""


@dataclass(slots=True, kw_only=True)
class Sender:
    """How the sender of one call writes, and what is told to it.

    Attributes:
        zone: Of times without an offset; `declared` if it was said on purpose, so that dates are cut by it too.
        units: Dotted name -> the unit in which this source sends it.
        exchange: The rates of the day on which it happened; None if that is not known.
        told: (place, reason) of whatever was kept as sent or left out.
    """

    country: str
    zone: ZoneInfo
    declared: bool
    dates: tuple[str, ...]
    decimal: numbers.Decimals
    units: Mapping[str, str]
    exchange: money.Exchange | None = None
    told: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Scope:
    """An object as it was sent, under our names, while its values are made what they shall be.

    Attributes:
        outer: The object that it lies in.
        writes: Fields that its values put beside themselves when all are done.
    """

    data: Mapping[str, Any]
    outer: Scope | None = None
    writes: dict[str, Any] = field(default_factory=dict)

    def told(self, name: str) -> Any:
        """What the field of that name says, here or else in the nearest object around; None if none says anything."""
        scope: Scope | None = self
        while scope is not None:
            if (said := scope.data.get(name)) not in (None, ""):
                return said
            scope = scope.outer
        return None

    def write(self, beside: Mapping[str, Any], original: Original) -> None:
        """Put fields beside an amount that was sent as `original`.

        Raises:
            Foreign: If another value says something else of one of them.
        """
        if any(self.writes.get(name, value) != value for name, value in beside.items()):
            raise Foreign("its currency is not that of the amounts beside it", original)
        self.writes.update(beside)


class Spot(NamedTuple):
    """Where a value stands: whose it is, the object around it, its dotted name, and its place in the call.

    `single`: It is the value of its name, not one of a list of them.
    """

    sender: Sender
    scope: Scope
    name: str
    place: str
    single: bool = True


Made = Callable[[Any, Spot], Any]
"""The value as declared, or Unfit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A declared value, ready for use.

    Attributes:
        settled: Types of which a value is as declared already, whoever sends it: a cheap first test.
        numeric: A number is one only where the source sends no other unit.
    """

    made: Made
    settled: frozenset[type]
    numeric: bool
    secret: bool
    on_fault: str

    def is_settled(self, value: Any, name: str, units: Mapping[str, str]) -> bool:
        """Whether `fit` would surely leave this value of a top-level name alone."""
        return type(value) in self.settled and not (self.numeric and name in units)

    def fit(self, value: Any, spot: Spot) -> Any:
        """The value as declared; GONE if it is left out. Null stays null: it removes.

        Raises:
            Declined: If it cannot be normalised and the schema then refuses the call.
        """
        if self.secret:
            spot.sender.told.append((spot.place, "left out: it is declared secret and never stored"))
            return GONE
        if value is None:
            return None
        try:
            return self.made(value, spot)
        except Unfit as why:
            return self._unfit(value, spot, why)

    def _unfit(self, value: Any, spot: Spot, why: Unfit) -> Any:
        if self.on_fault == "refuse":
            raise Declined(spot.place, str(why)) from None
        done = "left out" if self.on_fault == "drop" else "kept as sent"
        if isinstance(why, Foreign) and self.on_fault == "keep" and spot.single:
            # Kept under its own name, it would be counted in a wrong currency.
            done = f"left out, and kept as {_last(spot.name)}{ORIGINAL}"
            spot.scope.writes.update(_beside(spot, why.original))
        spot.sender.told.append((spot.place, f"{done}: {why}"))
        return value if done == "kept as sent" else GONE


def compiled(definition: ValueDefinition) -> Field:
    """A definition, ready for use."""
    made, settled, numeric = _made(definition)
    return Field(
        made=made,
        settled=frozenset(settled) if definition.policy != "secret" else frozenset(),
        numeric=numeric,
        secret=definition.policy == "secret",
        on_fault=definition.on_fault,
    )


def compiled_all(definitions: Mapping[str, ValueDefinition]) -> dict[str, Field]:
    """The fields of an object, with those in which we keep what was sent of money: sent by others, they are left out.

    So nothing comes in under a name that the tracking plan lets pass as ours. One that is declared is as declared.
    """
    money_ = [name for name, one in definitions.items() if one.normalise == "money"]
    ours = dict.fromkeys((f"{name}{ORIGINAL}{end}" for name in money_ for end in ("", "_currency")), _OURS)
    return {**ours, **{name: compiled(one) for name, one in definitions.items()}}


def _only_ours(_: Any, spot: Spot) -> Any:
    spot.sender.told.append((spot.place, "left out: it keeps what was sent of an amount; only Mailwright writes it"))
    return GONE


def _made(one: ValueDefinition) -> tuple[Made, tuple[type, ...], bool]:
    match one.normalise:
        case "money":
            return partial(_money, one), (), True
        case "address":
            return partial(_object, _address(one)), (), False
        case "email":
            return _email, (), False
        case "phone":
            return partial(_phone, one), (), False
        case "postal_code":
            return partial(_postal, one), (), False
        case None:
            return _of_kind(one)
        case simple:
            return partial(_simple, _SIMPLE[simple]), (), False


def _of_kind(one: ValueDefinition) -> tuple[Made, tuple[type, ...], bool]:
    match one.kind:
        case "number":
            return partial(_number, one.unit), (int, float), True
        case "boolean":
            return partial(_boolean, one.yes, one.no), (bool,), False
        case "date":
            return _date, (), False
        case "instant":
            return _instant, (), False
        case "list":
            return partial(_list, one.separator, compiled(one.items) if one.items else None), (), False
        case "object":
            return partial(_object, _Parts.of(one.fields)), (), False
        case _:
            return _text, (), False


_OURS = Field(made=_only_ours, settled=frozenset(), numeric=False, secret=False, on_fault="drop")


# --- single values ---------------------------------------------------------------------------------------------------


_SIMPLE: Mapping[str, Callable[[Any], str]] = {
    "country": places.country,
    "language": money.language,
    "currency": money.currency,
    "place": places.place,
}


def _simple(make: Callable[[Any], str], value: Any, _: Spot) -> Any:
    return make(value)


def is_blank(value: Any) -> bool:
    """Whether a value is text without anything in it: of an address it tells nothing."""
    return isinstance(value, str) and not value.strip()


def _email(value: Any, _: Spot) -> Any:
    return GONE if is_blank(value) else contacts.email(value)


def _text(value: Any, _: Spot) -> Any:
    """Composed and trimmed, case left alone; a number becomes its text."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{shape(value)} is no text")
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value)) if whole else str(value)


def _number(unit: str, value: Any, spot: Spot) -> Any:
    return numbers.number(_filled(value), spot.sender.decimal, unit, spot.sender.units.get(spot.name, ""))


def _boolean(yes: tuple[str, ...], no: tuple[str, ...], value: Any, _: Spot) -> Any:
    return numbers.boolean(_filled(value), yes, no)


def _date(value: Any, spot: Spot) -> Any:
    sender = spot.sender
    return times.as_date(_filled(value), sender.dates, sender.zone if sender.declared else None)


def _instant(value: Any, spot: Spot) -> Any:
    return times.as_instant(_filled(value), spot.sender.dates, spot.sender.zone)


def _money(one: ValueDefinition, value: Any, spot: Spot) -> Any:
    """An amount in the declared currency, or else in the told one, which then stands in the field that tells it."""
    sender, scope = spot.sender, spot.scope
    said = scope.told(one.currency_from) if one.currency_from else None
    found = money.money(
        _filled(value),
        sender.decimal,
        one.currency,
        beside=_currency_beside(one, said, value),
        minor=sender.units.get(spot.name) == "minor",
        exchange=sender.exchange if spot.single else None,
    )
    beside = _beside(spot, found.original) if found.original else {}
    if one.currency_from and (found.original or (said is None and not one.currency)):
        beside[one.currency_from] = found.currency
    scope.write(beside, found.original or Original(found.value, found.currency))
    if found.rounded:
        sender.told.append((spot.place, f"rounded to the minor unit of {found.currency}"))
    return found.value


def _currency_beside(one: ValueDefinition, said: Any, value: Any) -> str:
    if said is None:
        return ""
    try:
        return money.currency(said, one.currency)
    except Unfit as why:
        if one.currency and type(value) in (int, float):
            raise Foreign(f"{one.currency_from} beside it cannot be read: {why}", Original(value, "")) from None
        raise


def _beside(spot: Spot, original: Original) -> dict[str, Any]:
    name = _last(spot.name) + ORIGINAL
    told = {f"{name}_currency": original.currency} if original.currency else {}
    return {name: original.amount, **told}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _phone(one: ValueDefinition, value: Any, spot: Spot) -> Any:
    if is_blank(value):
        return GONE
    return contacts.phone(value, _country_of(one, spot))


def _postal(one: ValueDefinition, value: Any, spot: Spot) -> Any:
    return places.postal_code(value, _country_of(one, spot))


def _country_of(one: ValueDefinition, spot: Spot) -> str:
    """The country that the object itself tells, else the sender's."""
    sender = spot.sender
    said = spot.scope.data.get(one.country_from) if one.country_from else None
    if said in (None, ""):
        return sender.country
    try:
        return places.country(said)
    except Unfit:
        return sender.country


def _filled(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise Unfit("it is empty")
    return value


# --- lists and objects -----------------------------------------------------------------------------------------------


def _list(separator: str, items: Field | None, value: Any, spot: Spot) -> Any:
    if isinstance(value, str) and separator:
        value = [part for each in value.split(separator) if (part := each.strip())]
    if not isinstance(value, list):
        raise Unfit(f"{shape(value)} is no list")
    if items is None:
        return value
    place = spot.place
    made = [items.fit(each, spot._replace(place=f"{place}.{nth}", single=False)) for nth, each in enumerate(value)]
    return [each for each in made if each is not GONE]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The declared fields of an object, and other names for them."""

    fields: Mapping[str, Field]
    names: Mapping[str, str]

    @classmethod
    def of(cls, definitions: Mapping[str, ValueDefinition]) -> _Parts:
        names = {alias: name for name, one in definitions.items() for alias in one.aliases}
        return cls(fields=compiled_all(definitions), names=names)


def _object(parts: _Parts, value: Any, spot: Spot) -> Any:
    if not isinstance(value, dict):
        raise Unfit(f"{shape(value)} is no object")
    return fitted(value, parts.fields, parts.names, spot.sender, spot.place, spot.name, spot.scope)


def fitted(
    data: dict[str, Any],
    fields: Mapping[str, Field],
    names: Mapping[str, str],
    sender: Sender,
    place: str,
    name: str = "",
    around: Scope | None = None,
) -> dict[str, Any]:
    """An object with its names mapped and its declared fields as declared; itself if nothing changes.

    Args:
        data: As sent.
        fields: Declared fields by name.
        names: Another name -> ours; ours may be dotted, and is then put into an object.
        sender: How it is written.
        place: Where the object stands, for what is told.
        name: The same without what stands before the first declared name; empty at the top.
        around: The object that it lies in.
    """
    changed = data if names.keys().isdisjoint(data) else _renamed(data, names, sender, place)
    scope = Scope(dict(changed) if changed is not data else data, around)
    for key in [key for key in changed if key in fields]:
        field_, value = fields[key], changed[key]
        made = field_.fit(value, Spot(sender, scope, f"{name}.{key}" if name else key, f"{place}.{key}"))
        if made is value and type(made) is not dict:
            continue
        if changed is data:
            changed = dict(data)
        if made is GONE:
            del changed[key]
        else:
            changed[key] = made
    if not scope.writes:
        return changed
    sender.told += [(f"{place}.{key}", _LEFT_BEHIND) for key in _left_behind(scope, fields)]
    return {**changed, **scope.writes}


_LEFT_BEHIND = "kept as sent, in the currency that was sent: it is not declared as money"


def _left_behind(scope: Scope, fields: Mapping[str, Field]) -> list[str]:
    """Amounts that no field declares, beside others that were exchanged: the currency beside them is no longer theirs.

    Other numbers, such as quantities, have no currency: only the standard names of amounts tell.
    """
    if not any(scope.data.get(key) not in (None, "", value) for key, value in scope.writes.items()):
        return []
    return [key for key in AMOUNTS if key not in fields and type(scope.data.get(key)) in (int, float)]


def _renamed(data: dict[str, Any], names: Mapping[str, str], sender: Sender, place: str) -> dict[str, Any]:
    """Under our names. What is sent under its own name, or under another one earlier, is not overwritten."""
    found = {key: value for key, value in data.items() if key not in names}
    for key, value in data.items():
        if key not in names:
            continue
        head, *rest = names[key].split(".")
        into, last = found, head
        for step in rest:
            inner = into.get(last)
            inner = dict(inner) if isinstance(inner, dict) else {} if inner is None else None
            if inner is None:
                break
            into[last] = inner
            into, last = inner, step
        else:
            if last not in into:
                into[last] = value
                continue
        if into.get(last) != value:
            sender.told.append((f"{place}.{key}", f"left out: {names[key]} was sent too"))
    return found


_ADDRESS_NAMES = {
    "street": ("street1", "street_1", "line1", "address1", "street_address", "streetAddress", "strasse", "straße"),
    "city": ("town", "locality", "ort", "stadt"),
    "state": ("region", "province", "county"),
    "postalCode": ("postal_code", "zip", "zipcode", "zip_code", "postcode", "plz"),
    "country": ("country_code", "countryCode", "land"),
}


def _address(one: ValueDefinition) -> _Parts:
    """The fields of a postal address by Segment's names; a field that is declared itself is as declared."""
    own = _Parts.of(one.fields)
    of_country = type(one)(normalise="postal_code", country_from="country")
    built = {
        "street": type(one)(normalise="place"),
        "city": type(one)(normalise="place"),
        "state": type(one)(normalise="place"),
        "country": type(one)(normalise="country"),
        "postalCode": of_country,
    }
    names = {alias: name for name, aliases in _ADDRESS_NAMES.items() for alias in aliases}
    return _Parts(
        fields={**{name: compiled(each) for name, each in built.items()}, **own.fields},
        names={**names, **own.names},
    )
