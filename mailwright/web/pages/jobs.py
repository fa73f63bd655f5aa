"""Jobs: what runs by schedule, how the newest run of each went, and running one now."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from mailwright.web.api_jobs import ask_for, jobs_told
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.sessions import FORM_BYTES, checked_form
from mailwright.web.templating import page_response

router = pages_router()


@router.get("/jobs")
def jobs(request: Request, context: Context) -> Response:
    """Every job: when it runs, what its newest run did, and a button that runs it now."""
    return page_response(request, "jobs.html", {"jobs": jobs_told(context)})


@router.get("/jobs/rows")
def rows(request: Request, context: Context) -> Response:
    """The jobs alone: the page asks for them anew while it is open."""
    return page_response(request, "jobs_rows.html", {"jobs": jobs_told(context)})


@router.post("/jobs/{name}/run", max_body_size=FORM_BYTES, dependencies=[Depends(checked_form)])
def run_job(request: Request, context: Context, name: Annotated[str, Path(max_length=200)]) -> Response:
    """Let the worker run a job now."""
    ask_for(context, name, request.state.user)
    return RedirectResponse("/jobs", 303)
