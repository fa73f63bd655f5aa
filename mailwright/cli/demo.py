"""``mailwright demo``: the whole job on a real shop, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from mailwright.cli.output import console, on_terminal, progress
from mailwright.cli.processes import address, asked_to_stop, show_address
from mailwright.delivery.sender import release_leases
from mailwright.runtime.demo import folder as demo_folder
from mailwright.runtime.demo.stages import FINISHED, Demo, prepare, receiver
from mailwright.runtime.installation import Installation, only_one, open_installation
from mailwright.runtime.settings import Settings, load_settings
from mailwright.runtime.supervisor import Supervisor, children, listen


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo lives.", file_okay=False)] = Path("demo-shop"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw an earlier demo away and start over.")] = False,
    serve: Annotated[bool | None, typer.Option(help="Serve the pages at the end; by default on a terminal.")] = None,
    port: Annotated[int | None, typer.Option(help="Listen here; 0 takes a free port.")] = None,
    households: Annotated[
        int | None, typer.Option(min=20, help="Only households numbered up to this, for a quick look.")
    ] = None,
) -> None:
    """Run the whole job on a real shop: import, segments, models, four weeks of mail, and a report."""
    stay = on_terminal() if serve is None else serve
    with demo_folder.held(folder):
        demo_folder.make(folder, fresh=fresh)
        settings = load_settings(folder)
        there = open_installation(settings)
        try:
            _run(settings, there, port, stay, households)
        finally:
            there.close()


def _run(settings: Settings, there: Installation, port: int | None, stay: bool, households: int | None) -> None:
    finished = there.records.meta.get(FINISHED) is not None
    if finished:
        console.print(f"This demo is finished; its report is in {settings.folder / 'report.html'}.")
        console.print("`mailwright demo --fresh` starts over.")
        if not stay:
            return
    with only_one(settings.data_folder / "serve.lock", "Mailwright"):
        prepare(there, households)
        listener = listen(settings.door.host, settings.door.port if port is None else port)
        base_url = address(settings, listener.getsockname()[1])
        mail = listen("127.0.0.1", 0)
        smtp_port = mail.getsockname()[1]
        started = children(
            settings.folder, listener, base_url=base_url, environment={"MAILWRIGHT__CHANNEL__PORT": str(smtp_port)}
        )
        if finished:
            mail.close()  # nobody receives any more
        supervisor = Supervisor(started if finished else [receiver(settings.folder, mail), *started])
        release_leases(there.records.messages, there.clock.now())
        supervisor.start()
        try:
            if not finished:
                with progress() as bars:
                    report = Demo(there, base_url, supervisor, _Show(bars)).run()
                _tell(report, settings.folder)
            if stay:
                asked = asked_to_stop()
                show_address(there, base_url)
                supervisor.watch(asked.is_set)
        finally:
            supervisor.stop()


class _Show:
    """The demo's progress on the console."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def bar(self, what: str, total: int) -> Any:
        if not self._bars.console.is_terminal:
            self._bars.print(f"{what} ...")
        task = self._bars.add_task(what, total=total)
        return lambda n: self._bars.advance(task, n)

    def say(self, text: str) -> None:
        self._bars.print(text)

    def segments(self, rows: list[tuple[str, int, int]]) -> None:
        table = Table(title="Segments when the live weeks begin", title_justify="left")
        table.add_column("segment")
        table.add_column("people", justify="right")
        table.add_column("share", justify="right")
        for title, size, people in rows:
            table.add_row(title, f"{size:,}", f"{size / people:.1%}" if people else "–")
        self._bars.print(table)

    def models(self, rows: list[dict[str, Any]]) -> None:
        table = Table(title="Recommendations: what the gate saw, on the four weeks before", title_justify="left")
        table.add_column("model")
        wanted = ("precision@10", "recall@10", "ndcg@10")
        for name in wanted:
            table.add_column(name, justify="right")
        seen: set[str] = set()
        for row in rows:
            for name, metrics in row["metrics"].items():
                if name not in seen:
                    seen.add(name)
                    table.add_row(name, *(f"{metrics[key]:.3f}" if key in metrics else "" for key in wanted))
        self._bars.print(table)
        for row in rows:
            self._bars.print(f"  {row['name']} {'serves' if row['passed'] else 'does not serve'}: {row['gate']}")


def _tell(report: dict[str, Any], folder: Path) -> None:
    table = Table(title=f"{report['shop']}: four weeks of mail", title_justify="left")
    table.add_column("mails")
    table.add_column("n", justify="right")
    for outcome, n in report["messages"]["outcomes"].items():
        table.add_row(outcome, f"{n:,}")
    for reason, n in report["messages"]["not_sent_reasons"].items():
        table.add_row(f"  not sent: {reason}", f"{n:,}")
    console.print(table)
    models = Table(title="Recommendations on the four weeks that they had not seen", title_justify="left")
    models.add_column("model")
    wanted = ("precision@10", "recall@10", "ndcg@10")
    for name in wanted:
        models.add_column(name, justify="right")
    rows = {name: model["metrics"] for name, model in report["models"].items()}
    for model in report["models"].values():
        rows |= model["baselines"]
    for name, metrics in rows.items():
        models.add_row(name, *(f"{metrics[key]:.3f}" for key in wanted))
    console.print(models)
    for name, experiment in report["experiments"].items():
        for arm, row in experiment["arms"].items():
            low, high = row["interval"]
            rate = "–" if row["rate"] is None else f"{row['rate']:.1%}"
            console.print(f"  {name} / {arm}: {rate} clicked ({low:.1%} to {high:.1%}, n = {row['n']:,})")
        console.print(f"  {experiment['verdict']}")
    console.print(f"\n{report['note']}")
    spent = report["timings_s"]
    console.print(f"\n{sum(spent.values()):.0f} s: " + ", ".join(f"{stage} {s:.0f} s" for stage, s in spent.items()))
    console.print(f"The report: {folder / 'report.html'}")
