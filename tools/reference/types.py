"""Types and defaults of msgspec fields in words."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect as shapes

from tools.reference.markdown import code

_PLAIN = {
    shapes.AnyType: "anything",
    shapes.NoneType: "null",
    shapes.BoolType: "true or false",
    shapes.IntType: "whole number",
    shapes.FloatType: "number",
    shapes.StrType: "text",
    shapes.DateType: "date",
}


def type_text(info: shapes.Type) -> str:
    """A type as a reader of YAML and TOML calls it; names of structs are links inside the page."""
    match info:
        case shapes.Metadata(type=inner):
            return type_text(inner)
        case shapes.LiteralType(values=values):
            return ", ".join(code(str(value)) for value in values)
        case shapes.UnionType(types=types):
            shown = [type_text(each) for each in types if not isinstance(each, shapes.NoneType)]
            return " or ".join(shown)
        case shapes.ListType(item_type=item) | shapes.VarTupleType(item_type=item):
            return f"list of {type_text(item)}"
        case shapes.DictType(key_type=_, value_type=value):
            return f"mapping of name to {type_text(value)}"
        case shapes.StructType(cls=cls):
            return f"[{title_of(cls)}](#{anchor(title_of(cls))})"
        case _:
            return _PLAIN.get(type(info), "text") + _bounds(info)


def title_of(cls: type) -> str:
    """``CampaignDefinition`` as ``Campaign``."""
    return cls.__name__.removesuffix("Definition")


def anchor(title: str) -> str:
    """What GitHub and most other renderers make of a heading."""
    return title.lower().replace(" ", "-")


def _bounds(info: Any) -> str:
    low = getattr(info, "ge", None)
    above = getattr(info, "gt", None)
    high = getattr(info, "le", None)
    if low is not None and high is not None:
        return f", {low} to {high}"
    if above is not None and high is not None:
        return f", more than {above}, at most {high}"
    if low is not None:
        return f", {low} or more"
    return ""


def default_text(field: msgspec.structs.FieldInfo) -> str:
    """A default as it would be written; **required** for none."""
    if field.required:
        return "**required**"
    if field.default_factory is not msgspec.NODEFAULT:
        made = field.default_factory()
        return code(msgspec.json.encode(made).decode()) if isinstance(made, list) and made else "empty"
    match field.default:
        case None | "" | () | [] | msgspec.UNSET:
            return "empty"
        case dict() as mapping if not mapping:
            return "empty"
        case bool() as flag:
            return code("true" if flag else "false")
        case str() as text:
            return code(text)
        case value:
            return code(msgspec.json.encode(value).decode())
