"""Every column of History is documented."""

import pyarrow as pa

from mailwright.runtime.engine import history_rows
from mailwright.runtime.engine.history import _PARTS
from mailwright.runtime.engine.history_columns import TABLES
from mailwright.runtime.jobs.history import FORGOTTEN
from mailwright.runtime.jobs.history import TABLES as KEPT_UP
from mailwright.stores.history_erasing import ERASED_TABLES


def test_every_table_and_column_has_a_meaning_and_upkeep():
    schemas = [value for value in vars(history_rows).values() if isinstance(value, pa.Schema)]
    assert {id(schema) for schema, _, _ in TABLES.values()} == {id(schema) for schema in schemas}
    assert len(TABLES) == len(_PARTS)
    assert set(KEPT_UP) == set(TABLES)
    assert set(ERASED_TABLES) <= set(TABLES)
    for schema, title, meanings in TABLES.values():
        assert title.endswith(".")
        assert list(meanings) == schema.names
    assert all(column in TABLES[table][0].names for table, column in FORGOTTEN.items())
