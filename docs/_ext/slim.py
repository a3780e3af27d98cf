"""Leave out what the theme loads on every page and no page of this site uses.

``layout.html`` drops the tags (search index, Font Awesome, Bootstrap's script), ``site.css`` draws the dozen icons that
remain. This step takes Font Awesome and the rules that match nothing out of the theme's stylesheets, unwraps the words
of inline code, and deletes the files that nothing asks for. It also makes the build of a changed page shorter.
"""

from __future__ import annotations

import re
from pathlib import Path

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
STYLESHEETS = ["styles/pydata-sphinx-theme.css", "sphinx-design.min.css"]
ICON_RULES = re.compile(r"(?<=[}/])(?:\.fa\b[^{}]*|@font-face)\{[^{}]*\}")
COMMENT, RULE = re.compile(r"/\*.*?\*/", re.S), re.compile(r"([^{}]+)\{([^{}]*)\}")
CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")
CLASSES_IN_HTML, WORDS_IN_SCRIPT = re.compile(r'class="([^"]*)"'), re.compile(r"[_a-zA-Z][\w-]*")
WORD_OF_CODE = re.compile(r'<span class="pre">([^<-]*)</span>')


def unwrap_code(app, pagename, templatename, context, doctree) -> None:
    """A word without a hyphen has no place to break at: it needs no element of its own. Reference pages have 10,000."""
    if "body" in context:
        body = context["body"].replace('<code class="docutils literal notranslate">', '<code class="literal">')
        context["body"] = WORD_OF_CODE.sub(r"\1", body)


def leave_out_scripts(app, pagename, templatename, context, doctree) -> None:
    context["script_files"] = [script for script in context["script_files"] if not str(getattr(script, "filename", script)).endswith(SCRIPTS)]


def without_dead_rules(stylesheet: str, classes: set[str]) -> str:
    """``stylesheet`` without the selectors that name a class outside ``classes``."""

    def alive(rule: re.Match) -> str:
        selectors, declarations = rule.groups()
        if selectors.lstrip().startswith("@") or "%" in selectors and selectors.rstrip().endswith("%"):
            return rule[0]
        # Commas within :not(...) and :is(...) do not separate selectors.
        kept = [part for part in re.split(r",(?![^()]*\))", selectors) if set(CLASS.findall(re.sub(r":not\([^()]*\)", "", part))) <= classes]
        return f"{','.join(kept)}{{{declarations}}}" if kept else ""

    slimmer = RULE.sub(alive, COMMENT.sub("", ICON_RULES.sub("", stylesheet)))
    return re.sub(r"@(?:media|supports)[^{}]*\{\s*\}", "", slimmer)


def slim(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    pages = (page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html"))
    classes = set(" ".join({value for page in pages for value in CLASSES_IN_HTML.findall(page)}).split())
    for script in static.rglob("*.js"):
        classes.update(WORDS_IN_SCRIPT.findall(script.read_text(encoding="utf-8")))
    for name in STYLESHEETS:
        stylesheet = static / name
        stylesheet.write_text(without_dead_rules(stylesheet.read_text(encoding="utf-8"), classes), encoding="utf-8")
    own = static / "site.css"
    own.write_text(re.sub(r"\s*\n\s*", "\n", COMMENT.sub("", own.read_text(encoding="utf-8"))).lstrip(), encoding="utf-8")
    for file in {file for pattern in UNUSED for file in static.glob(pattern) if file.is_file()}:
        file.unlink()


def keep_templates(app) -> None:
    """Compile the theme's templates once, not in every build: a tenth of the time that one changed page takes."""
    if app.builder.format == "html":
        kept = Path(app.doctreedir, "templates")
        kept.mkdir(parents=True, exist_ok=True)
        app.builder.templates.environment.bytecode_cache = FileSystemBytecodeCache(str(kept))


def stay_in_one_process(app, env, docnames: list[str]) -> None:
    """Handing one page to another process and waiting for it, twice, takes longer than the page."""
    if len(docnames) <= 2:
        app.parallel = 1


def setup(app) -> dict:
    # A change to this file writes every page again.
    app.add_config_value("slim_changed", Path(__file__).stat().st_mtime_ns, "html", types=[int])
    app.connect("builder-inited", keep_templates)
    app.connect("env-before-read-docs", stay_in_one_process)
    app.connect("html-page-context", unwrap_code)
    app.connect("html-page-context", leave_out_scripts)
    app.connect("build-finished", slim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
