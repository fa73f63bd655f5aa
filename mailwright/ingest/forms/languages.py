"""A form in the language that a browser asks for."""

from __future__ import annotations

from typing import Any

import msgspec

from mailwright.ingest.forms.definitions import FieldDefinition, FieldWords, FormDefinition, Translation
from mailwright.ingest.forms.texts import Texts, preferred


def spoken(form: FormDefinition, accepted: str = "") -> FormDefinition:
    """The form in that of its languages that a browser likes best.

    Args:
        form: As it is declared.
        accepted: The browser's Accept-Language, or one language.
    """
    language = preferred([form.language, *form.translations], accepted) if form.translations else form.language
    translation = form.translations.get(language)
    told: dict[str, Any] = {"language": language}
    if translation is not None:
        told |= _translated(form, translation)
    found = msgspec.structs.replace(form, translations={}, **told)
    say = texts_of(found)
    return msgspec.structs.replace(found, button=found.button or say("button"), thanks=found.thanks or say("thanks"))


def texts_of(form: FormDefinition) -> Texts:
    """What a form says by itself, in its language."""
    return Texts(form.language, form.texts)


def _translated(form: FormDefinition, words: Translation) -> dict[str, Any]:
    plain = {name: getattr(words, name) or getattr(form, name) for name in ("title", "intro", "policy_url")}
    # The button and the thanks of another language are ours before they are the form's in the wrong one.
    plain |= {"button": words.button, "thanks": words.thanks, "texts": words.texts}
    return plain | {
        "fields": tuple(_field(one, words.fields.get(one.trait, FieldWords())) for one in form.fields),
        "purposes": tuple(
            msgspec.structs.replace(one, wording=words.purposes.get(one.purpose, one.wording)) for one in form.purposes
        ),
    }


def _field(field: FieldDefinition, words: FieldWords) -> FieldDefinition:
    options = tuple(
        msgspec.structs.replace(one, label=words.options.get(one.value, one.label)) for one in field.options
    )
    return msgspec.structs.replace(
        field, label=words.label or field.label, help=words.help or field.help, options=options
    )
