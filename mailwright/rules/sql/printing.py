"""A rule as SQL text for people and for engines that are not here."""

from __future__ import annotations

from sqlglot import exp

from mailwright.rules import syntax as s
from mailwright.rules.sql.compile import Compiled, Definitions
from mailwright.rules.sql.relations import everybody, of_history
from mailwright.rules.sql.spark import dialect_named

NOTHING = Definitions({}, {})


def print_sql(expression: s.Expression, dialect: str, definitions: Definitions = NOTHING) -> str:
    """One SELECT over the tables of History: the expression for everybody, as ``c0`` beside ``moment``, the person.

    Its parameters: ``at`` (microseconds since 1970) and ``upto`` (an offset in the log); and where Python judges first,
    ``a1``, ``local_at`` and so on, see `compile.Compiled`.

    Raises:
        UnsupportedRule: ``rule.sql``, if SQL does not run the expression.
        InvalidInput: ``rule.dialect``, if the dialect is neither ``duckdb`` nor ``spark``.
    """
    relations = [
        *of_history(dialect_named(dialect)),
        *everybody(exp.Placeholder(this="at"), exp.Placeholder(this="upto")),
    ]
    return Compiled({"c0": expression}, definitions, dialect).shown(relations)
