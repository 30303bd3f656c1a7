"""One file per page; each has a `router`."""

from aimass.ui.routes import dataset, models, monitor, new, overview, pipeline, report, tabs

ROUTERS = [
    dataset.router, models.router, monitor.router, new.router, overview.router, pipeline.router, report.router,
    tabs.router,
]  # fmt: skip
