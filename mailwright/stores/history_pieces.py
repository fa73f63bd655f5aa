"""Row groups of History's files, read column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from mailwright.core.errors import NotFound


class FilePiece:
    """One row group of a Parquet file. The Piece port."""

    def __init__(self, file: str, group: int, n_rows: int, schema: pa.Schema, coded: Sequence[str]) -> None:
        self.n_rows = n_rows
        self._file = file
        self._group = group
        self._schema = schema
        self._coded = list(coded)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """See `mailwright.core.ports.Piece.read`."""
        with _open(self._file, self._coded) as opened:
            there = set(opened.schema_arrow.names)
            read = opened.read_row_group(self._group, columns=[name for name in columns if name in there])
        return pa.table({name: read[name] if name in there else self._nothing(name) for name in columns})

    def greatest(self, columns: Sequence[str]) -> list[int | None]:
        """See `mailwright.core.ports.Piece.greatest`."""
        with _open(self._file, ()) as opened:
            group = opened.metadata.row_group(self._group)
            there = {(column := group.column(place)).path_in_schema: column for place in range(group.num_columns)}
            told = [there[name].statistics if name in there else None for name in columns]
            return [
                int(each.max_raw) if each is not None and each.has_min_max and each.physical_type == "INT64" else None
                for each in told
            ]

    def _nothing(self, name: str) -> pa.Array:
        return pa.nulls(self.n_rows, self._schema.field(name).type)


def pieces_of(schema: pa.Schema, files: Sequence[str], coded: Sequence[str]) -> Iterator[FilePiece]:
    """The pieces of a table's files, which are in offset order."""
    for file in files:
        with _open(file, ()) as opened:
            sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.metadata.num_row_groups)]
            there = set(opened.schema_arrow.names)
        for group, n_rows in enumerate(sizes):
            if n_rows:  # a file older than a column lacks it, and pyarrow refuses to code what is not there
                yield FilePiece(file, group, n_rows, schema, [name for name in coded if name in there])


def _open(file: str, coded: Sequence[str]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, read_dictionary=list(coded), memory_map=True, pre_buffer=False)
    except FileNotFoundError:
        raise rewritten_since(file) from None


def rewritten_since(file: str) -> NotFound:
    """What a reader of an older version is told when its file was deleted."""
    return NotFound("history.piece", f"{file} is no longer there", "History was rewritten meanwhile: ask again")
