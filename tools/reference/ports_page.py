"""docs/reference/ports.md: what the domain needs from the outside, with every promise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mailwright.core import consent_ports, ports, record_ports
from tools.reference.markdown import Doc, code, doc_of, parse_doc

HEAD = """A port is what the domain asks of the outside; adapters live in `mailwright.stores` and
`mailwright.delivery.channels` and are chosen by `mailwright.runtime` alone. One suite per port in `tests/contracts`
holds every adapter to the sentences below. **Every method of a Records port is one transaction**: all of its writes
are durable when it returns, or none is.

| port | what stands behind it |
|---|---|
| `Clock` | `SystemClock`, `VirtualClock` (`mailwright.runtime.clocks`) |
| `EventLog` | `SqliteEventLog`: SQLite through apsw, WAL, `synchronous=FULL`, group commit |
| `History` | `DeltaHistory`: Delta Lake tables in a folder, queried by DuckDB |
| `Records` and its parts | `SqlRecords`: SQLAlchemy Core on SQLite |
| `Blobs` | `FolderBlobs`; `MemoryBlobs` in tests |
| `Channel` | `MailboxChannel` (a folder of `.eml` files), `SmtpChannel` |
| `EngineReads` | `EngineClient`: the engine's socket |"""


MODULES = (ports, record_ports, consent_ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of a port: its signature as written, and its docstring."""

    signature: str
    doc: Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port."""

    name: str
    doc: Doc
    methods: list[Method]


def port_list() -> Iterator[Port]:
    """All protocols of `mailwright.core.ports` and then those over Records, in their order."""
    files = [Path(module.__file__ or "").read_text(encoding="utf-8") for module in MODULES]
    for node in (node for text in files for node in ast.parse(text).body):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == Protocol.__name__ for base in node.bases):
            methods = [_method(each) for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            yield Port(name=node.name, doc=doc_of(getattr(ports, node.name)), methods=methods)


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Method:
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    returns = ast.unparse(node.returns) if node.returns else "None"
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        return Method(signature=f"{node.name}: {returns}", doc=parse_doc(ast.get_docstring(node) or ""))
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    signature = f"{prefix}{node.name}({arguments}) -> {returns}"
    return Method(signature=signature, doc=parse_doc(ast.get_docstring(node) or ""))


def page() -> str:
    """The page's text."""
    return "\n\n".join(["# Ports", HEAD, *(_port(port) for port in port_list())])


def _port(port: Port) -> str:
    return "\n\n".join([f"## {port.name}", port.doc.text, *(_told(method) for method in port.methods)])


def _told(method: Method) -> str:
    raises = [f"*Raises {code(name)}*: {text}" for name, text in method.doc.sections.get("Raises", {}).items()]
    return "\n\n".join([f"### {code(method.signature)}", method.doc.text, *raises])
