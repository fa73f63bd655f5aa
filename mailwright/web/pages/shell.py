"""What every page's router shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from mailwright.core.errors import NotFound, nearest
from mailwright.core.events import Person
from mailwright.web.context import Definition, ProjectView, WebContext
from mailwright.web.sessions import signed_in


def pages_router() -> APIRouter:
    """A router whose every route needs somebody signed in."""
    return APIRouter(tags=["Pages"], dependencies=[Depends(signed_in)])


def context_of(request: Request) -> WebContext:
    """What runtime gave the application."""
    context: WebContext = request.app.state.context
    return context


Context = Annotated[WebContext, Depends(context_of)]


def after_person(after: Annotated[int | None, Query(ge=-1, lt=2**31)] = None) -> Person | None:
    """The cursor of a list of people: the last number already shown."""
    return None if after is None else Person(after)


AfterPerson = Annotated[Person | None, Depends(after_person)]


def titles(definitions: Mapping[str, Definition]) -> dict[str, str]:
    """Name -> title."""
    return {name: definition.title or name for name, definition in definitions.items()}


def origin_title(project: ProjectView, origin: str) -> str:
    """The title of ``campaign:weekly_offers`` or ``journey:win_back``; the name where it is no longer defined."""
    kind, _, name = origin.partition(":")
    if kind == "form":
        return project.forms[name].title if name in project.forms else name
    found = (project.journeys if kind == "journey" else project.campaigns).get(name)
    return found.title if found and found.title else name


def defined(kind: str, definitions: Mapping[str, Definition], name: str) -> Definition:
    """One definition.

    Raises:
        NotFound: With the nearest name.
    """
    if name not in definitions:
        raise NotFound(f"{kind}.unknown", f"there is no {kind} {name!r}", nearest(name, definitions))
    return definitions[name]
