"""How Sphinx builds these pages."""

from django_future import __version__

project = "django-future"
author = "The django-future maintainers"
copyright = f"2026, {author}"
release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!django_future).*")]

html_theme = "furo"
html_title = f"django-future {release}"
html_static_path = ["_static"]
html_copy_source = False
