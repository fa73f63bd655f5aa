"""The definitions now in force: the project's files as they were applied."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.templating import page_response

router = pages_router()


@router.get("/definitions")
def definitions(request: Request, context: Context) -> Response:
    """All files of the current version."""
    return page_response(request, "definitions.html", {"current": context.records.definitions.current()})
