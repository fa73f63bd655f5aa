"""The repository itself: documentation that cannot drift, layers, sizes, and nothing that belongs to one machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # tools/ and bench/ are no installed packages

from bench.__main__ import COLUMNS, benches  # noqa: E402
from mailwright.decisions.content_rules import ContentRuleDefinition  # noqa: E402
from mailwright.decisions.mail import MailDefinition  # noqa: E402
from mailwright.ingest.context.channels import ChannelDefinition  # noqa: E402
from mailwright.ingest.forms.definitions import FormDefinition  # noqa: E402
from mailwright.ingest.plan import TrackingPlan  # noqa: E402
from mailwright.journeys.definitions import CampaignDefinition, JourneyDefinition  # noqa: E402
from mailwright.models.definitions import ModelDefinition  # noqa: E402
from mailwright.profiles.definitions import AttributeDefinition  # noqa: E402
from mailwright.profiles.identity_rules import IdentityRules  # noqa: E402
from mailwright.rendering.template import compile_template, parse_template  # noqa: E402
from mailwright.reports.data_map import DataMapDefinition  # noqa: E402
from mailwright.reports.quality.definitions import QualityDefinition  # noqa: E402
from mailwright.rules.fold.causes import CAUSES  # noqa: E402
from mailwright.rules.parse import parse  # noqa: E402
from mailwright.rules.show import show  # noqa: E402
from mailwright.rules.syntax import from_json, to_json  # noqa: E402
from mailwright.runtime.project.documents import parse_toml, parse_yaml  # noqa: E402
from mailwright.runtime.project.outside import lookup_of, webhook_of  # noqa: E402
from mailwright.segments.definitions import SegmentDefinition  # noqa: E402
from mailwright.web.pages.segments import CAUSES as CAUSE_WORDS  # noqa: E402
from tools.reference import commands_page, errors_page, messages_page, ports_page, rules_page  # noqa: E402
from tools.reference import settings_page as settings  # noqa: E402
from tools.reference.error_codes import Raised, raised_codes  # noqa: E402
from tools.reference.layers import declared_layers, real_imports  # noqa: E402
from tools.reference.markdown import doc_of, parse_doc  # noqa: E402
from tools.reference.pages import PAGES, made_files, outdated, with_block  # noqa: E402
from tools.reference.rule_examples import EXAMPLES  # noqa: E402

MAX_LINES = 600
CODE = (".py", ".lark", ".js", ".mjs", ".css", ".html", ".jinja", ".sh")


def tracked() -> list[Path]:
    """Files that are, or are about to be, in the repository; every file where there is no git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, check=False)
    if listed.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file()]
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Path and text of every text file; one that a test beside this one takes away meanwhile is none."""
    for path in tracked():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue


@cache
def made() -> dict[str, str]:
    """The made pages, made once."""
    return made_files()


# --- made pages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "docs/architecture.md"])
def test_made_pages_are_as_the_code_says(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == made()[path], "run `make docs` and commit what it writes"


def test_a_changed_page_is_noticed(tmp_path: Path) -> None:
    for path, text in made().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text.replace("8080", "8081"), encoding="utf-8")
    assert outdated(tmp_path) == ["docs/reference/settings.md"]


def test_a_block_is_replaced_and_a_missing_one_told() -> None:
    page = "before\n<!-- made: x -->\nold\n<!-- end: x -->\nafter"
    assert with_block(page, "x", "new") == "before\n<!-- made: x -->\nnew\n<!-- end: x -->\nafter"
    with pytest.raises(ValueError, match="made: y"):
        with_block(page, "y", "new")


# --- everything is documented ----------------------------------------------------------------------------------------


def test_every_error_code_is_documented_and_every_documented_code_is_raised() -> None:
    raised, known = raised_codes(), errors_page.meanings()
    assert len(raised) > 100
    assert errors_page.undocumented(raised, known) == [], "write them into tools/reference/error_meanings.toml"
    assert errors_page.unraised(raised, known) == []


def test_codes_are_found_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(
        """
_CODES = {1: (Transient, "thing.tuple", "why")}
def f(kind, flag):
    raise NotFound("thing.plain", "...")
    raise InvalidInput.one("thing.one", "...")
    raise Conflict("thing.yes" if flag else "thing.no", "...")
    raise Permanent(f"thing.{kind}", "...")
    raise wrong("thing.wrapped", "...")
    return Answer(error="Permanent", code="thing.keyword")
def wrong(code, message):
    return Corrupt(code, message)
def later(flag):
    code = "thing.assigned" if flag else "thing.other"
    raise InvalidInput(code, [])
"""
    )
    assert [(one.code, one.kind) for one in raised_codes(tmp_path)] == [
        ("thing.*", "Permanent"),
        ("thing.assigned", "InvalidInput"),
        ("thing.keyword", "Permanent"),
        ("thing.no", "Conflict"),
        ("thing.one", "InvalidInput"),
        ("thing.other", "InvalidInput"),
        ("thing.plain", "NotFound"),
        ("thing.tuple", "Transient"),
        ("thing.wrapped", "Corrupt"),
        ("thing.yes", "Conflict"),
    ]


def test_an_undocumented_and_a_stale_code_are_told() -> None:
    raised = [Raised("a.b", "NotFound", "m"), Raised("http.*", "NotFound", "m")]
    known = {"chapter": {"http.404": "...", "c.d": "..."}}
    assert errors_page.undocumented(raised, known) == ["a.b (m)"]
    assert errors_page.unraised(raised, known) == ["c.d"]


def test_every_setting_has_help() -> None:
    for section in settings.sections():
        assert section.doc.text, f"[{section.name}] has no docstring"
        helped = section.doc.sections.get("Attributes", {})
        assert set(helped) == set(section.fields), f"[{section.name}]: give each setting a line under Attributes"
        assert all(helped.values())


def test_every_command_and_parameter_has_help() -> None:
    found = list(commands_page.commands())
    assert {"init", "plan", "apply", "serve", "demo", "explain"} <= {command.name for command in found}
    for command in found:
        assert command.help, f"{command.name} has no docstring"
        for parameter in command.parameters:
            shared = command.hidden or parameter.name == "project"
            assert parameter.help or shared, f"{command.name} {parameter.name} has no help"


def test_every_port_and_method_has_a_docstring() -> None:
    ports = list(ports_page.port_list())
    assert {"EventLog", "Records", "Clock", "Channel"} <= {port.name for port in ports}
    for port in ports:
        assert port.doc.text, f"{port.name} has no docstring"
        for method in port.methods:
            assert method.doc.text, f"{port.name}.{method.signature} has no docstring"


@pytest.mark.parametrize("node", rules_page.nodes(), ids=lambda node: node.__name__)
def test_every_rule_node_has_a_docstring_and_examples_that_hold_it(node: type) -> None:
    assert doc_of(node).text
    assert EXAMPLES[node]
    for text in EXAMPLES[node]:
        tree = parse(text)
        assert rules_page.holds(node, text), f"{text!r} has no {node.__name__}"
        assert parse(show(tree)) == tree
        assert from_json(to_json(tree)) == tree


def test_every_state_event_reason_and_call_is_told() -> None:
    assert set(messages_page.STATES) == set(messages_page.MessageState)
    assert set(messages_page.EVENTS) == messages_page.own_events()
    assert set(messages_page.reasons()) == {str(reason) for reason in messages_page.Reason}


@pytest.mark.parametrize("page", ["docs/reference/history.md", "docs/how-to/segments-live.md"])
def test_every_cause_of_a_transition_is_told_and_no_other(page: str) -> None:
    (told,) = re.findall(r"^.*`cause`.*`event`.*$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`([a-z]+)`", told)) - {"cause"} == set(CAUSES) == set(CAUSE_WORDS)


def test_docstrings_are_taken_apart() -> None:
    doc = parse_doc(
        """What it is.

        More, with ``code``.

        Attributes:
            one: First,
                on two lines.
            two: Second.

        Raises:
            NotFound: If not.
        """
    )
    assert doc.summary == "What it is."
    assert doc.text.endswith("More, with `code`.")
    assert doc.sections == {
        "Attributes": {"one": "First, on two lines.", "two": "Second."},
        "Raises": {"NotFound": "If not."},
    }


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    assert len(pages) > 25
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"(?:\]\(|src=\"|srcset=\")([^)#\s\"]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    assert [page for page in pages if page != "README.md" and f"({page})" not in index] == []


def test_every_row_of_a_table_stands_in_one() -> None:
    """An empty line ends a table: rows behind it, without a head of their own, would be shown as text."""
    lost = []
    for page in (path for path in tracked() if path.suffix == ".md"):
        text = re.sub(r"(?ms)^( *)```.*?^ *```$", "", page.read_text(encoding="utf-8"))
        for first, second in re.findall(r"(?m)(?:\A|^[ \t]*\n)(\|.*)\n?(.*)", text):
            if not re.fullmatch(r"\|[-:| ]+\|", second):
                lost.append(f"{page.relative_to(ROOT)}: {first[:60]}")
    assert lost == []


# --- what the pages show is true -------------------------------------------------------------------------------------


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every code block of a language."""
    pages = sorted(path for path in tracked() if path.suffix == ".md")
    fence = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [(path.name, block) for path in pages for block in fence.findall(path.read_text(encoding="utf-8"))]


def test_rules_on_the_segment_page_parse() -> None:
    page = (ROOT / "docs/how-to/write-a-segment.md").read_text(encoding="utf-8")
    rules = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", page, re.MULTILINE)
    assert len(rules) > 10
    for rule in rules:
        assert parse(show(parse(rule))) == parse(rule)


FIRST_KEYS: dict[str, type] = {
    "fields": FormDefinition,
    "audience": CampaignDefinition,
    "trigger": JourneyDefinition,
    "slot": ContentRuleDefinition,
    "kind": ModelDefinition,
    "priority": IdentityRules,
    "variables": MailDefinition,
    "sensitivity": QualityDefinition,
    "reconcile": QualityDefinition,
    "audit": QualityDefinition,
    "conversion": DataMapDefinition,
    "unknown": TrackingPlan,
}
"""A key that only one kind of definition has -> that kind; a block with none of them holds definitions by name."""


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_definitions_on_the_pages_are_valid(page: str, block: str) -> None:
    document = parse_yaml(page, block)
    data = document.data
    if ("values" in data and "url" in data) or (page == "enrich-and-signals.md" and "preset" in data):
        assert lookup_of("page", document)
        return
    if "preset" in data or "verify" in data:
        assert webhook_of("page", document)
        return
    kind = next((kind for key, kind in FIRST_KEYS.items() if key in data), None)
    if kind is MailDefinition:
        data = {"template": "news", **data}
    if kind is not None:
        assert isinstance(msgspec.convert(data, kind), kind)
    else:
        assert data, "an empty block shows nothing"
        for name, one in data.items():
            if "rule" in one:
                parse(msgspec.convert(one, SegmentDefinition).rule)
                continue
            if "channel" in one:
                assert not msgspec.convert(one, ChannelDefinition).check("")
                continue
            for plain in msgspec.convert(one, AttributeDefinition).plain(name).values():
                parse(plain.value)


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_settings_on_the_pages_are_valid(page: str, block: str) -> None:
    known = {section.name: set(section.fields) for section in settings.sections()}
    for section, values in parse_toml(page, block).data.items():
        assert set(values) <= known[section]


def test_templates_on_the_pages_compile() -> None:
    shown = blocks("html")
    assert shown
    for page, block in shown:
        compile_template(parse_template(page, block))


# --- layers ----------------------------------------------------------------------------------------------------------


def documented_layers() -> list[list[str]]:
    """Layers as docs/architecture.md tells them: the first word of each part of a line is the package."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    block = page.partition("<!-- layers -->")[2].partition("<!-- end: layers -->")[0]
    lines = [line for line in block.splitlines() if line and not line.startswith("```")]
    return [[part.split()[0] for part in line.split("|")] for line in lines]


def test_the_architecture_page_tells_the_declared_layers() -> None:
    assert documented_layers() == declared_layers()


def test_real_imports_go_down_the_documented_layers() -> None:
    height = {name: place for place, layer in enumerate(documented_layers()) for name in layer}
    real = real_imports()
    assert set(real) - {"__init__"} == set(height), "a package is not on the page, or on it and gone"
    edges = [(name, other) for name, others in real.items() for other in others]
    upwards = [f"{name} -> {other}" for name, other in edges if height[name] >= height[other]]
    assert upwards == []
    assert "core" in real["rules"], "the graph is empty"


def test_only_runtime_imports_the_stores() -> None:
    assert {name for name, others in real_imports().items() if "stores" in others} == {"runtime"}


# --- files -----------------------------------------------------------------------------------------------------------

HOSTS = [
    r"py" r"pi\.org",
    r"python" r"hosted\.org",
    r"npm" r"js\.(?:org|com)",
    r"yarn" r"pkg\.com",
    r"--(?:extra-)?index" r"-url[ =]+\w",
    r"[a-z]+://[^\s\"'/]+(?:/[^\s\"'/]+)*/sim" r"ple\b",
    r"\"resol" r"ved\"\s*:",
]
MACHINE_PATHS = [r"(?<![\w.])/(?:ho" r"me|ro" r"ot|Us" r"ers|wo" r"rk|m" r"nt)/\w", r"[A-Z]:\\\\?Us" r"ers"]


@pytest.mark.parametrize("pattern", [*HOSTS, *MACHINE_PATHS])
def test_no_file_names_a_registry_or_a_path_of_one_machine(pattern: str) -> None:
    wanted = re.compile(pattern, re.IGNORECASE)
    assert [f"{path}: {match[0]}" for path, text in texts() if (match := wanted.search(text))] == []


def test_the_patterns_find_what_they_look_for() -> None:
    bad = ["https://py" + "pi.org/x", "--index" + "-url https://x", "https://a.b/c/sim" + "ple/", "/ho" + "me/me"]
    found = [text for text in bad if any(re.search(each, text, re.IGNORECASE) for each in [*HOSTS, *MACHINE_PATHS])]
    assert found == bad


def test_no_source_file_is_longer_than_a_person_reads() -> None:
    folders = ("mailwright/", "tools/", "bench/")
    long = [
        f"{path}: {text.count(chr(10))} lines"
        for path, text in texts()
        if path.startswith(folders) and path.endswith(CODE) and text.count("\n") > MAX_LINES
    ]
    assert long == []


def test_every_bench_is_found_and_has_the_columns_of_the_table() -> None:
    assert {"log", "rendering", "sending"} <= set(benches())
    for name in benches():
        text = (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")
        assert [column for column in COLUMNS if f'"{column}"' not in text] == []
