"""A rule or value that somebody tries out: read and checked as if it stood in the project, but not put into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, Issue
from mailwright.rules.check import Expects, check, cycle_message, doubts, find_cycle
from mailwright.rules.parse import parse
from mailwright.rules.show import show
from mailwright.rules.syntax import Expression, from_json
from mailwright.rules.typed import typed
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.names import names_of


def asked_rule(
    project: Project, rule: str | Mapping[str, Any], name: str = "", *, expects: Expects = "condition"
) -> Expression:
    """The condition or value that `rule` is, within a project.

    Args:
        project: Its attributes and segments may be named.
        rule: Text, or a syntax tree.
        name: The segment that it would be the rule of; empty for none.
        expects: ``value`` takes a condition too.

    Raises:
        InvalidInput: ``rule.syntax``, ``rule.tree`` or ``rule.invalid``, every issue with its place in the text; for
            a tree in the text that `show` prints of it.
    """
    text = rule if isinstance(rule, str) else _printed(rule)
    if not text.strip():
        raise InvalidInput.one("rule.syntax", "there is no rule yet", hint="try: did 'Order Completed' within 30 days")
    node = parse(text)
    names = names_of(project)
    faults = check(node, names, expects=expects, source=text)
    if faults:
        raise InvalidInput("rule.invalid", faults)
    node = typed(node, names.types)
    if name:
        cycle = find_cycle(project.expressions, {**project.memberships, name: node})
        if cycle:
            raise InvalidInput.one("rule.cycle", cycle_message(cycle), hint="take one of these references out")
    return node


def doubts_of(project: Project, text: str) -> list[Issue]:
    """What looks like a slip in a rule that `asked_rule` takes, such as an event name close to a declared one."""
    return doubts(parse(text), names_of(project), expects="value", source=text)


def _printed(tree: Mapping[str, Any]) -> str:
    """A tree as text: reading that again puts every limit of the language on what a program sent."""
    hint = "send what the rule's own text parses to, or send the text"
    try:
        return show(from_json(msgspec.json.encode(tree)))
    except msgspec.ValidationError as error:
        raise InvalidInput.one("rule.tree", f"this is no rule: {error}", hint=hint) from error
    except RecursionError:
        raise InvalidInput.one("rule.tree", "this rule is nested too deep", hint=hint) from None
