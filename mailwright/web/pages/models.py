"""Models beside their baselines, and whether they may serve."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from mailwright.reports.overview import model_reports
from mailwright.web.pages.shell import Context, pages_router, titles
from mailwright.web.templating import page_response

router = pages_router()


@router.get("/models")
def models(request: Request, context: Context) -> Response:
    """The newest version of every model."""
    values = {"reports": model_reports(context.records.models), "titles": titles(context.project.models)}
    return page_response(request, "models.html", values)
