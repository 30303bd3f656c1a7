"""One file per page; each has a `router`."""

from aimass.ui.routes import report

ROUTERS = [report.router]
