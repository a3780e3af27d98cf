"""The block runner catches what it is there for: each test plants one fault in a small page."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import record
import scripts
from compare import Varies, fill, learn, problem, read, shown_matches
from pages import DOCS, Gym, Page, blocks_of, outputs_of, require_free_ports

SERVE = f"{sys.executable} -u -m http.server --bind 127.0.0.1 8000"


@pytest.fixture
def run(tmp_path: Path):
    """Run the text of a page; give back the first error, and the page."""
    opened = []

    def run(text: str, **options: bool) -> tuple[str | None, Page]:
        path, folder = tmp_path / "page.md", tmp_path / "page"
        path.write_text(text)
        folder.mkdir(exist_ok=True)
        gym = Gym(Path(".venv-gym").absolute(), tmp_path / "servers")
        page = Page(path, folder, tmp_path, {"PATH": os.environ["PATH"]}, gym, varies=tmp_path / "varies", **options)
        opened.append(page)
        errors = [page.check(block) for _, block in blocks_of(text, path)]
        page.tried = page.expected
        return next((error for error in errors if error), None), page

    yield run
    for page in opened:
        page.terminals.stop()
        page.gym.close()


def console(*lines: str) -> str:
    return "```console\n" + "\n".join(lines) + "\n```\n"


def test_folder_and_variables_carry_over(run) -> None:
    error, page = run(console("$ mkdir a && cd a", "$ export X=1") + console("$ echo $X ${PWD##*/}", "1 a"))
    assert error is None
    assert [record["status"] for record in page.records] == ["executed", "executed"]


def test_a_stale_output_is_caught(run) -> None:
    assert "it printed:\n3" in run(console("$ echo 3", "2"))[0]


def test_an_output_that_the_page_does_not_show_is_caught(run) -> None:
    assert "it printed:\nhello" in run(console("$ echo hello"))[0]


def test_a_failing_command_is_caught(run) -> None:
    assert "exit code 3" in run(console("$ exit 3"))[0]


def test_a_failure_may_be_shown_with_its_exit_code(run) -> None:
    assert run(console("$ ls nothing", "ls: ...", "$ echo $?", "2"))[0] is None
    assert run(console("$ true", "$ echo $?", "2"))[0] is not None


def test_what_follows_a_failure_is_not_run(run) -> None:
    error, page = run(console("$ false") + console("$ touch later"))
    assert error and not (page.folder / "later").exists() and not page.complete


def test_a_block_that_nothing_verifies_is_caught(run) -> None:
    assert "nothing verifies" in run("```ini\n[a]\n```\n")[0]


def test_a_file_that_no_command_uses_is_caught(run) -> None:
    block = "```{code-block} yaml\n:caption: a.yaml\na: 1\n```\n"
    assert "no command" in run(block)[0]
    assert run(block + console("$ cat a.yaml", "a: 1"))[0] is None


def test_text_that_nothing_printed_is_caught(run) -> None:
    assert run(console("$ echo 'one two'", "one ...") + "```text\none two\n```\n")[0] is None
    assert "has printed" in run("```text\nthree\n```\n")[0]


def test_a_block_not_run_needs_a_reason_and_valid_syntax(run) -> None:
    block = '```{{code-block}} console\n:caption: "Not run here: {}"\n$ {}\n```\n'
    assert "say why" in run(block.format("", "srun x"))[0]
    assert "syntax error" in run(block.format("needs two nodes", "srun ("))[0]
    error, page = run(block.format("needs two nodes", "srun x"))
    assert error is None and page.records[0]["status"] == "not-run" and page.records[0]["reason"] == "needs two nodes"


def test_a_block_run_on_a_gpu_needs_its_run_in_the_log(run) -> None:
    error, page = run('```{code-block} console\n:caption: "Run on an H200: needs a GPU"\n$ never --ran\n```\n')
    assert "has no run of this block" in error and page.records == []


def test_only_shell_blocks_may_go_unrun(run) -> None:
    assert "can be verified" in run('```{code-block} python\n:caption: "Not run here: slow"\nx = 1\n```\n')[0]


def test_a_run_of_one_page_keeps_what_is_known_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    for name, value in {"DOCS": tmp_path / "docs", "FILE": tmp_path / "build" / "record.json", "COMMITTED": tmp_path / "docs" / "record.json"}.items():
        monkeypatch.setattr(record, name, value)

    def ran(name: str, complete: bool = True) -> dict[str, str]:
        path = tmp_path / "docs" / f"{name}.md"
        path.write_text(name)
        record.keep(SimpleNamespace(path=path, complete=complete, started=0, records=[{"line": 1}], gym=SimpleNamespace(python=sys.executable)))
        return {name: page["date"] for name, page in json.loads(record.FILE.read_text())["pages"].items()}

    before = {"release": record.release(), "date": "2026-01-01", "python": "3", "pages": {"a": {"date": "2026-01-01"}, "gone": {"date": "2026-01-01"}}}
    record.COMMITTED.write_text(json.dumps(before))
    (tmp_path / "docs" / "a.md").write_text("a")
    today = datetime.date.today().isoformat()
    assert ran("b") == {"a": "2026-01-01", "b": today}
    record.commit()
    assert json.loads(record.COMMITTED.read_text()) == json.loads(record.FILE.read_text())
    committed = record.COMMITTED.read_text().replace(today, "2026-01-02")
    record.COMMITTED.write_text(committed)
    record.commit()
    assert record.COMMITTED.read_text() == committed, "only dates are new"
    assert ran("a", complete=False) == {"b": today}, "a page that failed leaves the record"
    record.FILE.unlink()
    record.COMMITTED.write_text(json.dumps(before | {"release": "0.6.0"}))
    assert ran("b") == {"b": today}, "what held for another release is not known of this one"


def test_outputs_are_recorded_and_a_second_run_changes_nothing(run) -> None:
    text = "1. step\n\n   ```console\n   $ echo b\n   a\n   ```\n"
    _, page = run(text, update=True)
    page.close()
    recorded = page.path.read_text()
    assert recorded == text.replace("   a\n", "   b\n")
    _, page = run(recorded, update=True)
    page.close()
    assert page.path.read_text() == recorded


def test_ellipsis() -> None:
    assert shown_matches("a\n...\nd", "a\nb\nc\nd")
    assert shown_matches("...\nd", "d")
    assert shown_matches("took ... s", "took 3.2 s")
    assert shown_matches("a\n...\nb\nc\n...\nd", "a\nb\nb\nc\nd")
    assert not shown_matches("took ... s", "took 3.2\n s")
    assert not shown_matches("a", "a\nb")
    assert not shown_matches("a\n...\nb", "a\nb\nc")


VARYING = [
    # template, what the page shows, what fits as well, what does not
    ("reward #", "reward 0.36", ["reward 0.9", "reward -0.125", "reward   0.4"], ["reward good", "reward 1", "reward", "score 0.4", "reward 0.4 x"]),
    ("Knee: --concurrency #[3..6]", "Knee: --concurrency 4", ["Knee: --concurrency 6"], ["Knee: --concurrency 16", "Knee: --concurrency 4 s"]),
    ("share #[0.2..0.9]", "share 0.5", ["share 0.9"], ["share 0.96", "share -0.5"]),
    ("80 / 80 rollouts (100%) in #", "80 / 80 rollouts (100%) in 3.2 min", ["80 / 80 rollouts (100%) in 45s"], ["79 / 80 rollouts (98%) in 3 min"]),
    ("in # (...)", "in 12 s (...)", ["in 1m 2s (4 left)"], ["in 12 (4 left)"]),
    ("│ a │ # │", "│ a │  4 │", ["│ a │ 104 │", "│   a   │4│"], ["│ b │ 4 │"]),
    ("lines #, ..#", "lines 3, 14", ["lines 7", "lines 1, 2, 30"], ["lines", "lines 3, x", "lines 3.5", "lines 3, 4.5"]),
    ("0.1 ### #", "0.1 ##### 5", ["0.1 # 1", "0.1 ####### 12"], ["0.1 5", "0.1 *** 5", "0.2 ##### 5"]),
    ("┏━━━┳━━━┓", "┏━━━━┳━━━┓", ["┏━━━━━━━━┳━━━━┓"], ["┏━━━━━━┓"]),
    ("at # on #", "at 22:05 on 2026-11-29", ["at 7:10 on 2027-01-02"], ["at 22 on 2026-11-29", "at 22:05 on Monday"]),
    ("# of the size #", "36% of the size 12 kB", ["4.5 % of the size 1.2 MB"], ["36 of the size 12 kB", "36% of the size 12 s"]),
    ("# note: # rows", "# note: 3 rows", ["# note: 12 rows"], ["note: 3 rows", "# note: 1.5 rows"]),
    ('{"id":"r_#"}', '{"id":"r_8f3ac0de12"}', ['{"id":"r_0123456789"}', '{"id":"r_aaaabbbbcccc1"}'], ['{"id":"r_12"}', '{"id":"r_hello"}']),
    ("wrote /tmp/#", "wrote /tmp/tmpab1/x.json", ["wrote /var/folders/a9/T/x.json"], ["wrote x.json", "wrote /tmp/a b"]),
    ("http://127.0.0.1:# qwen3 0.7.0", "http://127.0.0.1:4023 qwen3 0.7.0", ["http://127.0.0.1:51 qwen3 0.7.0"], ["http://127.0.0.2:51 qwen3 0.7.0"]),
]


@pytest.mark.parametrize("template, shown, right, wrong", VARYING, ids=[case[0] for case in VARYING])
def test_a_listed_line_varies_in_its_numbers_and_in_nothing_else(template: str, shown: str, right: list[str], wrong: list[str]) -> None:
    listed = read(template)
    for line in [shown, *right]:
        assert shown_matches(shown, line, listed), line
        assert shown_matches(f"...\n{shown}", f"first\n{line}", listed), line
    assert [line for line in wrong if shown_matches(shown, line, listed)] == []
    assert not shown_matches(shown, right[0], read("another line with #")), "a line that is not listed is exact"


def test_a_number_out_of_its_range_is_named(tmp_path: Path) -> None:
    varies = Varies(tmp_path, Path("page.md"))
    varies.templates = read("Knee: --concurrency #[3..6]")
    assert problem("Knee: --concurrency 4", "Knee: --concurrency 5", varies) is None
    assert "16 is not within 3..6" in problem("Knee: --concurrency 4", "Knee: --concurrency 16", varies)
    assert "has no template for this line" in problem("Peak: 4", "Peak: 16", varies)


def test_what_a_recorded_run_teaches() -> None:
    assert learn("3 of 4 in 5 s", "3 of 4 in 6 s", []) == ["3 of 4 in #"]
    assert learn("3 of 4 in 5 s", "2 of 4 in 5 s", read("3 of 4 in #")) == ["# of 4 in #"]
    assert learn("3 of 4", "3 of 4", []) == []
    assert learn("3 of 4", "3 or 4", []) is None
    assert learn("3 of 4", "3.5 of 4", []) is None
    assert learn("knee 4", "knee 16", read("knee #[3..6]")) is None


def test_numbers_where_an_ellipsis_hid_them() -> None:
    assert fill("80 / 80 (100%) in ... (... rollouts/min)", "80 / 80 (100%) in 32 s (5.1 rollouts/min)") == (
        "80 / 80 (100%) in 32 s (5.1 rollouts/min)", "80 / 80 (100%) in # (# rollouts/min)",
    )  # fmt: skip
    assert fill("reward  0... +-0...", "reward  0.362 +-0.02") == ("reward  0.362 +-0.02", "reward # +-#")
    assert fill('{"n": ..., "text": "..."}', '{"n": 12, "text": "so 5 it is"}') == ('{"n": 12, "text": "..."}', '{"n": #, "text": "..."}')
    assert fill("says ...", "says hello 5") is None
    assert fill("...", "5") is None


def test_a_page_learns_what_varies_and_is_held_to_the_rest(run, tmp_path: Path) -> None:
    """The command prints another number on each run."""
    tick = "echo $(( $(cat n 2>/dev/null) + 1 )) > n; echo run $(cat n) of 9 pages"
    text = console(f"$ {tick}", "run ... of 9 pages") + running("Terminal 1", "bash -c 'echo $$ is ready; sleep 60'", "... is ready")

    def again(text: str, **options: bool) -> tuple[str | None, str]:
        error, page = run(text, **options)
        page.close()
        return error, page.path.read_text()

    error, recorded = again(text, update=True, numbers=True)
    assert error is None and "run 1 of 9 pages" in recorded and "..." not in recorded
    listed = (tmp_path / "varies" / "page.txt").read_text()
    assert listed == "# is ready\nrun # of 9 pages\n"
    assert again(recorded) == (None, recorded)
    assert again(recorded, update=True) == (None, recorded), "shown numbers stay"
    assert "8 pages" in again(recorded.replace("9 pages\n", "8 pages\n"))[0]
    (tmp_path / "varies" / "page.txt").write_text(listed.replace("run #", "run #[1..4]"))
    assert "5 is not within 1..4" in again(recorded)[0]
    assert "not within" in again(recorded, update=True)[0], "a range is the author's to change"
    (tmp_path / "varies" / "page.txt").unlink()
    assert "has no template" in again(recorded)[0]
    assert again(recorded, update=True) == (None, recorded)
    assert (tmp_path / "varies" / "page.txt").read_text() == listed


def test_each_template_is_for_a_line_that_a_page_shows() -> None:
    sources = {path.stem: path for path in (DOCS / "training").rglob("*.md")}
    for file in (DOCS / "varies").glob("*.txt"):
        assert file.stem in sources, f"{file}: there is no such page"
        varies = Varies(file.parent, sources[file.stem])
        shown = outputs_of(sources[file.stem].read_text(encoding="utf-8"), sources[file.stem])
        assert varies.stale(shown) == [], f"{file}: no line of the page is like this"
        lines = file.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(set(lines)), f"{file}: a template stands there twice"


def test_a_stale_template_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("took #\nknee #[3..6]\nreward #\n")
    shown = outputs_of(console("$ true", "took 3 s", "knee 16") + "```text\nreward 0.5\n```\n", tmp_path / "page.md")
    assert Varies(tmp_path, tmp_path / "page.md").stale(shown) == ["knee #[3..6]"]


def running(caption: str, command: str, shown: str) -> str:
    return f"```{{code-block}} console\n:class: keep-running\n:caption: {caption}\n$ {command}\n{shown}\n```\n"


def test_a_program_that_never_gets_ready_is_caught(run) -> None:
    assert "so far it printed:\nno" in run(running("Terminal 1", "sh -c 'echo no'", "yes"))[0]


def test_programs_are_stopped_and_their_ports_freed(run) -> None:
    text = running("Terminal 1", SERVE, "Serving HTTP on ...")
    error, page = run(text + text)  # the second start stops the first
    assert error is None
    with pytest.raises(RuntimeError, match="port 8000"):
        require_free_ports()
    page.close()
    require_free_ports()


def test_an_interrupted_run_leaves_no_port_taken(tmp_path: Path) -> None:
    """Ctrl+C in the middle of a page."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nsys.path[:0] = ['tests/support']\nfrom pathlib import Path\nimport os\nfrom pages import Gym, Page, blocks_of\n"
        f"text = {running('Terminal 1', SERVE, 'Serving HTTP on ...') + console('$ sleep 60')!r}\n"
        f"path = Path({str(tmp_path)!r}) / 'p.md'\npath.write_text(text)\nfolder = path.parent / 'p'\nfolder.mkdir()\n"
        "page = Page(path, folder, folder, {'PATH': os.environ['PATH']}, Gym(folder, folder))\n"
        "try:\n    for _, block in blocks_of(text, path):\n        print(page.check(block), flush=True)\nfinally:\n    page.close()\n"
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job may have been told to ignore it
    )
    assert process.stdout.readline() == "None\n"
    with socket.create_connection(("127.0.0.1", 8000), timeout=5):
        pass
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    require_free_ports()


@pytest.mark.gym
def test_the_package_has_the_last_word(run) -> None:
    """Rows, configurations, flags and keys are held against the installed release."""
    assert "temperatur" in run('```json\n{"responses_create_params": {"input": "a", "temperatur": 1}}\n```\n')[0]
    assert run('```json\n{"responses_create_params": {"input": "a", "temperature": 1}}\n```\n')[0] is None
    assert "not defined" in run(
        "```yaml\na:\n  responses_api_agents:\n    simple_agent:\n      entrypoint: app.py\n"
        "      resources_server: {type: resources_servers, name: nowhere}\n"
        "      model_server: {type: responses_api_models, name: policy_model}\n```\n"
    )[0]
    block = '```{{code-block}} console\n:caption: "Not run here: needs a token"\n$ {}\n```\n'
    assert "--concurency" in run(block.format("gym eval run --no-serve --concurency 4"))[0]
    assert "no_such_key" in run(block.format("gym eval run --no-serve +no_such_key=1"))[0]
    error, page = run(block.format("gym eval run --no-serve --concurrency 4 +route_failures_to_sidecar=true"))
    assert error is None and page.records[0]["status"] == "validated"


@pytest.mark.parametrize(("needs", "lacking"), [("needs-slurm", "Slurm"), ("needs-graphviz", "Graphviz")])
def test_a_block_that_lacks_what_it_needs_is_recorded_as_not_run(run, monkeypatch, needs: str, lacking: str) -> None:
    monkeypatch.setattr("pages.shutil.which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    error, page = run(f"```{{code-block}} console\n:class: {needs}\n$ touch ran\n```\n")
    assert error is None and not (page.folder / "ran").exists()
    assert page.records[0] | {"status": "not-run", "reason": f"no {lacking} on the machine of the test"} == page.records[0]


def test_every_kind_of_block_in_contributing_is_known() -> None:
    table = Path("CONTRIBUTING.md").read_text().split("## How a block is verified")[1].split("\n## ")[0]
    named = set(re.findall(r"` ```\{?([a-z-]+)\}?", table)) - {"code-block"}
    source = Path("tests/support/pages.py").read_text()
    assert named and all(f'"{kind}"' in source or f'"{{{kind}}}"' in source for kind in named)


SCRIPT = r"""
import atexit, os, sys, threading, time
from pathlib import Path
import beside
atexit.register(lambda: print("at exit"))
threading.Thread(target=lambda: (time.sleep(0.1), print("from a thread"))).start()
print(beside.NAME, sys.argv[1:], Path(sys.argv[0]).name, __name__, os.environ.get("EXTRA"), Path.cwd().name, repr(sys.stdin.read()), "pytest" in sys.argv[0])
print("to the error stream \u00e9\ud800", file=sys.stderr)
ends = {"none": None, "seven": 7, "text": "says why"}
if sys.argv[1] == "raise":
    raise ValueError("as it was")
if sys.argv[1] != "end":
    sys.exit(ends[sys.argv[1]])
"""


@pytest.mark.parametrize("way", ["end", "none", "seven", "text", "raise"])
def test_a_script_of_a_child_is_a_script_of_a_new_process(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    (folder / "beside.py").write_text("NAME = 'beside'\n")
    command = [sys.executable, folder / "script.py", way, "--option"]
    other = subprocess.run(command, cwd=tmp_path, env=os.environ | {"EXTRA": "more"}, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    child = scripts.run(folder / "script.py", way, "--option", cwd=tmp_path, EXTRA="more")
    assert (child.returncode, child.stdout) == (other.returncode, other.stdout)
    assert child.stderr.splitlines()[-1:] == other.stderr.splitlines()[-1:] and child.stderr.splitlines()[:1] == other.stderr.splitlines()[:1]
