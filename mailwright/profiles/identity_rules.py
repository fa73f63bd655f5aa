"""Which names people may have, and what makes two of them one person: `identity.yaml`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import msgspec
import re2
from msgspec import UNSET, UnsetType

from mailwright.core.errors import Issue

ACCOUNT = "user_id"

KINDS = (ACCOUNT, "email", "phone", "anonymous_id")
"""The kinds that every call may name, in the order in which an event's first one is chosen unless a project says so."""

_KIND = r"^[A-Za-z0-9_.-]{1,64}$"
_Kind = Annotated[str, msgspec.Meta(pattern=_KIND)]
_Count = Annotated[int, msgspec.Meta(ge=1)]

_AtLimit = Literal["refuse", "drop_oldest"]


class Held(NamedTuple):
    """What holds for a kind, told or not; see `KindRule`."""

    limit: int | None = None
    at_limit: _AtLimit = "refuse"
    unique: bool = False


class KindRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of identifier. What is left out holds as without the file.

    Attributes:
        limit: How many of it a person may have; null: any number.
        at_limit: What happens to one more: ``refuse`` links and merges nothing; ``drop_oldest`` links it, and the
            oldest stays this person's name but joins nobody any more.
        unique: Two people who each have one are never merged, but by hand or by an alias of a server.
        blocked: Values that name nobody, beside the built-in placeholders; case and outer spaces do not matter.
        blocked_patterns: Regular expressions (RE2); a value that one of them matches as a whole names nobody.
    """

    limit: _Count | UnsetType | None = UNSET
    at_limit: _AtLimit = "refuse"
    unique: bool | UnsetType = UNSET
    blocked: list[str] = []
    blocked_patterns: list[str] = []


class MergeLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many identifiers a person may gain by merges of events: in an hour, and in all. None: any number."""

    per_hour: _Count | None = None
    in_all: _Count | None = None


class IdentityRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The rules of a project; without a file, those of the defaults.

    Attributes:
        priority: Kinds, the most telling first. An event belongs to the person of its first identifier. Kinds that are
            not named here follow, in the order of the call.
        kinds: By kind. What is not told of ``user_id`` is ``limit: 1, unique: true``.
        external: The kinds that ``context.externalIds`` may bring; None: any.
        merges: Limits of what events may merge.
    """

    priority: list[_Kind] = msgspec.field(default_factory=lambda: list(KINDS))
    kinds: dict[_Kind, KindRule] = {}
    external: list[_Kind] | None = None
    merges: MergeLimits = MergeLimits()

    def rule(self, kind: str) -> Held:
        """What holds for a kind."""
        return self._held.get(kind, _ANY)

    @cached_property
    def _held(self) -> dict[str, Held]:
        told = {kind: _filled(rule, _ACCOUNT_RULE if kind == ACCOUNT else _ANY) for kind, rule in self.kinds.items()}
        return {ACCOUNT: _ACCOUNT_RULE, **told}

    @cached_property
    def unique(self) -> frozenset[str]:
        """The kinds of which two people with one each are never merged."""
        return frozenset(kind for kind, rule in self._held.items() if rule.unique)

    @cached_property
    def limited(self) -> frozenset[str]:
        """The kinds of which a person may have so many only."""
        return frozenset(kind for kind, rule in self._held.items() if rule.limit is not None)

    @cached_property
    def rank(self) -> dict[str, int]:
        """The place of each kind that `priority` names."""
        return {kind: place for place, kind in enumerate(self.priority)}

    @cached_property
    def plain(self) -> bool:
        """Whether a door needs no look at them: the usual order, nothing blocked, any external id."""
        blocks = any(rule.blocked or rule.blocked_patterns for rule in self.kinds.values())
        return not blocks and self.external is None and self.priority == list(KINDS)

    def blocks(self, kind: str, value: str) -> bool:
        """Whether this value of a kind names nobody, by this project's own words."""
        rule = self.kinds.get(kind)
        if rule is None or not (rule.blocked or rule.blocked_patterns):
            return False
        folded = value.strip().casefold()
        if folded in (each.strip().casefold() for each in rule.blocked):
            return True
        return any(pattern.fullmatch(value.strip()) for pattern in self._patterns[kind])

    @cached_property
    def _patterns(self) -> dict[str, list[re2._Regexp[str]]]:
        return {kind: [re2.compile(each) for each in rule.blocked_patterns] for kind, rule in self.kinds.items()}


def _filled(told: KindRule, otherwise: Held) -> Held:
    limit = otherwise.limit if told.limit is UNSET else told.limit
    unique = otherwise.unique if told.unique is UNSET else told.unique
    return Held(limit=limit, at_limit=told.at_limit, unique=unique)


_ACCOUNT_RULE = Held(limit=1, unique=True)
_ANY = Held()

DEFAULTS = IdentityRules()


def identity_faults(rules: IdentityRules) -> list[Issue]:
    """What is wrong beyond the shape of the file; paths into it have their steps apart by ``/``."""
    issues: list[Issue] = []
    for kind, rule in rules.kinds.items():
        for place, text in enumerate(rule.blocked_patterns):
            try:
                re2.compile(text)
            except re2.error as error:
                at = f"kinds/{kind}/blocked_patterns/{place}"
                issues.append(Issue(path=at, message=f"not a regular expression of RE2: {_words(error)}"))
    doubled = [kind for kind in rules.priority if rules.priority.count(kind) > 1]
    if doubled:
        issues.append(Issue(path="priority", message=f"{doubled[0]!r} stands here twice"))
    if "previous_id" in (*rules.priority, *rules.kinds, *(rules.external or ())):
        issues.append(Issue(path="", message="previous_id is no kind of its own: an alias names a user_id by it"))
    return issues


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
