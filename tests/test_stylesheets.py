"""Stylesheets keep every rule that a page of the site can match, and no other."""

from __future__ import annotations

import slim as slimming
import stylesheets

PAGE = '<html data-theme="light"><body id="top"><p class="note first">text</p><svg><path style="fill: var(--plot)"/></svg></body></html>'


def slim(text: str, more: str = "") -> str:
    known = stylesheets.names_of_page(PAGE + more)
    return stylesheets.without_dead_variables([stylesheets.without_dead_rules(text, known)], known)[0]


def test_a_rule_stays_if_a_page_has_all_that_its_selector_names() -> None:
    for selector in ("p", ".note", "#top > p.first:hover", 'html[data-theme="dark"] .note::after', ":root", "*", "p:not(.gone)", "p:is(.gone, .note)", "body p + p"):
        assert slim(f"{selector}{{color:red}}") == f"{selector}{{color:red}}", selector
    for selector in ("table", ".gone", "#gone", "p.note.gone", "ul > p", ".note table:hover"):
        assert slim(f"{selector}{{color:red}}") == "", selector
    assert slim(".gone,p,ul{color:red}") == "p{color:red}"


def test_what_holds_rules_stays_while_it_has_any() -> None:
    assert slim("@media print{p{color:red}.gone{color:red}}") == "@media print{p{color:red}}"
    assert slim("@media print{.gone{color:red}}") == ""
    moving = "@keyframes turn{from{top:0}50%{top:1px}to{top:0}}"
    assert slim(moving) == moving


def test_a_variable_stays_if_a_rule_or_a_drawing_reads_it() -> None:
    assert slim(":root{--a:1;--b:var(--a);--plot:2}") == ":root{--plot:2}"
    assert slim(":root{--a:1;--b:var(--a)}p{top:var(--b)}") == ":root{--a:1;--b:var(--a)}p{top:var(--b)}"
    assert slim(""":root{--gone:url("data:image/svg+xml;utf8,a:b");top:0}""") == ":root{top:0}"


def test_scripts_keep_what_they_set(tmp_path) -> None:
    own, foreign = tmp_path / "own.js", tmp_path / "foreign.js"
    own.write_text('element("mark", { className: "shown" })')
    foreign.write_text('a.classList.add("open");const b="gone";')
    known = stylesheets.names_of_scripts([own], [foreign])
    assert {"mark", ".shown", ".open"} <= known and ".gone" not in known


def test_a_page_that_did_not_change_is_not_read_again(tmp_path) -> None:
    page, kept = tmp_path / "page.html", tmp_path / "kept.json"
    page.write_text(PAGE)
    first = stylesheets.names_of_pages(tmp_path, kept)
    kept.write_text(kept.read_text().replace(".note", ".kept"))
    assert ".kept" in stylesheets.names_of_pages(tmp_path, kept)
    page.write_text(PAGE + "<ul></ul>")
    assert stylesheets.names_of_pages(tmp_path, kept) == first | {"ul"}


def test_a_script_that_writes_lines_keeps_their_indentation() -> None:
    """The planner's files are YAML: without its indentation Gym refused them."""
    assert slimming.has_text_over_lines("const file = `a:\n  b: ${one}`;")
    assert slimming.has_text_over_lines("const file = `${many ? `a:\n  b` : \"\"}`;")
    assert not slimming.has_text_over_lines("const one = `a ${two}`;\n// a comment\nconst two = `b`;")
