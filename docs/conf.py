"""How Sphinx builds the documents; run by ``make docs``."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

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


def setup(app: Any) -> None:
    """Name files outside the site instead of linking to them: the pages are read in the repository too."""
    home = Path(app.srcdir).resolve()

    def name_outside(app: Any, page: str, source: list[str]) -> None:
        def named(link: re.Match[str]) -> str:
            file = (home / page).parent.joinpath(link[2]).resolve()
            inside = file.is_relative_to(home) or ":" in link[2]
            return link[0] if inside else f"{link[1]} (`{file.relative_to(home.parent)}`)"

        source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#]+)\)", named, source[0])

    app.connect("source-read", name_outside)
