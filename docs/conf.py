"""The documentation as a site: `make docs` builds build/site with Sphinx, from the Markdown that is read here."""

from __future__ import annotations

import aimass

project = "AI Mass on Airflow"
author = "The AI Mass authors"
version = release = aimass.__version__
extensions = ["myst_parser"]
# Examples are cut into pages; they are no pages themselves.
exclude_patterns = ["examples/**"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "AI Mass on Airflow"
html_logo = "../providers/aimass/ui/static/icon.svg"
html_favicon = html_logo
html_copy_source = False
html_show_sphinx = False
# Opens offline: nothing is fetched from elsewhere.
html_theme_options = {"sidebar_hide_name": False}
html_use_index = False
