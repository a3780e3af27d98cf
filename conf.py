"""Sphinx configuration: ``sphinx-build -c . docs build/html -W -n --keep-going``."""

import atexit
import gc
import os
import sys
import tomllib
from pathlib import Path

# A build makes a million nodes and keeps them: to look for garbage among them again and again took a quarter of its time.
gc.disable()
atexit.register(gc.freeze)  # nor at the end: the process goes, and all of them with it

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT / "docs" / "_ext"), str(ROOT / "docs" / "training" / "index")]  # scripts that draw read with the shared reader
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]

project = "NeMo Gym Training"
release = version = GROUPS["gym"][0].split("==")[1]  # the documented release of nemo-gym, named in one place
html_title = project
language = "en"
root_doc = "training/index"  # the root address leads there (redirects.txt)
smartquotes = False  # a quoted message stays what the reader can search for, and the build is shorter by a twentieth

extensions = [
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxext.rediraffe",
    # our own, in docs/_ext
    "faster",
    "front_matter",
    "verified",
    "minutes",
    "order",
    "boxes",
    "page_files",
    "shown_files",
    "narrow",
    "plot",
    "facts",
    "markdown_twins",
    "llms",
    "publish",
    "moved",
    "problems",
    "planner",
    "template_table",
    "search_index",
    "console",
    "slim",
]

# What a page includes or offers for download is not a page; the folder of a hub holds the pages below it.
HUBS = ["configuration-options", "performance-tuning"]
FOLDERS = sorted(ROOT.glob("docs/training/*/*/"))
exclude_patterns = ["_*", "training/index/**", *(f"{path.relative_to(ROOT / 'docs').as_posix()}/{'*/**' if path.name in HUBS else '**'}" for path in FOLDERS)]
# Paths in this file start at the repository, because it is the configuration folder (-c .).
templates_path = ["docs/_templates"]
html_static_path = ["docs/_static"]

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3  # links such as [..](page.md#a-heading) work down to ###
copybutton_exclude = ".linenos, .gp, .go"  # copy commands, not prompts or outputs
linkcheck_ignore = [r"(?!https?:)"]  # tests follow the local links, in the built site

# Where the site is published, as in https://example.com/docs/. Without it nothing in the site names its own address.
html_baseurl = address.rstrip("/") + "/" if (address := os.environ.get("SITE_ADDRESS", "")) else ""
rediraffe_redirects, rediraffe_template = "redirects.txt", "_templates/redirect.html"  # paths below docs

# The ways out in the footer. What has no address is not shown: the repository of these pages is set where it is known.
ways_out = {
    "repository": os.environ.get("SITE_REPOSITORY", "").rstrip("/"),  # as in https://github.com/OWNER/NAME
    "branch": "main",
    "NeMo Gym documentation": f"https://docs.nvidia.com/nemo/gym/v{release}/get-started/quickstart",
    "NeMo Gym on GitHub": "https://github.com/NVIDIA-NeMo/Gym",
}

html_theme = "pydata_sphinx_theme"
html_css_files = ["site.css"]
html_logo = html_favicon = "docs/_static/logo.svg"  # one file, one request
html_sidebars = {"**": ["guides.html"]}
html_show_sourcelink = html_copy_source = False
html_use_index = False
html_context = {"default_mode": "light", "ways_out": ways_out}  # without JavaScript; layout.html follows the system with it
html_theme_options = {
    "logo": {"text": project},
    "navbar_start": ["navbar-logo", "release.html"],
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button-field"],
    "search_bar_text": "A question, an option, an error message",
    "secondary_sidebar_items": ["page-toc"],
    "article_footer_items": ["verified.html", "twin.html"],
    "primary_sidebar_end": [],
    "footer_start": ["footer.html"],
    "footer_end": [],
    "back_to_top_button": False,
    # The theme makes each part of a page twice to see whether it is empty; these never are.
    "templates_skip_empty_check": ["navbar-logo.html", "release.html", "theme-switcher.html", "search-button-field.html", "guides.html", "footer.html"],
}
