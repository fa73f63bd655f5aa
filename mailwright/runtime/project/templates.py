"""Whether the templates of a project compile, and get every variable that they read. Slower than all other checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mailwright.core.errors import InvalidInput, Issue
from mailwright.decisions.mail import MailDefinition
from mailwright.delivery.compose import CONFIRMING, PROVIDED, provided_names
from mailwright.delivery.plan import Templates
from mailwright.rendering.liquid_environment import TemplateEnvironment
from mailwright.rendering.template import missing_variables
from mailwright.runtime.project.documents import Document, Path, parse_yaml
from mailwright.runtime.project.forms import confirmations
from mailwright.runtime.project.references import mails

if TYPE_CHECKING:
    from mailwright.runtime.project.load import Project


def templates_of(project: Project) -> Templates:
    """The project's templates, which show times in its zone and prices in its currency."""
    return Templates(project.templates, environment=TemplateEnvironment(zone=project.zone, currency=project.currency))


def check_templates(project: Project, files: Mapping[str, str]) -> list[Issue]:
    """Every fault of the templates, in each of the mails that use them; for a project that loads without fault."""
    templates = templates_of(project)
    broken: dict[str, list[Issue]] = {}
    for name in project.templates:
        try:
            templates.get(name)
        except InvalidInput as error:
            broken[name] = list(error.issues)
    issues = [issue for found in broken.values() for issue in found]
    for placed in mails(project):
        document = parse_yaml(placed.path, files[placed.path])
        for at, mail in placed.sent():
            if mail.template not in broken:
                issues += _mail(project, templates, document, at, mail)
    for name, form in project.forms.items():
        for at, template in confirmations(form):
            if template in broken:
                continue
            document = parse_yaml(f"forms/{name}.yaml", files[f"forms/{name}.yaml"])
            compiled = templates.get(template)
            for issue in missing_variables(compiled, PROVIDED | CONFIRMING):
                message = f"{issue.message} in the confirmation mail of {document.path}"
                issues.append(replace(issue, message=message))
            if not any(use.path == "confirm_url" for use in compiled.uses):
                message = "the confirmation mail does not show `confirm_url`: nobody could confirm"
                issues.append(document.issue(at[:1], message, 'link to it: href="{{ confirm_url }}"'))
    return list(dict.fromkeys(issues))


def _mail(
    project: Project, templates: Templates, document: Document, at: Path, mail: MailDefinition
) -> Iterator[Issue]:
    try:
        compiled = templates.get(mail.template, mail.subject)
    except InvalidInput as error:
        yield from (_placed(document, at, issue) for issue in error.issues)
        return
    for issue in missing_variables(compiled, provided_names(mail, project.content_rules)):
        line = document.span(at).line
        yield _placed(document, at, replace(issue, message=f"{issue.message} in the mail of {document.path}:{line}"))


def _placed(document: Document, at: Path, issue: Issue) -> Issue:
    """An issue as it is, if it is in a template's file, or else in the subject that the mail brings itself."""
    return issue if issue.path.endswith(".mjml") else document.placed((*at, "subject"), issue)
