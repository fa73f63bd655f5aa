"""SQL says what the interpreter says, for every rule that it accepts."""

from __future__ import annotations

from typing import Any

import sqlglot
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from sql_world import by_interpreter, by_sql
from strategies import Scope, conditions, histories, instants, values

from mailwright.core.errors import UnsupportedRule
from mailwright.rules import syntax as s
from mailwright.rules.sql.compile import Compiled, Definitions
from mailwright.rules.values import identity

SCOPE = Scope(ordered=False, attributes=("a1",), segments=("s1",))
BASE = Scope(ordered=False)
LISTS = {"l1": [0], "l2": [0, 1]}


def accepted(rule: s.Expression, definitions: Definitions) -> bool:
    """Whether SQL runs a rule; how many it does not shows in the statistics of the run."""
    try:
        Compiled({"rule": rule}, definitions, "duckdb")
    except UnsupportedRule:
        event("refused")
        return False
    event(type(rule).__name__)
    return True


def rules() -> st.SearchStrategy[tuple[s.Expression, Definitions]]:
    """A rule and what it names."""
    attributes = st.fixed_dictionaries({"a1": values(BASE)})
    segments = st.fixed_dictionaries({"s1": conditions(BASE, 1)})
    return st.tuples(conditions(SCOPE) | values(SCOPE), st.builds(Definitions, attributes, segments))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules(), st.lists(histories(), min_size=1, max_size=3), st.lists(instants(), min_size=1, max_size=4))
def test_sql_agrees_with_the_interpreter(
    rule: tuple[s.Expression, Definitions], people: list[Any], ts: list[Any]
) -> None:
    node, definitions = rule
    assume(accepted(node, definitions))
    answers = by_sql({"rule": node}, people, ts, LISTS, definitions)
    for moment, answer in answers.items():
        person, t = moment // len(ts), ts[moment % len(ts)]
        expected = by_interpreter(node, people[person], t, person, LISTS, definitions)
        assert identity(answer["rule"]) == identity(expected), (person, t)
    assert len(answers) == len(people) * len(ts)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules())
def test_sparks_text_can_be_parsed(rule: tuple[s.Expression, Definitions]) -> None:
    node, definitions = rule
    assume(accepted(node, definitions))
    compiled = Compiled({"rule": node}, definitions, "spark")
    for sql in (compiled.gather(()), compiled.zones(()), compiled.main(())):
        if sql is not None:
            again = sqlglot.parse_one(sql, dialect="spark")
            assert not list(again.find_all(sqlglot.exp.Command))
