"""Asking a History, or anything that answers SELECTs with bound parameters, what rules say at many moments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import pyarrow as pa

from mailwright.rules import syntax as s
from mailwright.rules.sql.compile import Compiled, Definitions
from mailwright.rules.sql.relations import Relations

Query = Callable[[str, Mapping[str, Any]], pa.Table]
"""One SELECT with its parameters -> its rows; the History port's `query` is one."""


def ask(
    expressions: Mapping[str, s.Expression],
    definitions: Definitions,
    shop: tzinfo,
    query: Query,
    *,
    relations: Relations = (),
    parameters: Mapping[str, Any] | None = None,
) -> dict[int, dict[str, Any]]:
    """Values of expressions at every moment of the relation ``moments``.

    Args:
        expressions: Name -> expression, conditions and values alike.
        definitions: What they name.
        shop: Zone of people who told none.
        query: Runs one SELECT.
        relations: CTEs that make the relations of `relations` where `query` has no tables of these names.
        parameters: What the CTEs in `relations` have bound.

    Returns:
        Moment -> name -> run-time value, see `rules.values`; a condition is True or False, None is missing.

    Raises:
        UnsupportedRule: ``rule.sql``, if SQL cannot run an expression; the fold over History can.
    """
    compiled = Compiled(expressions, definitions, "duckdb")
    given = dict(parameters or {})

    def rows(sql: str | None, bound: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        if sql is None:
            return []
        known = {name: value for name, value in {**given, **bound}.items() if f"${name}" in sql}
        found = query(sql, known)
        return list(zip(*(found.column(place).to_pylist() for place in range(found.num_columns)), strict=True))

    gathered = rows(compiled.gather(relations), compiled.bound)
    zones = rows(compiled.zones(relations), compiled.bound)
    bound = compiled.parameters(gathered, zones, shop)
    return {row[0]: compiled.decode(row[1:]) for row in rows(compiled.main(relations), bound)}
