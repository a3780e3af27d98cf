"""Each page answers the four questions (job, examples, success criteria, troubleshooting) in the size of its type."""

from __future__ import annotations

import json
import re

import problems
import pytest
from front_matter import RULES
from page_files import files_of
from pages import DOCS, NOT_RUN, ON_GPU, blocks_of
from site_map import GUIDES, PAGES, SourcePage

SECTIONS = ["Production examples", "Success criteria", "Troubleshooting", "Next steps"]
# The plan gives one guide's production examples a name of their own, and the section of messages in the guide that has all.
PRODUCTION = {"Production examples", "End-to-end pipeline examples"}
TROUBLESHOOTING = {"Troubleshooting", "Common error messages"}
FILLER = re.compile(r"\b(simply|just|easily|obviously|note that|robust|in this section|please)\b|!(?=\s|$)", re.I)
COMMANDS = json.loads((DOCS / "_ext" / "facts.json").read_text(encoding="utf-8"))["commands"]
KEY_ON_COMMAND_LINE = re.compile(r"--model-api-key|api_key=(?!none\b)|\btoken=")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_reference = pytest.mark.parametrize("page", [page for page in PAGES if page.type == "reference"], ids=lambda page: page.name)
every_guide = pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)


@every_page
def test_front_matter_is_complete(page: SourcePage) -> None:
    wanted = {"description": RULES["description"]} if page.type == "index" else RULES
    assert [key for key, (_, holds) in wanted.items() if not holds(page.front_matter.get(key))] == []


@every_page
def test_one_title_and_no_skipped_level(page: SourcePage) -> None:
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    assert max(levels) <= 4


@every_guide
def test_slug_is_the_title(page: SourcePage) -> None:
    assert page.headings[0][1].lower().replace(" ", "-") == page.path.stem


@every_guide
def test_job_and_outcome_come_first(page: SourcePage) -> None:
    opening = page.text[:page.text.index("\n## ")]
    assert 0 < opening.find(":{you-will-get}") < page.text.find(":{setup}")


@every_guide
def test_sections_are_there_and_in_order(page: SourcePage) -> None:
    have = [title for level, title in page.headings if level == 2]
    names = [next((group for group in (PRODUCTION, TROUBLESHOOTING) if name in group), {name}) for name in SECTIONS]
    wanted = [next((title for title in have if title.startswith(name.split()[0]) or title in group), name) for name, group in zip(SECTIONS, names)]
    assert [title for title in have if title in wanted] == wanted
    assert have[-1] == wanted[-1]


@every_guide
def test_a_guide_has_examples_that_run(page: SourcePage) -> None:
    blocks = [block for _, block in blocks_of(page.text, page.path)]
    commands = [block for block in blocks if block.kind == "console" and not block.caption.startswith((NOT_RUN, ON_GPU))]
    assert len(commands) >= 5
    assert any(block.kind == "console" for _, block in blocks_of(production(page), page.path))


def production(page: SourcePage) -> str:
    title = next(title for level, title in page.headings if level == 2 and (title.startswith("Production") or title in PRODUCTION))
    return page.section(title)


@every_guide
def test_success_criteria_can_be_checked(page: SourcePage) -> None:
    section = page.section("Success criteria")
    assert len(re.findall(r"^(?:- |\d+\. |\| )", section, re.M)) >= 3
    assert any(block.kind == "console" for _, block in blocks_of(section, page.path)), "at least one command that checks"


@every_guide
def test_troubleshooting_shows_entries_of_the_shared_source(page: SourcePage) -> None:
    """Nothing else: an entry that stands in a guide alone is not in the catalog of messages."""
    section = page.section("Troubleshooting")
    if page.name == problems.HOME:
        assert "```{problem-list}" in page.section("Common error messages")
    else:
        assert len(re.search(r"^:::\{problems\}\n(.*?)^:::$", section, re.M | re.S)[1].split()) >= 3
        assert re.findall(r"^#{3,} .+", section, re.M) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.type != "index"], ids=lambda page: page.name)
def test_a_page_knows_its_neighbors(page: SourcePage) -> None:
    """A guide to go on with, a reference to look things up in, the concept behind; few enough to choose from."""
    links = re.findall(r"\]\(([^)]+)\)", page.section("Next steps"))
    assert len(links) <= 5
    targets = [(page.path.parent / link).resolve().parent.name for link in links if not link.startswith("https:")]
    assert "how-to" in targets and "reference" in targets
    assert any("/about/concepts/" in link for link in links)


@every_reference
def test_a_reference_page_answers_the_four_questions(page: SourcePage) -> None:
    """In its own size: the job in one sentence, whole examples, the command that checks, the messages that concern it."""
    assert ":::{job}" in page.text[:page.text.index("\n## ")]
    titles = [title for level, title in page.headings if level == 2]
    assert [word for word in ("Overview", "Example", "Validation", "Next steps") if not any(word in title for title in titles)] == []
    assert any(block.kind == "console" for _, block in blocks_of(page.section("Validation"), page.path))
    messages = re.search(r"^#{2,3} (?:Messages|Common validation errors)\n(.*?)(?=^#{2,3} |\Z)", page.text, re.M | re.S)
    assert messages and (len(re.findall(r"^\| `", messages[1], re.M)) >= 3 or ":::{problem-table}" in messages[1])


@every_page
def test_prose_has_no_filler(page: SourcePage) -> None:
    prose = re.sub(r"(`+).*?\1|\]\([^)]*\)|!\[", "", page.prose, flags=re.S)
    assert [match[0] for match in FILLER.finditer(prose)] == []


@every_guide
def test_the_set_up_names_as_many_terminals_as_are_used(page: SourcePage) -> None:
    said = re.search(r"^:+\{setup\} .*?(\w+) terminals", page.text, re.M)
    endpoint = (DOCS / "training/index/endpoint.md").read_text(encoding="utf-8") if "/training/index/endpoint.md" in page.text else ""
    used = set(re.findall(r"\bTerminal \d|one more terminal", page.text + endpoint))
    assert said is None or said[1] == ["no", "one", "two", "three", "four", "five"][len(used)], used


@every_page
def test_every_file_of_the_page_is_used(page: SourcePage) -> None:
    """The page names it, or a file that is used does: a script its module."""
    if not page.folder.is_dir() or page.type == "index":
        return
    tracked = files_of(DOCS, page.name).values()
    unused = {path for path in tracked if page.folder in path.parents}
    texts = [page.path.read_text(encoding="utf-8") + page.text]
    while texts:
        text = texts.pop()
        used = {path for path in unused if path.name in text or re.search(rf"^\s*(?:from|import) {path.stem}\b", text, re.M)}
        unused -= used
        texts += [path.read_text(encoding="utf-8", errors="replace") for path in used]
    assert sorted(path.name for path in unused) == []


@every_page
def test_no_key_on_a_command_line(page: SourcePage) -> None:
    commands = [c for _, b in blocks_of(page.text, page.path) if b.kind == "console" for c, _ in b.commands()]
    assert [command for command in commands if KEY_ON_COMMAND_LINE.search(command)] == []


@every_page
def test_no_script_writes_to_a_closed_pipe(page: SourcePage) -> None:
    """`head` stops reading early, and Python ends with a traceback then: now and then, as the two happen to run."""
    commands = [c for _, b in blocks_of(page.text, page.path) if b.kind == "console" for c, _ in b.commands()]
    assert [command for command in commands if re.search(r"\bpython\b[^|;&]*\|\s*(head|grep -[a-z]*[mq]|sed \S*q)", command)] == []


@every_page
def test_paths_of_no_one_machine(page: SourcePage) -> None:
    assert re.findall(r"/(?:root|work|tmp/pytest)[/-]|[.]pyenv", page.text) == []


@every_page
def test_commands_and_flags_are_those_of_the_release(page: SourcePage) -> None:
    """Of blocks that run and of those that do not, known from the facts: the package itself need not be installed."""
    blocks = [block for _, block in blocks_of(page.text, page.path) if block.kind == "console"]
    lines = [command.replace("\\\n", " ") for block in blocks for command, _ in block.commands()]
    wrong = []
    for call in (call for line in lines for call in re.findall(r"(?:^|[|;&(\n] *)gym ((?:'[^']*'|[^|;&)\n'])*)", line)):
        words = call.split()
        name = next((" ".join(words[:n]) for n in (2, 1, 0) if " ".join(words[:n]) in COMMANDS), "")
        flags = {flag for command in ("", name) for entry in COMMANDS[command]["flags"] for flag in entry["names"]} | {"--help", "-h"}
        unknown = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - flags
        if unknown or not name and words and not words[0].startswith("-"):
            wrong.append(f"gym {call.strip()}: {sorted(unknown) or 'no such command'}")
    assert wrong == []


@every_page
def test_a_block_that_is_not_run_says_why(page: SourcePage) -> None:
    captions = [block.caption for _, block in blocks_of(page.text, page.path)]
    assert [caption for caption in captions if caption.startswith(NOT_RUN.strip()) and len(caption) < len(NOT_RUN) + 5] == []


@every_page
def test_no_command_has_an_old_name(page: SourcePage) -> None:
    """`ng_*` commands still work, so a page that used one would run: it must name today's."""
    commands = [c for _, b in blocks_of(page.text, page.path) if b.kind == "console" for c, _ in b.commands()]
    assert [command for command in commands if re.match(r"ng_\w+", command)] == []


# The plan's coverage matrix: which pages answer for a dimension. "all" are all guides.
MATRIX = {
    "Data generation": "optimize-rollout-collection scale-parallel-generation configuration-options performance-tuning",
    "Verification": "configure-verification-strategies verification-patterns-catalog",
    "Data quality": "filter-and-curate-data monitor-data-quality rollout-format-spec",
    "Formats": "integrate-with-rl-frameworks manage-training-datasets rollout-format-spec",
    "Configuration": "all configuration-options",
    "Scale": "scale-parallel-generation optimize-rollout-collection performance-tuning",
    "Integration": "integrate-with-rl-frameworks configure-multi-model-setups configuration-options",
}


def test_the_matrix_holds_what_is_planned() -> None:
    """The index makes its matrix of the front matter, so each planned pair must stand there."""
    pages = {page.path.stem: page for page in PAGES if page.type != "index"}
    missing = []
    for dimension, names in MATRIX.items():
        wanted = {name for word in names.split() for name in ([page.path.stem for page in GUIDES] if word == "all" else [word])}
        missing += [(name, dimension) for name in sorted(wanted) if dimension not in pages[name].front_matter["dimensions"]]
    assert missing == []
