"""Sphinx's settings. The pages beside this file are put together by `python -m docs`."""

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
