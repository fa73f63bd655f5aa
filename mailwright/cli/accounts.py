"""Commands about accounts, and about where a person's traits come from."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.cli.trait_text import opener, trait_lines
from mailwright.core.errors import NotFound
from mailwright.core.facts import AccountFacts
from mailwright.core.instants import format_iso
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.who import person_of, seal_of

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
    with opened(project) as there:
        found = there.engine.account(group)
        if found is None:
            raise NotFound("account.unknown", f"there is no account {group[:100]!r}", "accounts come with group calls")
        if json:
            print(msgspec.json.encode(found).decode())
            return
        _show(found, there)


def _show(found: AccountFacts, there: Installation) -> None:
    members = "member" if found.n_members == 1 else "members"
    _line(f"{found.id}  {found.n_members:,} {members}, told of {_span(found)}")
    project = current_project(there)[1]
    titles = {name: one.title for name, one in project.attributes.items()}
    named = {name: one.named(titles) for name, one in project.profile.accounts.rollup.items()}
    for name, value in found.figures.items():
        _line(f"{named.get(name, name)}: {'none' if value is None else value}")
    for line in trait_lines(found.traits, found.history, opener(there.sealer)):
        _line(line)
    for each in found.members[:_NAMED]:
        _line(f"#{each.person}  since {format_iso(each.first_at)}")
    if found.n_members > _NAMED:
        _line(f"and {found.n_members - _NAMED:,} more")


def _span(found: AccountFacts) -> str:
    return f"{format_iso(found.first_seen_at)} to {format_iso(found.last_seen_at)}"


def traits(
    who: Annotated[str, typer.Argument(metavar="ID", help="An e-mail, phone, user id, #number, or kind:value.")],
    project: ProjectOption = HERE,
) -> None:
    """Show a person's traits: who told each, when, what was told before, and when each source was last seen."""
    with opened(project) as there:
        number = person_of(there.engine, seal_of(there), who)
        facts = there.engine.facts([number], past=True)[number]
        for line in trait_lines(facts.traits, facts.history, opener(there.sealer)):
            _line(line)
        for source, at in facts.sources.items():
            _line(f"{source} was last seen {format_iso(at)}")
        if facts.accounts:
            _line("accounts: " + ", ".join(facts.accounts))


def _line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
