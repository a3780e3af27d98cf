"""Each page for programs that read: a Markdown twin at the same address, a long one in parts (``llms.py`` writes them all).

A twin is made from the page's rendered body, so that whatever a reader sees is in it: includes, generated entries, cards,
tabs. What only HTML can say (a tab, an admonition, a caption, the language of a block) is first put into elements that
have a Markdown form; html-to-markdown does the rest. With a site address, the links in these files are complete.
"""

from __future__ import annotations

import functools
import html
import posixpath
import re
from pathlib import Path

import twin_parts
from html_to_markdown import ConversionOptions, convert

OPTIONS = ConversionOptions(compact_tables=True, br_in_tables=True, extract_metadata=False)

FOR_THE_SCREEN = re.compile(r'<a class="headerlink".*?</a>|<(search|form|script|style|button)\b.*?</\1>|<input\b[^>]*>', re.S)
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
INSIDE = re.compile(r"(?<=\]\()(<?)twin:([^)>#\s]*)(?:#([^)>\s]*))?")


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


relative = functools.cache(posixpath.relpath)  # thousands of links to hundreds of places


def located(text: str, place: str | None, address: str, moved: dict[str, str]) -> str:
    """Write the links into the site for a reader of the file ``place`` (without ``.md``), or of a file at the root.

    ``moved``: the part of a twin that holds an anchor, as "NAME.md#anchor" -> "NAME/part.md".
    """
    text = ANCHOR.sub(lambda its: f'<a id="{its[1]}"></a>', text)
    own, folder = f"{place}.md", posixpath.dirname(place or "")

    def link(match: re.Match) -> str:
        angle, path, anchor = match.groups()
        path = moved.get(f"{path}#{anchor}", path)
        where = f"#{anchor}" if anchor else ""
        if address:
            return f"{angle}{address}{path}{where}"
        return angle + (where if path == own and anchor else relative(path, folder or ".") + where)

    return INSIDE.sub(link, text)


def write_twin(app, pagename, templatename, context, doctree) -> None:
    """Keep the twin as it is before its links are known, also for a later build that does not write this page again."""
    if doctree is None:
        return
    context["twin"] = twin = f"{posixpath.basename(pagename)}.md"
    context["metatags"] += f'<link rel="alternate" type="text/markdown" href="{twin}" />'
    parts = [re.sub(r"^(?:\ue000.*?\ue001\s*)+(?=# )", "", markdown(context["body"], pagename, app.env.found_docs))]  # the title is the page
    if description := context["meta"].get("description"):
        # Anchors of the page as a whole stand before its title.
        anchors, title, rest = re.match(r"((?:\ue000[^\ue001]*\ue001\s*)*)([^\n]*)\n?(.*)", parts[0], re.S).groups()
        parts = [title, f"> {description}", f"{anchors.strip()}\n\n{rest.strip()}".strip()]
    if context.get("verified"):
        parts.append(context["verified"].text)
    put(Path(app.doctreedir, f"{pagename}.md"), "\n\n".join(parts) + "\n")


def raw(app, docname: str) -> str:
    return Path(app.doctreedir, f"{docname}.md").read_text(encoding="utf-8")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_all(app) -> dict[str, str]:
    """Write every twin with its parts; where the anchors of the long ones are now."""
    texts, moved = {}, {}
    for docname in sorted(app.env.found_docs):
        whole = raw(app, docname)
        texts[docname], parts = twin_parts.split(whole, slug)
        if parts:
            title = whole.partition("\n")[0].removeprefix("# ")
            listing = [f"- [{'; '.join(part.titles)}](twin:{docname}/{part.name}.md)" for part in parts]
            texts[docname] += "\n".join([twin_parts.LISTING, "", *listing, ""])
        for part in parts:
            place = f"{docname}/{part.name}"
            texts[place] = f"> A part of [{title}](twin:{docname}.md)\n\n{part.text}"
            for anchor in [*ANCHOR.findall(part.text), *(slug(found) for _, found in twin_parts.headings(part.text))]:
                moved.setdefault(f"{docname}.md#{anchor}", f"{place}.md")
    for place, text in texts.items():
        put(Path(app.outdir, f"{place}.md"), located(text, place, app.config.html_baseurl, moved))
    return moved


def setup(app) -> dict:
    # A change to this file writes every twin again.
    app.add_config_value("markdown_twins_changed", Path(__file__).stat().st_mtime_ns, "html", types=[int])
    app.connect("html-page-context", write_twin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
