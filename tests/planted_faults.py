"""Proof that the checks can fail: plants one fault at a time in a copy of the repository and sees which check catches it.

    make faults              all of them
    make faults FAULT=WORD   those whose name holds the word

A fault that nothing catches is an error, and so is one that a check other than the named one catches first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = "docs/training/how-to/optimize-rollout-collection.md"
OTHER = "docs/training/how-to/manage-training-datasets.md"
OPTIONS = "docs/training/reference/configuration-options.md"
ENTRIES = "docs/training/reference/configuration-options/rollout-collection.md"
PROBLEMS = "docs/training/how-to/troubleshoot-common-issues/scale.md"
BUILD = "the strict build"


@dataclass
class Fault:
    """A change to one file, and the test (or the build) that must catch it."""

    name: str
    file: str
    change: Callable[[str], str]
    caught_by: str


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


FAULTS = [
    Fault("a page without its job", GUIDE, swap(":::{job}", ":::{note}"), "test_job_and_outcome_come_first"),
    Fault("a page without its outcome", GUIDE, swap(":::{outcome}", ":::{note}"), "test_job_and_outcome_come_first"),
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
    Fault("a file that no page offers", "docs/training/how-to/optimize-rollout-collection/orphan.py", add("x = 1\n"), "test_every_file_of_the_page_is_offered_or_shown"),
    Fault("a picture without a text", GUIDE, add_before("## Next steps", '<img src="../../_static/logo.svg">'), "test_ids_are_unique_and_pictures_have_a_text"),
    Fault("a script from another host", GUIDE, add_before("## Next steps", '<script src="https://example.com/a.js"></script>'), "test_nothing_comes_from_another_host"),
    Fault("an indented block, which nothing runs", GUIDE, add_before("## Next steps", "Run this:\n\n    gym eval run"), "test_every_copyable_block_is_a_verified_one"),
    Fault("a key on a command line", GUIDE, add_before("## Next steps", "```console\n$ gym env start --model-api-key $KEY\n```"), "test_no_key_on_a_command_line"),
    Fault("a setting without prose", ENTRIES, swap(":::{gym:setting} rollout.limit\n", ":::{note}\n"), BUILD),
    Fault("prose for a setting that 0.7.0 lacks", ENTRIES, swap(":::{gym:setting} rollout.limit\n", ":::{gym:setting} rollout.limits\n"), BUILD),
    Fault("a setting described twice", ENTRIES, add("\n:::{gym:setting} rollout.limit\nAgain.\n:::\n"), BUILD),
    Fault("a guide's link to an option that is gone", GUIDE, swap("{gym:setting}`rollout.num_samples_in_parallel`", "{gym:setting}`rollout.parallel`"), BUILD),
    Fault("a guide that names an option without a link", GUIDE, add_before("## Next steps", "Set `rollout_collection_driver`."), "test_a_guide_that_names_an_option_links_to_it"),
    Fault("a reference page without its messages", OPTIONS, swap("## Messages", "## Remarks"), "test_a_reference_page_answers_the_four_questions"),
    Fault("a guide that shows a problem that is gone", GUIDE, swap("repeats-all-alike\n", "repeats-alike\n"), BUILD),
    Fault("a problem that is there twice", PROBLEMS, add("\n:::{problem} too-many-open-files\n:by: system\nAgain\n\n**Cause**: a. **Fix**: b. **It worked** if c.\n:::\n"), BUILD),
    Fault("a problem that no page shows", "docs/training/how-to/troubleshoot-common-issues/more.md", add(":::{problem} lonely\n:by: nobody\nAlone\n\n**Cause**: a.\n:::\n"), BUILD),
    Fault("a problem without proof", PROBLEMS, add("\n:::{problem} unproven\n:by: system\n`Never`\n\n**Cause**: a. **Fix**: b. **It worked** if c.\n:::\n"), "test_every_entry_is_proven_or_names_its_thread"),
    Fault("a guide with a problem of its own", GUIDE, add_before("## Next steps", "### `A message`\n\n**Cause**: a."), "test_troubleshooting_shows_entries_of_the_shared_source"),
    Fault("practice tasks edited by hand", "docs/training/index/practice_tasks.jsonl", swap("Paris", "Lyon"), "test_the_practice_tasks_are_what_their_script_writes"),
    Fault("the runner shows any output as right", "tests/pages.py", swap("return re.fullmatch(pattern, printed", "return True or re.fullmatch(pattern, printed"), "test_a_stale_output_is_caught"),
    Fault("the runner ignores exit codes", "tests/pages.py", swap("if self.shell.status and not", "if False and not"), "test_a_failing_command_is_caught"),
    Fault("the runner does not see that a port is taken", "tests/pages.py", swap("    for port, owner in PORTS.items():", "    for port, owner in ():"), "test_programs_are_stopped_and_their_ports_freed"),
    Fault("the runner accepts any block", "tests/pages.py", swap('return f"nothing verifies', 'return None and f"nothing verifies'), "test_a_block_that_nothing_verifies_is_caught"),
]


def copy_of_the_repository(folder: Path) -> None:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in (".venv", ".venv-gym", ".venv-trainers"):
        (folder / name).symlink_to(ROOT / name)


def what_catches(folder: Path, fault: Fault) -> str:
    """The failed tests' lines after planting the fault, or the build's, or nothing."""
    build = [".venv/bin/sphinx-build", "-c", ".", "-W", "-n", "--keep-going", "-q", "docs", "build/html"]
    result = subprocess.run(build, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        return BUILD
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    only = [] if fault.caught_by == BUILD else ["-k", fault.caught_by]
    command = [".venv/bin/python", "-m", "pytest", "tests", "-q", "-m", "not live and not gym", *only, "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return "\n".join(line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    faults = [fault for fault in FAULTS if wanted in fault.name]
    if not faults:
        print(f"No fault has {wanted!r} in its name. There are: {', '.join(fault.name for fault in FAULTS)}", file=sys.stderr)
        return 2
    missed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_of_the_repository(folder)
        for fault in [Fault("nothing, as a trial", GUIDE, lambda text: text, ""), *faults]:
            path = folder / fault.file
            before = path.read_text() if path.exists() else None
            path.write_text(fault.change(before or ""))
            caught = what_catches(folder, fault)
            good = not caught if not fault.caught_by else fault.caught_by in caught
            missed += not good
            print(f"{'ok  ' if good else 'MISS'} {fault.name}: {fault.caught_by or 'nothing fails'}", flush=True)
            if not good:
                print(f"     but: {caught or 'nothing fails'}")
            path.unlink() if before is None else path.write_text(before)
    print(f"{len(faults)} faults planted, {len(faults) - missed} caught as they should be")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
