"""Webhooks and lookups of a project: presets put under what the file says, and every fault with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mailwright.core.errors import InvalidInput, Issue
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.runtime.presets import preset_text
from mailwright.runtime.project.documents import Document, convert, parse_yaml

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LISTS = ("events", "consents", "suppressions", "items")


def webhook_of(name: str, document: Document) -> WebhookDefinition:
    """The webhook that a file defines.

    Raises:
        InvalidInput: With every fault found.
    """
    _check_name(name, document)
    whole = with_preset(document, "webhooks")
    definition = convert(whole, (), WebhookDefinition)
    issues = [whole.placed(place, issue) for place, issue in definition.faults()]
    challenge = definition.challenge
    if challenge and challenge.token_parameter and not challenge.token_env:
        issues.append(document.issue(("challenge",), "token_parameter needs token_env, the secret that it must equal"))
    if not any(getattr(definition, listed) for listed in _LISTS):
        issues.append(document.issue((), "it makes nothing of a body", "add events:, consents:, ... or a preset:"))
    if issues:
        raise InvalidInput("definition.invalid", issues)
    return definition


def lookup_of(name: str, document: Document) -> LookupDefinition:
    """The lookup that a file defines.

    Raises:
        InvalidInput: With every fault found.
    """
    _check_name(name, document)
    whole = with_preset(document, "lookups")
    definition = convert(whole, (), LookupDefinition)
    if issues := [whole.placed(place, issue) for place, issue in definition.faults()]:
        raise InvalidInput("definition.invalid", issues)
    return definition


def with_preset(document: Document, folder: str) -> Document:
    """The document with what its preset says besides; places stay those of the file.

    Raises:
        InvalidInput: If there is no such preset.
    """
    name = document.data.get("preset") if isinstance(document.data, dict) else None
    if name is None:
        return document
    try:
        preset = parse_yaml(f"preset {name}", preset_text(folder, str(name))).data
    except InvalidInput as error:
        raise InvalidInput(
            "definition.invalid", [document.issue(("preset",), one.message, one.hint) for one in error.issues]
        ) from error
    return replace(document, data=_merged(preset, document.data))


def _merged(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says goes before; its list entries stand first, so that their places in the file hold."""
    found = dict(preset)
    for key, value in own.items():
        under = found.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            found[key] = _merged(under, value)
        elif key in _LISTS and isinstance(under, list) and isinstance(value, list):
            found[key] = [*value, *under]
        else:
            found[key] = value
    return found


def _check_name(name: str, document: Document) -> None:
    if not _NAME.fullmatch(name):
        message = f"{name!r} cannot be a part of an address and of a source's name"
        issue: Issue = document.issue((), message, "name the file with letters, digits, - and _")
        raise InvalidInput("definition.invalid", [issue])
