"""How Sphinx builds the documents; run by ``make docs``."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "sim"
author = "the sim authors"
release = metadata.version("sim")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "generated",  # beside this file: the pages that are written from the code itself
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
napoleon_google_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"  # keys of a part are in the pages of its file, with their meaning
autodoc_default_options = {"members": True, "show-inheritance": True}
html_theme = "furo"
html_title = "sim: trials of low back pain, simulated"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
