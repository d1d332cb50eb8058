"""How Sphinx builds these pages."""

import shutil
from pathlib import Path
from typing import Any

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


def setup(app: Any) -> None:
    """Copy the pictures. Only HTML refers to them, because each has one for the dark."""
    app.connect("build-finished", copy_images)


def copy_images(app: Any, _error: Exception | None) -> None:
    """Copy the pictures to where the pages look for them."""
    source = Path(app.srcdir, "images")
    shutil.copytree(source, Path(app.outdir, "images"), dirs_exist_ok=True)
