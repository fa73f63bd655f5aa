"""Every error code that the program can raise, found in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mailwright
from mailwright.core import errors as core_errors
from mailwright.core.errors import MailwrightError
from mailwright.web import errors as web_errors

SOURCE = Path(mailwright.__file__).parent
CODE = re.compile(r"[a-z0-9_*]+\.[a-z0-9_*]+")

KINDS: dict[str, type[MailwrightError]] = {
    name: kind
    for module in (core_errors, web_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, MailwrightError)
}


@dataclass(frozen=True, slots=True, order=True)
class Raised:
    """A code as one place raises it. A part that is made at run time is written as ``*``: ``http.*``."""

    code: str
    kind: str
    module: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """What codes this place can raise."""
        return re.compile(re.escape(self.code).replace(r"\*", "[a-z0-9_]+"))


def raised_codes(source: Path = SOURCE) -> list[Raised]:
    """All codes below `source`, sorted, each once per kind and module."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(source.rglob("*.py"))}
    wrappers = {
        function.name: (_place_of_code(function), _first_kind(function))
        for tree in trees.values()
        for function in _functions(tree)
        if function.name != "one" and _place_of_code(function) >= 0 and _first_kind(function)
    }
    found: set[Raised] = set()
    for path, tree in trees.items():
        module = ".".join(("mailwright", *path.relative_to(source).with_suffix("").parts)).removesuffix(".__init__")
        found |= {Raised(code, kind, module) for code, kind in _codes(tree, wrappers)}
    return sorted(found)


def _codes(tree: ast.Module, wrappers: dict[str, tuple[int, str]]) -> Iterator[tuple[str, str]]:
    for function in _functions(tree):
        kind = _first_kind(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and kind and [ast.unparse(each) for each in node.targets] == ["code"]:
                yield from ((code, kind) for code in _texts(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and len(node.elts) > 1 and _name(node.elts[0]) in KINDS:
            yield from ((code, _name(node.elts[0])) for code in _texts(node.elts[1]))
        elif isinstance(node, ast.Call):
            yield from _by_keyword(node)
            made, name = _kind(node), _name(node.func)
            if made and node.args:
                yield from ((code, made) for code in _texts(node.args[0]))
            elif name in wrappers and len(node.args) > wrappers[name][0]:
                place, kind = wrappers[name]
                yield from ((code, kind) for code in _texts(node.args[place]))


def _by_keyword(call: ast.Call) -> Iterator[tuple[str, str]]:
    """An error that travels as values: ``Answer(error="Permanent", code="engine.read")``."""
    given = {each.arg: each.value for each in call.keywords}
    kind = given.get("error")
    if "code" in given and isinstance(kind, ast.Constant) and kind.value in KINDS:
        yield from ((code, kind.value) for code in _texts(given["code"]))


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _place_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Which argument of a call is the code; -1 if the function takes none."""
    names = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]
    return names.index("code") if "code" in names else -1


def _first_kind(node: ast.AST) -> str:
    """The error that a function makes; empty if it makes none."""
    return next((kind for each in ast.walk(node) if isinstance(each, ast.Call) and (kind := _kind(each))), "")


def _kind(call: ast.Call) -> str:
    """``InvalidInput`` for ``InvalidInput(...)`` and ``InvalidInput.one(...)``; empty for other calls."""
    target = call.func.value if isinstance(call.func, ast.Attribute) and call.func.attr == "one" else call.func
    name = target.id if isinstance(target, ast.Name) else ""
    return name if name in KINDS else ""


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""


def _texts(node: ast.expr) -> Iterator[str]:
    """The codes an expression can be: a literal, either side of a condition, or an f-string as a pattern."""
    if isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
        return
    text = ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    if CODE.fullmatch(text):
        yield text
