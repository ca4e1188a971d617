"""How `make docs` builds these pages."""

project = "Edit Bench"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
napoleon_use_ivar = True
html_theme = "furo"
html_title = project
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True}
