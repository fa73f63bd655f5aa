"""Whether forms fit the rest of the project, and templates fit the forms that they link to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from mailwright.core.errors import Issue, Span, nearest
from mailwright.ingest.forms.definitions import RATINGS, TAGS, FormDefinition
from mailwright.runtime.project.documents import Document

if TYPE_CHECKING:
    from mailwright.runtime.project.load import Project

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_LINK = re.compile(
    r"""(?P<quote>["'])(?P<form>[^"']+)(?P=quote)\s*\|\s*(?P<kind>answer|form|preferences)_url"""
    r"""(?:\s*:\s*["'](?P<question>[^"']+)["']\s*,\s*["']?(?P<value>[^"'}|]+?)["']?\s*(?=[|}]))?"""
)


_SEALED_TAGS = "forms cannot add tags to a list that is sealed"


def sealed_tags(project: Project, personal: Collection[str]) -> Issue | None:
    """A fault, if the settings' personal names have the list that forms add tags to."""
    if TAGS not in personal or not _has_tags(project):
        return None
    hint = f"leave {TAGS!r} out, or give the forms' options no tag"
    return Issue(path="mailwright.toml: privacy.personal", message=_SEALED_TAGS, hint=hint)


def _has_tags(project: Project) -> bool:
    return any(form.tags() for form in project.forms.values())


def confirmations(form: FormDefinition) -> Iterator[tuple[tuple[str, ...], str]]:
    """(where it is named, template) of each confirmation mail."""
    if form.double_opt_in is not None:
        yield ("double_opt_in", "template"), form.double_opt_in.template
    for language, words in form.translations.items():
        if words.confirmation:
            yield ("translations", language, "confirmation"), words.confirmation


def check_forms(project: Project, documents: Mapping[str, Document]) -> Iterator[Issue]:
    """Tags that would be sealed, templates that are not there, names that no address can have, links to what is not."""
    declared = project.profile.traits.get(TAGS)
    if declared is not None and declared.policy != "none" and _has_tags(project):
        at, hint = ("traits", TAGS, "policy"), "tags sort people: write policy: none, or give the forms' options no tag"
        yield documents["profile.yaml"].issue(at, _SEALED_TAGS, hint)
    for name, form in project.forms.items():
        document = documents[f"forms/{name}.yaml"]
        if not _NAME.fullmatch(name):
            yield document.issue((), f"{name!r} cannot be part of an address", "use letters, digits, _ and -")
        for place, template in confirmations(form):
            if template not in project.templates:
                hint = nearest(template, project.templates)
                yield document.issue(place, f"there is no template {template!r}", hint)
    for name, source in project.templates.items():
        yield from _links(f"templates/{name}.mjml", source.source, project.forms)


def _links(path: str, text: str, forms: Mapping[str, FormDefinition]) -> Iterator[Issue]:
    for found in _LINK.finditer(text):
        form = forms.get(found["form"])
        if form is None:
            yield _issue(
                path, text, found, "form", f"there is no form {found['form']!r}", nearest(found["form"], forms)
            )
        elif found["kind"] == "answer" and found["question"]:
            yield from _answer(path, text, found, form)
        elif (found["kind"] == "preferences") != (form.kind == "preferences"):
            wanted = "preferences_url" if form.kind == "preferences" else "form_url"
            yield _issue(path, text, found, "form", f"{found['form']!r} is a {form.kind}", f"use {wanted}")


def _answer(path: str, text: str, found: re.Match[str], form: FormDefinition) -> Iterator[Issue]:
    field = form.field(found["question"])
    if field is None:
        hint = nearest(found["question"], [one.trait for one in form.fields])
        yield _issue(path, text, found, "question", f"the form has no field {found['question']!r}", hint)
        return
    known = [str(n) for n in RATINGS] if field.type == "rating" else [one.value for one in field.options]
    if known and found["value"].isalnum() and found["value"] not in known and _is_literal(text, found):
        hint = nearest(found["value"], known)
        yield _issue(path, text, found, "value", f"{found['value']!r} is no answer of {field.trait!r}", hint)


def _is_literal(text: str, found: re.Match[str]) -> bool:
    """Whether the answer is written out, quoted or a number, rather than a variable's name."""
    return text[found.start("value") - 1] in "\"'" or found["value"].isdecimal()


def _issue(path: str, text: str, found: re.Match[str], part: str, message: str, hint: str) -> Issue:
    start = found.start(part)
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    return Issue(path=path, message=message, hint=hint, span=Span(line=line, column=column), source=text)
