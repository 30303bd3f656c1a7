"""The app behind the pages: routes, static files, and errors that read like pages.

No ``from __future__ import annotations``: see `security`.
"""

from importlib import resources

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from aimass.core.errors import AimassError, NotFoundError
from aimass.ui.pages import page
from aimass.ui.routes import ROUTERS


def create_app() -> FastAPI:
    """Return the app; Airflow mounts it at `aimass.ui.plugin.PREFIX`."""
    app = FastAPI(title="AI Mass", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/static/look.css", _look, methods=["GET"])
    static = resources.files("aimass.ui") / "static"
    # Style sheets and icons hold no data; a tab's sandboxed frame could not log in to fetch them.
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(AimassError, _failed)
    return app


def _look() -> Response:
    """Answer the style sheet that pages and reports share."""
    sheet = resources.files("aimass.core.reports") / "templates" / "style.css"
    return Response(sheet.read_text(encoding="utf-8"), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _refused(request: Request, error: Exception) -> Response:
    """Answer 401, 403, 404 … with a page that says what to do."""
    assert isinstance(error, StarletteHTTPException)
    return page(request, "error.html", status=error.status_code, code=error.status_code, detail=str(error.detail))


def _failed(request: Request, error: Exception) -> Response:
    """Answer an error of the engine: something is gone, or a server behind us does not answer."""
    status = 404 if isinstance(error, NotFoundError) else 502
    return page(request, "error.html", status=status, code=status, detail=str(error))
