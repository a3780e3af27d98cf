"""Each page for programs that read: a Markdown twin at the same address, ``llms.txt`` and ``llms-full.txt``.

A twin is made from the page's rendered body, so that whatever a reader sees is in it: includes, generated entries, cards,
tabs. What only HTML can say (a tab, an admonition, a caption, the language of a block) is first put into elements that
have a Markdown form; html-to-markdown does the rest. With a site address, the links in all these files are complete.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path

import order
from html_to_markdown import ConversionOptions, convert

OPTIONS = ConversionOptions(compact_tables=True, br_in_tables=True, extract_metadata=False)

FOR_THE_SCREEN = re.compile(r'<a class="headerlink".*?</a>|<(search|script|style|button)\b.*?</\1>|<input\b[^>]*>', re.S)
PICTURE = re.compile(r"<svg\b([^>]*)>.*?</svg>", re.S)
CODE = re.compile(r'<div class="[^"]*\bhighlight-(\S+)[^"]*"><div class="highlight"><pre>(.*?)</pre></div>', re.S)
CAPTION = re.compile(r'<div class="code-block-caption">(.*?)</div>', re.S)
BOX_TITLE = re.compile(r'<p class="(?:topic|admonition)-title">(.*?)</p>', re.S)
TAB = re.compile(r'<label [^>]*class="sd-tab-label"[^>]*>(.*?)</label>', re.S)
TERM = re.compile(r"(<dt\b[^>]*>)(.*?)(</dt>)", re.S)
TAG = re.compile(r"<[^>]+>")
DIV = re.compile(r"<div\b[^>]*>|</div>")
ELEMENTS = {"sd-tab-set": ("<ul>", "</ul>"), "sd-tab-content": ("", "</li>"), "admonition": ("<blockquote>", "</blockquote>")}
TARGET = re.compile(r'<(section|dt|span|div|details|figure|p)\b[^>]*? id="([^"]+)"[^>]*>(?:\s*<h[1-6]>(.*?)</h)?', re.S)
NUMBERED = re.compile(r"id\d+|sd-tab-.*")
LINK = re.compile(r'(<a\b[^>]*? href=")([^"]*)"')
# Outside code, these would be taken for Markdown.
PROSE = re.compile(r"<(pre|code)\b.*?</\1>|<[^>]*>|&lt;|[*`]", re.S)
# Marks that the conversion carries through: an anchor, the title of a box, a backslash, a link into the site by its target.
ANCHOR, BOX, BACKSLASH = re.compile("\ue000(.*?)\ue001\\s?"), re.compile("\n( *(?:> )+\\*\\*)\ue002"), "\ue003"
INSIDE = re.compile(r"(?<=\]\()(<?)twin:([^)>#\s]*)")


def picture(svg: re.Match) -> str:
    label = re.search(r'aria-label="([^"]*)"', svg[1])
    return f"<p><strong>Figure:</strong> {label[1]}</p>" if label else ""


def close_in_pairs(body: str) -> str:
    """Replace each ``<div>`` of a class that has another element for Markdown, and the ``</div>`` that belongs to it."""
    closing: list[str] = []

    def replace(tag: re.Match) -> str:
        if tag[0] == "</div>":
            return closing.pop()
        classes = re.search(r'class="([^"]*)"', tag[0])
        element = next((ELEMENTS[name] for name in classes[1].split() if name in ELEMENTS) if classes else iter(()), (tag[0], "</div>"))
        closing.append(element[1])
        return element[0]

    return DIV.sub(replace, body)


def slug(title: str) -> str:
    """The anchor that Markdown viewers give to a heading."""
    return re.sub(r"[^\w\- ]", "", html.unescape(TAG.sub("", title)).strip().lower()).replace(" ", "-")


def markdown(body: str, docname: str, docnames: set[str]) -> str:
    """The page as Markdown, in which a link into the site reads ``twin:`` and the path of its target."""

    def link(match: re.Match) -> str:
        address, hash_, anchor = match[2].partition("#")
        if re.match(r"[a-z]+:|//", address):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(docname), address)) if address else f"{docname}.html"
        name, suffix = posixpath.splitext(path)
        return f'{match[1]}twin:{name}.md{hash_}{anchor}"' if suffix == ".html" and name in docnames else f'{match[1]}twin:{path}{hash_}{anchor}"'

    def target(match: re.Match) -> str:
        element, name, title = match.groups()
        if NUMBERED.fullmatch(name) or (title is not None and slug(title) == name):
            return match[0]
        at = match[0].index(">") + 1
        return f"{match[0][:at]}\ue000{name}\ue001{match[0][at:]}"

    body = CODE.sub(lambda code: f'<div><pre><code class="language-{code[1]}">{TAG.sub("", code[2])}</code></pre>', body)
    body = PICTURE.sub(picture, FOR_THE_SCREEN.sub("", body))
    body = CAPTION.sub(r"<p><strong>\1</strong></p>", body)
    body = BOX_TITLE.sub("<p><strong>\ue002\\1</strong></p>", body)
    body = TAB.sub(lambda tab: f"<li><p><strong>{tab[1].strip()}</strong></p>", body)
    body = TERM.sub(r"\1<strong>\2</strong>\3", body)
    body = re.sub(r"<(/?)aside\b[^>]*>", r"<\1blockquote>", close_in_pairs(body))
    body = PROSE.sub(lambda text: text[0] if text[0].startswith("<") else BACKSLASH + text[0], LINK.sub(link, TARGET.sub(target, body)))
    return BOX.sub(r"\n\n\1", convert(body, OPTIONS).content).replace(BACKSLASH, "\\").strip()


def located(text: str, docname: str | None, address: str) -> str:
    """Write the links into the site for a reader of the twin of ``docname``, or of a file at the root."""
    text = ANCHOR.sub(r'<a id="\1"></a>', text)
    own, folder = f"{docname}.md", posixpath.dirname(docname or "")

    def link(match: re.Match) -> str:
        if address:
            return f"{match[1]}{address}{match[2]}"
        return match[1] + ("" if match[2] == own and match.string[match.end()] == "#" else posixpath.relpath(match[2], folder or "."))

    return INSIDE.sub(link, text)


def write_twin(app, pagename, templatename, context, doctree) -> None:
    if doctree is None:
        return
    context["twin"] = twin = f"{posixpath.basename(pagename)}.md"
    context["metatags"] += f'<link rel="alternate" type="text/markdown" href="{twin}" />'
    parts = [markdown(context["body"], pagename, app.env.found_docs)]
    if description := context["meta"].get("description"):
        title, _, rest = parts[0].partition("\n")
        parts = [title, f"> {description}", rest.strip()]
    if context.get("verified"):
        parts.append(context["verified"].text)
    text = "\n\n".join(parts) + "\n"
    # The second file is for llms-full.txt, also of a later build that does not write this page again.
    for folder, place in ((app.outdir, pagename), (app.doctreedir, None)):
        path = Path(folder, f"{pagename}.md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(located(text, place, app.config.html_baseurl), encoding="utf-8")


def sections(app) -> dict[str, list[tuple[str, str, str]]]:
    """Name, title and description of every page, in the order of the sidebar."""
    listed = {label: [(page.docname, page.title, page.meta["description"]) for page in group] for label, group in order.groups(app.env)}
    for group in listed.values():  # behind a hub, the pages below it
        for name, *_ in list(group):
            at = next(index for index, page in enumerate(group) if page[0] == name) + 1
            group[at:at] = [(below, title, app.env.metadata[below]["description"]) for below, title in order.below(app.env, name)]
    named = {name for group in listed.values() for name, _, _ in group}
    others = sorted(set(app.env.found_docs) - named, key=lambda name: (name.count("/"), name))
    return {"Start here": [(name, app.env.titles[name].astext(), app.env.metadata[name].get("description", "")) for name in others], **listed}


def write_listings(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    config, contents = app.config, sections(app)
    description = app.env.metadata[config.root_doc].get("description", "")
    lines = [
        f"# {config.project}", "", f"> {description}", "",
        f"These pages document nemo-gym {config.release}. Each page is Markdown at its own address with `.md` for `.html`.",
    ]  # fmt: skip
    for label, pages in contents.items():
        lines += ["", f"## {label}", "", *(f"- [{title}](twin:{name}.md): {text}" for name, title, text in pages)]
    lines += ["", "## Optional", "", "- [llms-full.txt](twin:llms-full.txt): all of these pages in one file", ""]
    full = [Path(app.doctreedir, f"{name}.md").read_text(encoding="utf-8") for pages in contents.values() for name, _, _ in pages]
    Path(app.outdir, "llms.txt").write_text(located("\n".join(lines), None, config.html_baseurl), encoding="utf-8")
    Path(app.outdir, "llms-full.txt").write_text("\n---\n\n".join(full), encoding="utf-8")


def setup(app) -> dict:
    # A change to this file writes every twin again.
    app.add_config_value("markdown_twins_changed", Path(__file__).stat().st_mtime_ns, "html", types=[int])
    app.connect("html-page-context", write_twin)
    app.connect("build-finished", write_listings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
