"""Commands about accounts, and about where a person's traits come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.cli.trait_text import trait_lines
from mailwright.core.errors import Corrupt, NotFound
from mailwright.core.events import Person
from mailwright.core.facts import AccountFacts
from mailwright.core.instants import format_iso
from mailwright.ingest.identifiers import identifier_of
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.settings import load_settings

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NAMED = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(account)
    app.command()(traits)


def account(
    group: Annotated[str, typer.Argument(metavar="ID", help="The account, by the groupId of its calls.")],
    json: JsonOption = False,
    project: ProjectOption = HERE,
) -> None:
    """Show one account: traits with their history, figures over its members, members."""
    with _opened(project) as there:
        found = there.engine.account(group)
        if found is None:
            raise NotFound("account.unknown", f"there is no account {group[:100]!r}", "accounts come with group calls")
        if json:
            print(msgspec.json.encode(found).decode())
            return
        _show(found, there)


def _show(found: AccountFacts, there: Installation) -> None:
    _line(f"{found.id}  {found.n_members:,} members, told of {_span(found)}")
    for name, value in found.figures.items():
        _line(f"{name}: {'none' if value is None else value}")
    for line in trait_lines(found.traits, found.history, _opener(there)):
        _line(line)
    for each in found.members[:_NAMED]:
        _line(f"#{each.person}  since {format_iso(each.first_at)}")
    if found.n_members > _NAMED:
        _line(f"and {found.n_members - _NAMED:,} more")


def _span(found: AccountFacts) -> str:
    return f"{format_iso(found.first_seen_at)} to {format_iso(found.last_seen_at)}"


def traits(
    who: Annotated[str, typer.Argument(metavar="ID", help="A person: #12, or kind:value such as user_id:4711.")],
    project: ProjectOption = HERE,
) -> None:
    """Show a person's traits: who told each, when, what was told before, and when each source was last seen."""
    with _opened(project) as there:
        number = _number(there, who)
        facts = there.engine.facts([number], past=True).get(number)
        if facts is None:
            raise NotFound("person.unknown", f"nobody is known as {who[:100]!r}")
        for line in trait_lines(facts.traits, facts.history, _opener(there)):
            _line(line)
        for source, at in facts.sources.items():
            _line(f"{source} was last seen {format_iso(at)}")
        if facts.accounts:
            _line("accounts: " + ", ".join(facts.accounts))


def _number(there: Installation, who: str) -> Person:
    """Who is meant, by number or by identifier."""
    number = who.removeprefix("#")
    if number.isdecimal() and len(number) < 16:
        return Person(int(number))
    kind, _, value = who.partition(":")
    seal = current_project(there)[1].ingest_rules(there.sealer).seal
    asked = identifier_of(seal, kind, value)
    found = there.engine.find(asked.kind, asked.value)
    if found is None:
        raise NotFound(
            "person.unknown", f"nobody is known as {who[:100]!r}", "write #12, user_id:4711 or email:ada@shop.example"
        )
    return found


def _opener(there: Installation) -> Any:
    """In clear text: whoever may read the data folder may read the keys in it."""

    def opened(value: Any) -> Any:
        if not there.sealer.is_sealed(value):
            return value
        try:
            return there.sealer.unseal(value)
        except Corrupt:
            return "(sealed by a key that is not here)"

    return opened


@contextmanager
def _opened(project: Path) -> Iterator[Installation]:
    there = open_installation(load_settings(project))
    try:
        yield there
    finally:
        there.close()


def _line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
