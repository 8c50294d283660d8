"""Sphinx's settings. The pages beside this file are put together by `python -m docs`."""

from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx

from specbuild.version import __version__

project = "specbuild"
author = "the specbuild authors"
release = version = __version__
extensions = ["myst_parser", "sphinx_design"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "attrs_inline"]
html_theme = "furo"
html_title = f"specbuild {version}"
html_static_path = ["static"]
html_css_files = ["specbuild.css"]
html_js_files = ["catalogue.js"]
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
smartquotes = False  # `--spec` is no dash
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", shorten_navigation, priority=400)  # before the theme, which has 500


def shorten_navigation(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Open only the section of the page itself: the theme would list all pages on each, most of the build's time."""
    list_pages: Callable[..., str] | None = context.get("toctree")
    if list_pages is not None:
        context["toctree"] = lambda **options: list_pages(**{**options, "collapse": True})
