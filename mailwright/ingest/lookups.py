"""What a project asks of services outside about its people (enrichment) and about where they are (signals)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.ingest.expressions import Scope, Unfit
from mailwright.ingest.templates import Fault, compile_template

__all__ = ["ATTRIBUTE", "LookupDefinition"]

ATTRIBUTE = "attribute "
"""What the name of an attribute stands behind in `LookupDefinition.place`; any other name is a trait's."""

_HOLE = re.compile(r"\{(\w+)\}")


class LookupDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One service that is asked.

    Attributes:
        by: ``email`` asks about a person by the e-mail trait; ``ip`` by the newest address that an event brought;
            ``place`` asks about where people are, once for all who are there.
        segment: Whose members are asked about.
        url: With ``{email}``, ``{ip}``, ``{secret}`` or the names of `place` in it; what is put in is quoted.
        method: ``POST`` sends `body`.
        body: JSON whose texts may hold the same names in braces.
        headers: The same.
        secret_env: Environment variable that holds the service's key, for ``{secret}``.
        place: Name -> trait that holds it (``city: address.city``), or attribute (``city: attribute city``; may be
            that of the IP address, ``geo.city``); people without one of them are passed over.
        values: What is used of the answer: name -> expression over it.
        into: Trait that holds all values as one object; without, each value is a trait of its own.
        overwrite: Whether a trait that the person has already is written over; a value that this lookup told always is.
        every: How long an answer holds, also that nothing is known.
        told_again: An unchanged value is told again after so long, so that its age in mails means something.
        per_minute: Most questions in any 60 seconds.
        timeout: For a whole question.
    """

    by: Literal["email", "ip", "place"]
    segment: str
    url: str
    values: dict[str, Any]
    preset: str = ""
    title: str = ""
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] = {}
    headers: dict[str, str] = {}
    secret_env: str = ""
    place: dict[str, str] = {}
    into: str = ""
    overwrite: bool = False
    every: str = "30 days"
    told_again: str = "1 day"
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 60
    timeout: str = "10 seconds"

    def __post_init__(self) -> None:
        for name in ("every", "told_again", "timeout"):
            try:
                duration_micros(getattr(self, name))
            except InvalidInput as error:
                raise ValueError(f"{name}: {error.issues[0].message}") from None
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("url begins with https:// or http://")
        if "{" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError("the host of url is fixed: names in braces stand behind it")
        if (self.by == "place") != bool(self.place):
            raise ValueError("by: place needs place (city: address.city); the others have none")
        if not self.values:
            raise ValueError("values says what is used of the answer: nothing yet")
        known = {*(self.place or {self.by: ""}), *(["secret"] if self.secret_env else [])}
        for text in (self.url, *self.headers.values(), *_texts(self.body)):
            for hole in _HOLE.findall(text):
                if hole not in known:
                    raise ValueError(f"{{{hole}}} is not known here: {', '.join(sorted(known))} are")

    def faults(self) -> list[Fault]:
        """Everything that is wrong with its expressions."""
        return compile_template(self.values, ("values",))[1]

    def filled_url(self, told: Mapping[str, str]) -> str:
        """The address to ask; values are quoted, so that none changes where it leads."""
        return _HOLE.sub(lambda hole: quote(told[hole[1]], safe=""), self.url)

    def filled(self, value: Any, told: Mapping[str, str]) -> Any:
        """A header or the body with its names filled in."""
        if isinstance(value, str):
            return _HOLE.sub(lambda hole: told[hole[1]], value)
        if isinstance(value, dict):
            return {key: self.filled(one, told) for key, one in value.items()}
        return [self.filled(one, told) for one in value] if isinstance(value, list) else value

    def used(self, answer: Any) -> dict[str, Any]:
        """What is used of an answer; what it does not have, or has in another form, is left out."""
        found = {}
        for name, value in self.values.items():
            try:
                made = compile_template(value)[0](Scope(body=answer, item=answer))
            except (Unfit, RecursionError):
                continue
            if made is not None and made not in ("", [], {}):
                found[name] = made
        return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]
