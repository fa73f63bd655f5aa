"""docs/reference/rules.md: the rule language, node by node, with examples that parse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from mailwright.rules import syntax as s
from mailwright.rules.parse import MAX_DEPTH, MAX_LENGTH, parse
from mailwright.rules.show import show
from tools.reference.markdown import code, doc_of, parse_doc
from tools.reference.rule_examples import EXAMPLES, SHORT

HEAD = f"""One language says everything: segments, computed attributes, audiences, exits, content rows. A rule is text
of at most {MAX_LENGTH:,} characters, nested at most {MAX_DEPTH} deep; words of the language are written in any case;
`#` begins a comment.

    did 'Order Completed' where (total > 50) within 30 days and not in segment dormant

Events stand in `'quotes'`. A bare name is a computed attribute, except after `where`, where it is a property of the
event. A name with other characters stands in `` `backquotes` ``. A filter without brackets reaches as far as it can;
brackets end it where they close. `at most 2 times` and `exactly 2 times` after `did` compare a count.

Below is every node of the syntax tree. The tree has a JSON form (the tag is `node`), which is what programs read and
write; text and JSON say exactly the same."""

CHAPTERS = (("Conditions", s.Condition), ("Values", s.Value), ("Windows", s.Window))
PARTS = (s.Step,)
"""Nodes that stand only inside another one; told after the conditions."""


def nodes() -> list[type[s.Node]]:
    """Every node, in the order of the page."""
    listed = [node for _, union in CHAPTERS for node in _members(union)]
    return [*listed, *(part for part in PARTS if part not in listed)]


def _members(union: Any) -> Iterator[type[s.Node]]:
    yield from get_args(union)


def holds(node: type[s.Node], text: str) -> bool:
    """Whether a rule's tree has the node in it, filters, steps and windows included."""
    return _has(parse(text), node)


def _has(value: Any, node: type[s.Node]) -> bool:
    if isinstance(value, node):
        return True
    if isinstance(value, tuple):
        return any(_has(each, node) for each in value)
    return isinstance(value, s.Node) and any(_has(getattr(value, name), node) for name in value.__struct_fields__)


def page() -> str:
    """The page's text."""
    meaning = parse_doc(s.__doc__ or "").text.partition("\n\n")[2]
    parts = ["# Rule language", HEAD, "## What holds everywhere", meaning.partition("holds everywhere:")[2].strip()]
    for title, union in CHAPTERS:
        parts += [f"## {title}", *(_node(node) for node in _members(union))]
        if title == "Conditions":
            parts += [_node(node) for node in PARTS]
    parts += _short()
    return "\n\n".join(parts)


def _short() -> Iterator[str]:
    yield "## Short ways"
    yield (
        "What is said often has a short form. It becomes the longer one as soon as it is read: that is what is kept, "
        "shown and explained. RFM, lifecycle stage and purchase intent are declared in `attributes.yaml`, see "
        "[Write a segment](../how-to/write-a-segment.md#scores-stages-and-bands)."
    )
    for title, texts in SHORT.items():
        yield f"### {title}"
        yield from (f"    {text}\n\nbecomes {code(show(parse(text)))}" for text in texts)


def _node(node: type[s.Node]) -> str:
    texts = EXAMPLES[node]
    written = [f"    {text}" for text in texts]
    tag = node.__struct_config__.tag
    tree = f"JSON of the first: {code(s.to_json(parse(texts[0])).decode())}"
    same = show(parse(texts[0]))
    note = f"\n\nMailwright writes it: {code(same)}" if same != texts[0] else ""
    return f"### {tag}\n\n{doc_of(node).text}\n\n" + "\n".join(written) + f"\n\n{tree}{note}"
