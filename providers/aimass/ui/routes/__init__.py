"""One file per page; each has a `router`."""

from aimass.ui.routes import dataset, models, new, overview, pipeline, report, tabs

ROUTERS = [dataset.router, models.router, new.router, overview.router, pipeline.router, report.router, tabs.router]
