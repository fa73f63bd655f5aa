"""Which fields a form asks this time: those that are not known yet and worth most."""

from __future__ import annotations

from collections.abc import Collection

from mailwright.ingest.forms.definitions import FieldDefinition, FormDefinition


def asked_fields(form: FormDefinition, known: Collection[str] = (), *, by_link: bool = False) -> list[FieldDefinition]:
    """The fields to show, in the order of the file, at most `FormDefinition.at_once`.

    Required fields are always asked, because a browser proves nothing about whom it belongs to; with a link from a mail
    that are those not known. Of the others come those whose answer is not known, worth most first; of equal worth the
    one that stands first.

    Args:
        form: Its definition.
        known: Traits that are known.
        by_link: The person came by a signed link of a mail, so their address is known.
    """
    required = [one for one in form.fields if one.required and not (by_link and _is_known(one, known))]
    others = [one for one in form.fields if not one.required and one.trait not in known]
    others.sort(key=lambda one: -one.worth)
    chosen = {one.trait for one in [*required, *others[: max(0, form.at_once - len(required))]]}
    return [one for one in form.fields if one.trait in chosen]


def _is_known(field: FieldDefinition, known: Collection[str]) -> bool:
    return field.type == "email" or field.trait in known
