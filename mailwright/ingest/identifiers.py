"""Which identifiers an incoming call names, in order of priority."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mailwright.core.events import Identifier

PREVIOUS = "previous_id"  # an alias's old name: the identity graph tries it as user_id and as anonymous_id

BLOCKED = frozenset(
    {"null", "undefined", "none", "nil", "nan", "n/a", "na", "unknown", "anonymous", "guest", "true", "false"}
)
"""Values that broken code sends as an id, case folded: they would make one person of everybody."""

_ZEROS = re.compile(r"[0\-\s.:]*|-1")  # 0, -1, 00000000-0000-0000-0000-000000000000; 1 is some table's first customer
_MAX_CHARS = 256
_CONTACT_KINDS = ("email", "phone", "anonymous_id")
_NOT_EXTERNAL = (PREVIOUS, "user_id")  # a call has one user_id, its own
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@<>()\[\],;:\\\"_]{1,253}")
_PHONE_DIGITS = range(5, 18)  # E.164 has at most 15; some write an exit code before it


class Seal(Protocol):
    """What the door needs of `mailwright.privacy`: it sees clear text once, and passes none on."""

    @property
    def suspects(self) -> frozenset[str]:
        """Keys of which one must be in an object that holds anything to seal, or that `seal_fields` would refuse."""
        ...

    def hash(self, kind: str, value: str) -> str:
        """Keyed hash of the normalised value."""
        ...

    def seal_fields(self, part: str, data: dict[str, Any]) -> dict[str, Any]:
        """`data` (``traits``, ``properties`` or ``context``) with its personal fields sealed."""
        ...

    def with_names(self, traits: frozenset[str], anywhere: frozenset[str]) -> Seal:
        """A seal that seals these names too: `traits` as traits of people alone, the others wherever they stand."""
        ...


class Naming(Protocol):
    """A project's own words about identifiers, beside what is built in; see `identity.yaml`."""

    @property
    def external(self) -> Collection[str] | None:
        """The kinds that ``context.externalIds`` may bring; None: any."""
        ...

    @property
    def rank(self) -> Mapping[str, int]:
        """The place of each kind in the order of priority; kinds that lack follow in the order of the call."""
        ...

    def blocks(self, kind: str, value: str) -> bool:
        """Whether this value of a kind names nobody."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from: the name of a write key. A ``browser`` key is public, so it proves nothing."""

    name: str
    kind: Literal["server", "browser"] = "server"


def is_address(text: str) -> bool:
    """Whether text is plausibly an e-mail address: one ``@``, no spaces or quotes, a domain of two labels or more."""
    if "@" not in text or not _ADDRESS.fullmatch(text.strip()):
        return False
    labels = text.strip().rpartition("@")[2].split(".")
    return len(labels) > 1 and all(0 < len(label) <= 63 and label.strip("-") == label for label in labels)


def is_phone(text: str) -> bool:
    """Whether text has as many digits as a phone number."""
    return sum(map(str.isdecimal, text)) in _PHONE_DIGITS


def identifier_of(seal: Seal, kind: str, value: str) -> Identifier:
    """The identifier as the log knows it.

    The value of ``email`` and ``phone`` becomes its keyed hash, and so does an address that a shop uses as its user_id
    or other id: no address lies in the log in clear text. Whoever looks a person up must come through here.
    """
    if kind in ("email", "phone") or is_address(value):
        return Identifier(kind, seal.hash(kind, value))
    return Identifier(kind, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The ids a call states, as sent: its own, those among its user's traits, and ``context.externalIds``."""

    user_id: str
    anonymous_id: str
    traits: Mapping[str, Any]
    external: Any = None


def identifiers_of(
    named: Named, source: Source, seal: Seal, warn: Callable[[str, str], None], naming: Naming | None = None
) -> list[Identifier]:
    """All identifiers of a call: user_id, email, phone, anonymous_id, then external ids; or in the order of `naming`.

    From a browser key only user_id and anonymous_id count: anybody can send any address with a public key.
    Unusable values are left out and told to `warn` (field, reason).
    """
    found: list[Identifier] = []

    def add(kind: str, value: str, field: str) -> None:
        if is_blocked(value) or (naming is not None and naming.blocks(kind, value)):
            warn(field, f"{value!r} names nobody and is left out")
        elif (identifier := identifier_of(seal, kind, value)) not in found:
            found.append(identifier)

    if named.user_id:
        add("user_id", named.user_id, "userId")
    if source.kind == "server":
        for kind, value in _contacts(named):
            add(kind, value, f"traits.{kind}")
    if named.anonymous_id:
        add("anonymous_id", named.anonymous_id, "anonymousId")
    if named.external is not None:
        if source.kind == "browser":
            warn("context.externalIds", "left out: a browser key names no external ids")
            return in_order(found, naming)
        for kind, value in _external(named.external, warn):
            if naming is None or naming.external is None or kind in (*naming.external, *_CONTACT_KINDS):
                add(kind, value, "context.externalIds")
            else:
                warn("context.externalIds", f"left out: {kind!r} is not declared in identity.yaml")
    return in_order(found, naming)


def in_order(identifiers: list[Identifier], naming: Naming | None) -> list[Identifier]:
    """The most telling first, as the project says."""
    if naming is None:
        return identifiers
    rank = naming.rank
    return sorted(identifiers, key=lambda one: rank.get(one.kind, len(rank)))


def is_blocked(value: str) -> bool:
    """Whether a value is a placeholder that broken code sends for an id."""
    return value.strip().casefold() in BLOCKED or _ZEROS.fullmatch(value.strip()) is not None


def _contacts(named: Named) -> list[tuple[str, str]]:
    """Addresses and numbers that are plausible; a user_id that is an address counts as one too."""
    email, phone = named.traits.get("email"), named.traits.get("phone")
    if email is None:
        email = named.user_id
    found = [("email", email)] if isinstance(email, str) and is_address(email) else []
    text = str(phone) if phone and isinstance(phone, str | int) else ""
    return [*found, ("phone", text)] if is_phone(text) else found


def _external(external: Any, warn: Callable[[str, str], None]) -> list[tuple[str, str]]:
    """(kind, value) of ``[{"id": ..., "type": ...}]``; what has another shape is told and left out."""
    found: list[tuple[str, str]] = []
    for place, each in enumerate(external if isinstance(external, list) else [external]):
        kind, value = (each.get("type"), each.get("id")) if isinstance(each, dict) else (None, None)
        if isinstance(kind, str) and _is_external(kind, value):
            found.append((kind, str(value)))
        else:
            warn(f"context.externalIds.{place}", 'left out: write {"id": "...", "type": "crm_id"}')
    return found


def _is_external(kind: str, value: Any) -> bool:
    if kind in _NOT_EXTERNAL or not _KIND.fullmatch(kind) or not isinstance(value, str | int):
        return False
    text = str(value)
    if kind == "email":
        return is_address(text)
    return is_phone(text) if kind == "phone" else 0 < len(text) <= _MAX_CHARS
