"""Which fields are personal, by name: these are sealed at the door and never lie in clear text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mailwright.core.errors import InvalidInput

DEFAULT_PERSONAL = frozenset(
    {
        "email",
        "phone",
        "firstName",
        "lastName",
        "name",
        "first_name",
        "last_name",
        "address.street",
        "ip",
    }
)

# What a browser key told: nobody has shown yet that the address is theirs (see mailwright.ingest). Always personal.
UNVERIFIED = {"unverified_email": "email", "unverified_phone": "phone"}

# A `name` is a person's only as a trait of their own; as a property it names a product, a page or a campaign.
_TRAIT_ONLY = frozenset({"name"})

_MAX_NAME_BYTES = 255  # a sealed box gives one byte to the length of the name


class PersonalNames:
    """The personal names of a project, made ready for looking up.

    A plain name (``email``) is personal wherever it is a key: in traits, properties and context, at any depth; ``name``
    only as a trait of its own. A dotted name (``address.street``) is the key ``street`` inside ``address``; of a
    longer one the last two parts count.
    """

    def __init__(self, names: Iterable[str] = DEFAULT_PERSONAL, of_traits: Iterable[str] = ()) -> None:
        """Check and compile the names; those `of_traits` are personal as a trait of their own alone.

        Raises:
            InvalidInput: If a name is empty, has an empty part or is too long.
        """
        self.names = frozenset(names)
        self.traits_alone = frozenset(of_traits)
        for name in self.names | self.traits_alone:
            _check_name(name)
        # A dotted name may also be sent as one key. `isdisjoint` with these sets clears most objects at once.
        self.anywhere = self.names - _TRAIT_ONLY | UNVERIFIED.keys()
        self.of_trait = self.anywhere | self.names | self.traits_alone
        self.under: dict[str, dict[str, str]] = {}
        for name in self.names:
            parent, _, key = name.rpartition(".")
            if parent:
                self.under.setdefault(parent.rpartition(".")[2], {})[key] = name
        self.suspects = self.anywhere | {key for keys in self.under.values() for key in keys} | {"sealed"}

    def found(self, data: Mapping[str, Any], parent: str, *, trait: bool) -> dict[str, str]:
        """The personal keys of an object that lies at key `parent`, each with its personal name."""
        names = self.of_trait if trait else self.anywhere
        found = {} if names.isdisjoint(data) else {key: key for key in data if key in names}
        for key, name in self.under.get(parent, {}).items():
            if key in data:
                found[key] = name
        return found


def kind_of(name: str) -> str:
    """What a personal name holds, for normalising and hashing: an unverified e-mail is an e-mail."""
    return UNVERIFIED.get(name, name)


def looks_sealed(value: Mapping[str, Any]) -> bool:
    """Whether an object has the shape of a sealed value."""
    return isinstance(value.get("sealed"), str) and isinstance(value.get("hash"), str)


def _check_name(name: str) -> None:
    if not all(name.split(".")) or len(name.encode()) > _MAX_NAME_BYTES:
        raise InvalidInput.one(
            "privacy.name",
            f"{name!r} is no field name",
            path="mailwright.toml: privacy.personal",
            hint="write names like birthday or address.street",
        )
