"""Leave out what the theme loads on every page and no page of this site uses, and the markup that nothing asks for.

``layout.html`` drops the tags (search index, Font Awesome, Bootstrap's script), ``site.css`` draws the dozen icons that
remain. This step takes Font Awesome, dead rules and dead variables out of the stylesheets (``stylesheets.py``) and deletes
the files that nothing asks for. It also makes the build of a changed page shorter.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from operator import itemgetter
from pathlib import Path

import stylesheets
from jinja2 import FileSystemBytecodeCache

UNUSED = [
    "doctools.js",
    "sphinx_highlight.js",
    "searchtools.js",
    "language_data.js",
    "basic.css",
    "vendor/**/*",
    "scripts/fontawesome*",
    "scripts/bootstrap*",
    "styles/theme.css",
    "scripts/*.map",
    "styles/*.map",
    "webpack*",
]
SCRIPTS = ("doctools.js", "sphinx_highlight.js")  # Sphinx's own keys and marks, which the search of this site does not use
STYLESHEETS = ["styles/pydata-sphinx-theme.css", "sphinx-design.min.css", "pygments.css", "copybutton.css", "site.css"]
# Lines of a script that say nothing to a browser, and indentation; and the copy button's words in other languages.
COMMENTS = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)\n|^[ \t]+|^\n", re.M | re.S)
LANGUAGES = re.compile(r"^ *'(?!en)[\w-]+' *: \{[^{}]*\},?\n", re.M)
ICON_RULES = re.compile(r"(?<=[}/])(?:\.fa\b[^{}]*|@font-face)\{[^{}]*\}")
# What the writer adds and neither stylesheet nor script asks for. A word of code without a hyphen has no place to break at: it
# needs no element of its own. Reference pages have 10,000.
IDLE = [
    (re.compile(r'<code class="[^"]*\bliteral notranslate">'), "<code>"),
    (re.compile(r'<span class="pre">([^<-]*)</span>'), itemgetter(1)),  # a template of the same effect takes three times as long
    (re.compile(r'<span(?: class="(?:std std-\w+|w)")?>([^<]*)</span>'), itemgetter(1)),  # w: white space within code
    (re.compile(r'(?<=<a) class="reference internal"|(?<=<tr) class="row-(?:odd|even)"| title="Link to this heading"(?=>#</a>)'), ""),
]
PARAGRAPH = re.compile(r"<p\b.*?</p>", re.S)  # where its lines end in the source says nothing, and compresses worse than a space


class BeautifulSoup:
    """Stands in for what the theme parses its navigation with, which no template here asks for: loaded when it is, not before each build."""

    def __new__(cls, *arguments, **options):
        del sys.modules["bs4"]
        return importlib.import_module("bs4").BeautifulSoup(*arguments, **options)


def leave_out_markup(app, pagename, templatename, context, doctree) -> None:
    for part in {"body", "toc"} & context.keys():
        for idle, needed in IDLE:
            context[part] = idle.sub(needed, context[part])
        context[part] = PARAGRAPH.sub(lambda its: its[0].replace("\n", " "), context[part])
    if "toc" in context:
        context["toc"] = shallow(context["toc"])


def shallow(toc: str) -> str:
    """The contents beside a page: its title, its sections, and what is in them. With the entries of a catalog they were as long as a page."""
    kept, depth = [], 0
    for piece in re.split(r"(</?ul>)", toc):
        depth += piece == "<ul>"
        if depth <= 3:
            kept.append(piece)
        depth -= piece == "</ul>"
    return "".join(kept)


def leave_out_scripts(app, pagename, templatename, context, doctree) -> None:
    """A page without tabs needs no script for them."""
    idle = SCRIPTS if "sd-tab-set" in context.get("body", "") else (*SCRIPTS, "design-tabs.js")
    context["script_files"] = [script for script in context["script_files"] if not str(getattr(script, "filename", script)).endswith(idle)]


def has_text_over_lines(script: str) -> bool:
    """Whether a text between backticks goes over several lines: there indentation is part of what the script writes.

    Of texts within texts only a parser could tell; they count as such.
    """
    nested = re.search(r"`[^`]*\$\{[^}`]*`", script)
    return bool(nested) or any("\n" in text for text in script.split("`")[1::2])


def slim(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    static, kept = Path(app.outdir, "_static"), Path(app.doctreedir)
    own = {name for path in app.config.html_static_path for name in Path(app.confdir, path).rglob("*.js")} | set(static.glob("copybutton*.js"))
    known = stylesheets.names_of_pages(Path(app.outdir), kept / "names.json") | stylesheets.names_of_scripts(own, static.glob("scripts/*.js"))
    sheets = [static / name for name in STYLESHEETS]
    texts = [ICON_RULES.sub("", sheet.read_text(encoding="utf-8")).replace("code.literal", "code") for sheet in sheets]
    for sheet, text in zip(sheets, stylesheets.slimmed(texts, known, kept / "stylesheets.json")):
        sheet.write_text(re.sub(r"\s*([{};,\n])\s*", r"\1", text).lstrip(), encoding="utf-8")
    for script in static.rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        if script.name == "copybutton.js":  # its texts over several lines are drawings
            script.write_text(COMMENTS.sub("", LANGUAGES.sub("", text)), encoding="utf-8")
        elif ".min." not in script.name and not has_text_over_lines(text):
            script.write_text(COMMENTS.sub("", text), encoding="utf-8")
    for file in {file for pattern in UNUSED for file in static.glob(pattern) if file.is_file()}:
        file.unlink()


def keep_templates(app) -> None:
    """Compile the theme's templates once, not in every build: a tenth of the time that one changed page takes. Without their empty lines."""
    if app.builder.format == "html":
        kept = Path(app.doctreedir, "trimmed-templates")
        kept.mkdir(parents=True, exist_ok=True)
        templates = app.builder.templates.environment
        templates.bytecode_cache, templates.trim_blocks, templates.lstrip_blocks = FileSystemBytecodeCache(str(kept)), True, True


def stay_in_one_process(app, env, docnames: list[str]) -> None:
    """Handing one page to another process and waiting for it, twice, takes longer than the page."""
    if len(docnames) <= 2:
        app.parallel = 1


def setup(app) -> dict:
    later = types.ModuleType("bs4")
    later.BeautifulSoup = BeautifulSoup
    sys.modules.setdefault("bs4", later)
    # A change to this file writes every page again.
    app.add_config_value("slim_changed", Path(__file__).stat().st_mtime_ns, "html", types=[int])
    app.connect("builder-inited", keep_templates)
    app.connect("env-before-read-docs", stay_in_one_process)
    app.connect("html-page-context", leave_out_markup)
    app.connect("html-page-context", leave_out_scripts)
    app.connect("build-finished", slim, priority=900)  # after the theme, which writes its colors of code then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
