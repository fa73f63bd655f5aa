"""The packages, their layers as pyproject declares them, and who really imports whom."""

from __future__ import annotations

import tomllib
from pathlib import Path

import grimp

from tools.reference.markdown import code, table

ROOT = Path(__file__).parent.parent.parent


def declared_layers(root: Path = ROOT) -> list[list[str]]:
    """Layers of the import contract, highest first, each with its packages."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contract = next(each for each in settings["contracts"] if each["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def real_imports() -> dict[str, set[str]]:
    """Package -> packages that it imports directly, from the import graph of the code on disk."""
    graph = grimp.build_graph("mailwright", cache_dir=None)
    packages = {name.split(".")[1] for name in graph.modules if "." in name}
    found: dict[str, set[str]] = {name: set() for name in packages}
    for module in graph.modules - {"mailwright"}:
        package = module.split(".")[1]
        targets = {each.split(".")[1] for each in graph.find_modules_directly_imported_by(module) if "." in each}
        found[package] |= targets - {package}
    return found


def imports_table() -> str:
    """Who imports whom, in the order of the layers."""
    real = real_imports()
    ordered = [name for layer in declared_layers() for name in layer]
    rows = [
        (code(name), ", ".join(code(other) for other in ordered if other in real.get(name, set())) or "nothing")
        for name in ordered
    ]
    return table(("package", "imports directly"), rows)
