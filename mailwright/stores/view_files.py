"""Results of queries as files for other programs: a Parquet file or a Delta table each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq

from mailwright.stores.files import make_folder, sync_folder, sync_path

Format = Literal["parquet", "delta"]


def write_view(batches: Iterator[pa.RecordBatch], folder: Path, name: str, kind: Format) -> int:
    """Write ``FOLDER/NAME.parquet`` or the next version of the Delta table ``FOLDER/NAME``; the rows written.

    What is there already stays as it is until the new one is whole. `batches` has one at least, without rows where
    there are none: a file without rows then takes the place of an older one.
    """
    make_folder(folder)
    first = next(batches)
    counted = _Counted(chain([first], batches))
    if kind == "delta":
        reader = pa.RecordBatchReader.from_batches(first.schema, iter(counted))
        deltalake.write_deltalake(folder / name, reader, mode="overwrite", schema_mode="overwrite")
        return counted.rows
    temporary = folder / f".{name}.{uuid.uuid4().hex}.tmp"
    try:
        with pq.ParquetWriter(temporary, first.schema) as writer:
            for batch in counted:
                writer.write_batch(batch)
        sync_path(temporary)
        temporary.replace(folder / f"{name}.parquet")
        sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return counted.rows


class _Counted:
    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.rows += batch.num_rows
            yield batch
