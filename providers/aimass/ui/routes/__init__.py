"""One file per page; each has a `router`."""

from aimass.ui.routes import new, report

ROUTERS = [new.router, report.router]
