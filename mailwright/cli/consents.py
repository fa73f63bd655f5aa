"""Commands for consent and the suppression list of one address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from mailwright.cli.opening import opened
from mailwright.cli.output import HERE, ProjectOption, console
from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.instants import format_iso
from mailwright.core.ports import Consent
from mailwright.ingest.consents import ConsentCall, Fault, SuppressionCall, consent_of, suppression_of
from mailwright.ingest.identifiers import is_address
from mailwright.runtime.collected import count_by_hand
from mailwright.runtime.installation import Installation

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail address, in any spelling.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(consent)
    app.command()(suppress)


def consent(
    email: Address,
    granted: Annotated[
        bool | None, typer.Option("--grant/--withdraw", help="What the person decided; without, nothing is recorded.")
    ] = None,
    purpose: Annotated[str, typer.Option(help="What for, as campaigns and journeys name it: marketing.")] = "",
    source: Annotated[str, typer.Option(help="How it was told: form, phone, till.")] = "",
    wording: Annotated[str, typer.Option(help="The text that the person saw; a grant needs it.")] = "",
    at: Annotated[str, typer.Option(metavar="TIME", help="When, as ISO 8601, if not now.")] = "",
    proof: Annotated[
        bool, typer.Option("--proof", help="Show how each consent by a form came about: words, times, mail, network.")
    ] = False,
    project: ProjectOption = HERE,
) -> None:
    """Record what a person decided about mail, or show the ledger of an address."""
    with opened(project) as there:
        if granted is not None:
            call = ConsentCall(
                email=email, purpose=purpose, granted=granted, source=source, wording=wording, at=at.strip() or None
            )
            _record(there, call)
        elif purpose or source or wording or at:
            raise InvalidInput.one(
                "consent.decision", "nothing says what the person decided", hint="add --grant or --withdraw"
            )
        _show(there, email)
        if proof:
            for line in _proof(there, email):
                console.print(line, markup=False, soft_wrap=True)


def suppress(
    email: Address,
    reason: Annotated[str, typer.Option(help="Why: bounce, complaint, objection.")],
    project: ProjectOption = HERE,
) -> None:
    """Put an address on the suppression list: it gets no mail of any kind, not even a receipt."""
    with opened(project) as there:
        call = SuppressionCall(email=email, reason=reason)
        entry, faults = suppression_of(call, hash_address=there.sealer.hash_address)
        if entry is None:
            raise _refused(faults)
        there.records.consents.suppress({entry.address_hash: entry.reason}, there.clock.now())
        count_by_hand(there.records.sources, there.clock, "suppressions", 1)
        console.print(_suppression(there, entry.address_hash), markup=False, soft_wrap=True)


def _record(there: Installation, call: ConsentCall) -> None:
    row, faults = consent_of(call, hash_address=there.sealer.hash_address, received_at=there.clock.now())
    if row is None:
        raise _refused(faults)
    there.records.consents.record([row])
    count_by_hand(there.records.sources, there.clock, "consents", 1)


def _refused(faults: Sequence[Fault]) -> InvalidInput:
    issues = [Issue(path="EMAIL" if field == "email" else f"--{field}", message=reason) for field, reason in faults]
    return InvalidInput("consent.refused", issues, "nothing was recorded")


def _show(there: Installation, email: str) -> None:
    if not is_address(email):
        raise _refused([("email", "is no e-mail address")])
    address_hash = there.sealer.hash_address(email)
    for line in (*_ledger(there.records.consents.ledger(address_hash)), _suppression(there, address_hash)):
        console.print(line, markup=False, soft_wrap=True)


def _ledger(rows: Sequence[Consent]) -> Iterator[str]:
    """The rows, oldest first, and what they come to."""
    for row in rows:
        decided = "granted  " if row.granted else "withdrawn"
        wording = f": {' '.join(row.wording.split())}" if row.wording else ""
        yield f"{format_iso(row.at)}  {row.purpose}  {decided}  {row.source}{wording}"
    newest = {row.purpose: row.granted for row in rows}
    yield f"Granted now: {', '.join(name for name, granted in sorted(newest.items()) if granted) or 'nothing'}."


def _proof(there: Installation, email: str) -> Iterator[str]:
    """Each opt-in of the address, line by line. The network address is opened only for this."""
    found = there.records.opt_ins.of_address(there.sealer.hash_address(email))
    if not found:
        yield "No form has a proof for this address."
    for one in found:
        yield f"Form {one.form}, proof {one.id}"
        yield f"  asked      {format_iso(one.asked_at)}  {_from(there, one.asked_ip, one.asked_agent)}"
        confirmed = format_iso(one.confirmed_at) if one.confirmed_at is not None else "never"
        yield f"  confirmed  {confirmed}  {_from(there, one.confirmed_ip, one.confirmed_agent)}".rstrip()
        yield f"  mail       {one.message_id or 'none: the form asks for no confirmation'}"
        yield f"  wording of version {one.wording_version} of the definitions"
        for purpose, wording in one.purposes:
            yield f"    {purpose}: {' '.join(wording.split())}"


def _from(there: Installation, ip: Mapping[str, Any] | None, agent: str) -> str:
    told = [f"from {there.sealer.unseal(ip)}"] if ip is not None else []
    return ", ".join([*told, *([f"by {agent}"] if agent else [])])


def _suppression(there: Installation, address_hash: str) -> str:
    reason = there.records.consents.suppressed([address_hash]).get(address_hash)
    return "Not on the suppression list." if reason is None else f"On the suppression list: {reason}."
