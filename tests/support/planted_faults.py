"""Proof that the checks can fail: plants one fault at a time in a copy of the repository and sees which check catches it.

    make faults              all of them
    make faults FAULT=WORD   those in whose name the word, or a regular expression, is found

A fault that nothing catches is an error, and so is one that a check other than the named one catches first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = "docs/training/how-to/optimize-rollout-collection.md"
OTHER = "docs/training/how-to/manage-training-datasets.md"
OPTIONS = "docs/training/reference/configuration-options.md"
GLOBAL_KEYS = "docs/training/reference/configuration-options/global-keys.md"
ENTRIES = "docs/training/reference/configuration-options/rollout-collection.md"
TWINS = "docs/_ext/markdown_twins.py"
PROBLEMS = "docs/training/how-to/troubleshoot-common-issues/scale.md"
CONFIGURATION = "docs/training/how-to/troubleshoot-common-issues/configuration.md"
SCALE = "docs/training/how-to/scale-parallel-generation"
TUNING = "docs/training/reference/performance-tuning"
BUILD = "the strict build"
PAGE = "the run of the page"


@dataclass
class Fault:
    """A change to one file (None removes it), and what must catch it: a test, the build, or the run of the page."""

    name: str
    file: str
    change: Callable[[str], str | None]
    caught_by: str
    check: bool = True  # by `make check`; else only `make test` catches it


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        if old not in text:
            raise LookupError(f"nothing to plant the fault in: {old!r}")
        return text.replace(old, new, 1)

    return change


def add(text: str) -> Callable[[str], str]:
    return lambda before: before + text


def add_before(heading: str, text: str) -> Callable[[str], str]:
    return swap(heading, f"{text}\n\n{heading}")


def gone(_: str) -> None:
    """The file is removed."""


FAULTS = [
    Fault("a guide without its job", GUIDE, swap("::::{you-will-get}", "::::{note}"), "test_job_and_outcome_come_first"),
    Fault("a guide that begins with its setup", GUIDE, swap("::::{you-will-get}", "::::{setup} first\nA folder.\n::::\n\n::::{you-will-get}"), "test_job_and_outcome_come_first"),
    Fault("a reference page without its job", OPTIONS, swap(":::{job}", ":::{note}"), "test_a_reference_page_answers_the_four_questions"),
    Fault("a page without success criteria", GUIDE, swap("## Success criteria", "## Results"), "test_sections_are_there_and_in_order"),
    Fault("a page without troubleshooting", GUIDE, swap("## Troubleshooting", "## Notes"), "test_sections_are_there_and_in_order"),
    Fault("a title that is not the slug", GUIDE, swap("# Optimize rollout collection", "# Faster rollouts"), "test_slug_is_the_title"),
    Fault("front matter without a level", GUIDE, swap("level: ", "grade: "), BUILD),
    Fault("a description that is too short", GUIDE, swap("description: ", "description: Short. #"), BUILD),
    Fault("a skipped heading level", GUIDE, swap("### ", "##### "), BUILD),
    Fault("filler", GUIDE, add_before("## Next steps", "You can simply run it."), "test_prose_has_no_filler"),
    Fault("a broken internal link", GUIDE, add_before("## Next steps", "[gone](no-such-page.md)"), BUILD),
    Fault("a broken anchor", GUIDE, add_before("## Next steps", "[gone](manage-training-datasets.md#no-such-anchor)"), BUILD),
    Fault("a broken link in raw HTML", GUIDE, add_before("## Next steps", '<a href="gone.html">gone</a>'), "test_links_and_anchors_resolve"),
    Fault("a page in no table of contents", "docs/training/how-to/orphan.md", add("# Orphan\n\nText.\n"), BUILD),
    Fault("a file that no page offers", "docs/training/how-to/optimize-rollout-collection/orphan.py", add("x = 1\n"), "test_every_file_of_the_page_is_used"),
    Fault("a picture without a text", GUIDE, add_before("## Next steps", '<img src="../../_static/logo.svg">'), "test_ids_are_unique_and_pictures_have_a_text"),
    Fault("a script from another host", GUIDE, add_before("## Next steps", '<script src="https://example.com/a.js"></script>'), "test_nothing_comes_from_another_host"),
    Fault("an indented block, which nothing runs", GUIDE, add_before("## Next steps", "Run this:\n\n    gym eval run"), "test_every_copyable_block_is_a_verified_one"),
    Fault("a key on a command line", GUIDE, add_before("## Next steps", "```console\n$ gym env start --model-api-key $KEY\n```"), "test_no_key_on_a_command_line"),
    Fault("a setting without prose", ENTRIES, swap(":::{gym:setting} rollout.limit\n", ":::{note}\n"), BUILD),
    Fault("prose for a setting that 0.7.0 lacks", ENTRIES, swap(":::{gym:setting} rollout.limit\n", ":::{gym:setting} rollout.limits\n"), BUILD),
    Fault("a setting described twice", ENTRIES, add("\n:::{gym:setting} rollout.limit\nAgain.\n:::\n"), BUILD),
    Fault("a default that somebody typed", GLOBAL_KEYS, swap("beyond {gym:default}`global.global_aiohttp_connector_limit_per_host`", "beyond the default of 512"), "test_no_default_is_typed"),
    Fault("a change of the release without a word", "docs/training/reference/configuration-options/what-changed.md", swap("telemetry.export_rank: Delete the key.\n", ""), BUILD),
    Fault("a guide's link to an option that is gone", GUIDE, swap("{gym:setting}`rollout.num_samples_in_parallel`", "{gym:setting}`rollout.parallel`"), BUILD),
    Fault("a guide that names an option without a link", GUIDE, add_before("## Next steps", "Set `rollout_collection_driver`."), "test_a_guide_that_names_an_option_links_to_it"),
    Fault("a reference page without its messages", OPTIONS, swap(":::{problem-table}", ":::{note}"), "test_a_reference_page_answers_the_four_questions"),
    Fault("a guide that shows a problem that is gone", GUIDE, swap("repeats-all-alike\n", "repeats-alike\n"), BUILD),
    Fault("a problem that is there twice", PROBLEMS, add("\n:::{problem} too-many-open-files\n:by: system\nAgain\n\n**Cause**: a. **Fix**: b. **It worked** if c.\n:::\n"), BUILD),
    Fault("a problem that no page shows", "docs/training/how-to/troubleshoot-common-issues/more.md", add(":::{problem} lonely\n:by: nobody\nAlone\n\n**Cause**: a.\n:::\n"), BUILD),
    Fault("a problem without proof", PROBLEMS, add("\n:::{problem} unproven\n:by: system\n`Never`\n\n**Cause**: a. **Fix**: b. **It worked** if c.\n:::\n"), "test_every_entry_is_proven_or_names_its_thread"),
    Fault("a guide with a problem of its own", GUIDE, add_before("## Next steps", "### `A message`\n\n**Cause**: a."), "test_troubleshooting_shows_entries_of_the_shared_source"),
    Fault("practice tasks edited by hand", "docs/training/index/practice_tasks.jsonl", swap("Paris", "Lyon"), "test_the_practice_tasks_are_what_their_script_writes"),
    Fault("twins without captions", TWINS, swap('<p><strong>\\1</strong></p>", body)', '", body)'), "test_no_word_is_lost"),
    Fault("twins without the language of a block", TWINS, swap('class="language-{code[1]}"', 'class="x"'), "test_no_block_is_lost_or_changed"),
    Fault("twins that lead to the other format", TWINS, swap('twin:{name}.md', 'twin:{name}.html'), "test_no_link_is_lost_or_leads_elsewhere"),
    Fault("twins without places to link to", TWINS, swap("""f'<a id="{its[1]}"></a>'""", "''"), "test_links_of_the_twin_resolve"),
    Fault("twins that drop tables", TWINS, swap("    return BOX.sub(", '    body = re.sub("<table.*?</table>", "", body, flags=re.S)\n    return BOX.sub('), "test_no_cell_of_a_table_is_lost"),
    Fault("twins that drop a heading", TWINS, swap("    return BOX.sub(", '    body = body.replace("h2>", "p>")\n    return BOX.sub('), "test_no_title_is_lost"),
    Fault("a page missing in llms.txt", "docs/_ext/llms.py", swap('return {"Start here": [', 'return {"Start here": [] and ['), "test_llms_txt_names_each_page_with_its_description"),
    Fault("questions for a section that is gone", "docs/_ext/asked.yaml", swap("  identify-the-bottleneck:\n", "  identify-the-botleneck:\n"), BUILD),
    Fault("questions for a page that is gone", "docs/_ext/asked.yaml", swap("reference/performance-tuning:\n", "reference/performance:\n"), BUILD),
    Fault("a redirect to nowhere", "docs/redirects.txt", swap(" training/index.md", " training/gone.md"), BUILD),
    Fault("a list of sections without those of the third level", "docs/_templates/page-toc.html", swap('rpartition("</ul>")', 'partition("<ul>")'), "test_a_page_lists_its_sections"),
    Fault("an address in a site that has none", "conf.py", swap('os.environ.get("SITE_ADDRESS", "")', '"https://example.com"'), "test_without_an_address_nothing_names_one"),
    Fault("a missing-page page without its list", "docs/_templates/404.html", swap("{{ pathto(page.docname) }}", "#"), "test_the_page_for_missing_ones_lists_every_page"),
    Fault("an anchor that is there twice", GUIDE, add_before("## Next steps", '<a id="success-criteria"></a>'), "test_ids_are_unique_and_pictures_have_a_text"),
    Fault("an old command, used as if it were today's", GUIDE, add_before("## Next steps", "```console\n$ ng_collect_rollouts +limit=1\n```"), "test_no_command_has_an_old_name"),
    Fault("a plot whose data are gone", "docs/training/how-to/optimize-rollout-collection/practice_knee.json", gone, BUILD),
    Fault("a drawing older than its data", "docs/training/reference/performance-tuning/io.json", add(" "), "test_a_kept_drawing_is_of_todays_script_and_data"),
    Fault("a script that swallows bad input", "docs/training/how-to/optimize-rollout-collection/inspect_run.py", swap("return 2", "return 0"), "test_inspect_refuses_bad_input"),
    Fault("a wrong default", "docs/_ext/facts.json", swap('"default": 21600', '"default": 21601'), "test_the_facts_are_those_of_the_installed_package", check=False),
    Fault("a stale output", GUIDE, swap("NeMo Gym v0.7.0", "NeMo Gym v0.6.0"), PAGE, check=False),
    Fault("a flag that 0.7.0 does not have", GUIDE, add_before("## Next steps", '```{code-block} console\n:caption: "Not run here: needs two nodes"\n$ gym eval run --parallelism 4\n```'), "test_commands_and_flags_are_those_of_the_release"),
    Fault("a block that is not run, without a reason", GUIDE, add_before("## Next steps", '```{code-block} console\n:caption: "Not run here: "\n$ gym eval run\n```'), "test_a_block_that_is_not_run_says_why"),
    Fault("a configuration that Gym refuses", GUIDE, add_before("## Next steps", "```yaml\nconfig_paths: [gone.yaml]\n```"), PAGE, check=False),
    Fault("a row that Gym refuses", GUIDE, add_before("## Next steps", '```json\n{"responses_create_params": {"input": "Hi", "max_tokens": 8}}\n```'), PAGE, check=False),
    Fault("an external link that nobody looked up", GUIDE, add_before("## Next steps", "[x](https://example.com/new)"), "test_external_links_are_those_of_the_list"),
    Fault("a page that does not cover what is planned", GUIDE, swap("dimensions: [Data generation, ", "dimensions: ["), "test_the_matrix_holds_what_is_planned"),
    Fault("a page too heavy", GUIDE, add_before("## Next steps", "".join(f"{n * n * 7919 % 1000003} " for n in range(40000))), "test_a_page_is_light", check=False),
    Fault("a prompt in what is copied", "conf.py", swap('".linenos, .gp, .go"', '".linenos"'), "test_copy_takes_commands_without_prompts_and_outputs", check=False),
    Fault("tabs that forget the choice", "docs/training/index/endpoint.md", lambda text: text.replace(":sync: ", ":class-label: "), "test_the_choice_of_endpoint_stays_over_pages", check=False),
    Fault("a contrast too low to read", "docs/_static/site.css", add("\n.bd-article p { color: #9a9a9a !important; }\n"), "test_no_accessibility_violation", check=False),
    Fault("targets below the header", "docs/_static/site.css", swap("scroll-padding-top: 5.5rem", "scroll-padding-top: 2rem"), "test_no_target_hides_below_the_header", check=False),
    Fault("a focus that cannot be seen", "docs/_static/site.css", lambda text: text + "a:focus-visible { outline: 0 !important; box-shadow: none !important; }\n", "test_the_keyboard_goes_through_a_page_in_sight", check=False),
    Fault("a button without its script", "docs/_templates/twin.html", swap(' class="pst-js-only"', ""), "test_a_page_can_be_read_without_scripts", check=False),
    Fault("a guide without the concept behind it", GUIDE, swap("/about/concepts/key-terminology", "/model-server"), "test_a_page_knows_its_neighbors"),
    Fault("a search that shows the worst first", "docs/_static/search/engine.js", swap(".sort((a, b) => b.score - a.score);\n    return { pages", ".sort((a, b) => a.score - b.score);\n    return { pages"), "test_the_right_page_is_among_the_first", check=False),
    Fault("search results in another place", "docs/_templates/search.html", swap('id="search-results"', 'id="results"'), "test_nothing_found_leads_on", check=False),
    Fault("a page that carries the search", "docs/_ext/search_index.py", swap('if pagename == "search":', "if True:"), "test_pages_do_not_carry_the_search", check=False),
    Fault("success criteria that nobody can run", GUIDE, swap("  ```console\n  $ grep -c _ng_task_index", "  ```text\n  $ grep -c _ng_task_index"), "test_success_criteria_can_be_checked"),
    Fault("a path of one machine", GUIDE, add_before("## Next steps", "Look into `/root/results`."), "test_paths_of_no_one_machine"),
    Fault("a command that 0.7.0 does not have", GUIDE, add_before("## Next steps", "```console\n$ gym eval collect\n```"), "test_commands_and_flags_are_those_of_the_release"),
    Fault("a problem without a cure", PROBLEMS, swap("**It worked** if", "Then"), "test_an_entry_is_complete"),
    Fault("a sign of the cure that comes with the problem", CONFIGURATION, swap("or `_default`.\n**It worked** if the run starts.", "or `_default`.\n**It worked** if the run prints `Per-agent num_repeats`."), "test_a_command", check=False),
    Fault("one message in two entries", PROBLEMS, swap("`ClientResponseError: 500, message='Internal Server Error'`", "``Clearing output fpath since `resume_from_cache=False`!``"), "test_no_message_has_two_entries"),
    Fault("a split that swallows bad tasks", f"{SCALE}/split_tasks.py", swap("return 2", "return 0"), "test_split_refuses_bad_tasks_and_writes_nothing"),
    Fault("a comparison that finds no difference", f"{SCALE}/same_rollouts.py", swap("return 1 if lines or metrics else 0", "return 0"), "test_each_difference_is_found"),
    Fault("a directive that Slurm does not read", f"{SCALE}/shards.sbatch", swap("--requeue", "--restart"), "test_array_directives_are_ones_that_sbatch_reads"),
    Fault("a secret in a report", "docs/training/how-to/troubleshoot-common-issues/diagnose.py", swap('    text = SHAPED.sub("[removed]", text)\n', ""), "test_no_secret_is_in_the_report"),
    Fault("a flag that vLLM does not have", f"{TUNING}.md", swap("--enable-prefix-caching", "--prefix-caching"), "test_every_vllm_flag_exists_in_that_release"),
    Fault("a figure without its hardware", f"{TUNING}/io.json", swap('"hardware": "AMD EPYC"', '"hardware": ""'), "test_measurements_say_where_they_are_from"),
    Fault("a figure edited by hand", f"{TUNING}/io.json", swap('"rows_per_s": 72521', '"rows_per_s": 99999'), "test_tables_are_made_from_the_data"),
    Fault("the runner shows any output as right", "tests/support/compare.py", swap("return None if fits.pairs() is not None else", "return None if True else"), "test_a_stale_output_is_caught"),
    Fault("the runner ignores exit codes", "tests/support/pages.py", swap("if self.shell.status and not", "if False and not"), "test_a_failing_command_is_caught"),
    Fault("the runner does not see that a port is taken", "tests/support/pages.py", swap("    for port, owner in PORTS.items():", "    for port, owner in ():"), "test_programs_are_stopped_and_their_ports_freed"),
    Fault("a range that nobody looks at", "tests/support/compare.py", swap("not allowed[0] <= value(its) <= allowed[1]", "False"), "test_a_number_out_of_its_range_is_named"),
    Fault("a number of another kind taken as right", "tests/support/compare.py", swap("if not allowed and not same_kind(was, its):", "if False:"), "test_a_listed_line_varies_in_its_numbers_and_in_nothing_else"),
    Fault("a template that fits no line", "docs/varies/index.txt", add("never printed: #\n"), "test_each_template_is_for_a_line_that_a_page_shows"),
    Fault("a zip with what nobody tracks", "docs/_ext/page_files.py", swap('"ls-files", "-z", "."', '"ls-files", "-z", "-o", "-c", "."'), "test_what_git_tracks"),
    Fault("an older Python that stands in unseen", "tests/support/find_python.sh", swap('[ "$newest" -ge "$(micro "$minimum")" ] ||', "true ||"), "test_an_older_one_stands_in_and_says_so"),
    Fault("an action that can change under its name", ".github/workflows/docs.yml", swap("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5"), "test_actions_are_pinned_by_commit_with_their_version"),
    Fault("the runner accepts any block", "tests/support/pages.py", swap('return f"nothing verifies', 'return None and f"nothing verifies'), "test_a_block_that_nothing_verifies_is_caught"),
]


def copy_of_the_repository(folder: Path) -> None:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for name in (".venv", ".venv-gym", ".venv-trainers"):
        (folder / name).symlink_to(ROOT / name)


def what_catches(folder: Path, fault: Fault, before: str) -> str:
    """What failed after planting the fault: the build, the page's block, or the lines that pytest prints of its tests."""
    build = [".venv/bin/sphinx-build", "-c", ".", "-W", "-n", "--keep-going", "-q", "docs", "build/html"]
    result = subprocess.run(build, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        return BUILD
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    marks = ["-m", "not live and not gym"] if fault.check else []
    if fault.caught_by == PAGE:
        # The first block that the planted lines changed; it needs none of the blocks before it.
        after = (folder / fault.file).read_text().splitlines()
        changed = next(number for number, (new, old) in enumerate(zip(after, before.splitlines())) if new != old)
        line = max(number for number, text in enumerate(after[:changed + 1]) if text.lstrip().startswith("```")) + 1
        what = [f"{fault.file}::line:{line},column:1"]
    else:
        what = ["tests", *marks, *([] if fault.caught_by in ("", BUILD) else ["-k", fault.caught_by])]
    command = [".venv/bin/python", "-m", "pytest", *what, "-q", "-x", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    failed = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return PAGE if failed and fault.caught_by == PAGE else "\n".join(failed)


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    faults = [fault for fault in FAULTS if re.search(wanted, fault.name)]
    if not faults:
        print(f"No fault fits {wanted!r}. There are: {', '.join(fault.name for fault in FAULTS)}", file=sys.stderr)
        return 2
    missed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_of_the_repository(folder)
        for fault in [Fault("nothing, as a trial", GUIDE, lambda text: text, ""), *faults]:
            path = folder / fault.file
            before = path.read_text() if path.exists() else None
            planted = fault.change(before or "")
            path.parent.mkdir(exist_ok=True)
            path.unlink() if planted is None else path.write_text(planted)
            caught = what_catches(folder, fault, before or "")
            good = not caught if not fault.caught_by else fault.caught_by in caught
            missed += not good
            print(f"{'ok  ' if good else 'MISS'} {fault.name}: {fault.caught_by or 'nothing fails'}", flush=True)
            if not good:
                print(f"     but: {caught or 'nothing fails'}")
            path.unlink() if before is None else path.write_text(before)
    by_check = sum(fault.check for fault in faults)
    print(f"{len(faults)} faults planted, {len(faults) - missed} caught as they should be; {by_check} of them by `make check` alone")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
