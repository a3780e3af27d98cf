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
from pages import Gym, Page, blocks_of, require_free_ports, shown_matches

SERVE = f"{sys.executable} -u -m http.server --bind 127.0.0.1 8000"


@pytest.fixture
def run(tmp_path: Path):
    """Run the text of a page; give back the first error, and the page."""
    opened = []

    def run(text: str, update: bool = False) -> tuple[str | None, Page]:
        path, folder = tmp_path / "page.md", tmp_path / "page"
        path.write_text(text)
        folder.mkdir(exist_ok=True)
        gym = Gym(Path(".venv-gym").absolute(), tmp_path / "servers")
        page = Page(path, folder, tmp_path, {"PATH": os.environ["PATH"]}, gym, update)
        opened.append(page)
        errors = [page.check(block) for _, block in blocks_of(text, path)]
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


def test_only_shell_blocks_may_go_unrun(run) -> None:
    assert "can be verified" in run('```{code-block} python\n:caption: "Not run here: slow"\nx = 1\n```\n')[0]


def test_a_run_of_one_page_keeps_what_is_known_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    for name, value in {"DOCS": tmp_path / "docs", "FILE": tmp_path / "build" / "record.json", "COMMITTED": tmp_path / "docs" / "record.json"}.items():
        monkeypatch.setattr(record, name, value)

    def ran(name: str, complete: bool = True) -> dict[str, str]:
        path = tmp_path / "docs" / f"{name}.md"
        path.write_text(name)
        record.keep(SimpleNamespace(path=path, complete=complete, records=[{"line": 1}], gym=SimpleNamespace(python=sys.executable)))
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
    assert not shown_matches("took ... s", "took 3.2\n s")
    assert not shown_matches("a", "a\nb")


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
        "import sys\nsys.path[:0] = ['tests']\nfrom pathlib import Path\nimport os\nfrom pages import Gym, Page, blocks_of\n"
        f"text = {running('Terminal 1', SERVE, 'Serving HTTP on ...') + console('$ sleep 60')!r}\n"
        f"path = Path({str(tmp_path)!r}) / 'p.md'\npath.write_text(text)\nfolder = path.parent / 'p'\nfolder.mkdir()\n"
        "page = Page(path, folder, folder, {'PATH': os.environ['PATH']}, Gym(folder, folder), False)\n"
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


def test_every_kind_of_block_in_contributing_is_known() -> None:
    table = Path("CONTRIBUTING.md").read_text().split("## How a block is verified")[1].split("\n## ")[0]
    named = set(re.findall(r"` ```\{?([a-z-]+)\}?", table)) - {"code-block"}
    source = Path("tests/pages.py").read_text()
    assert named and all(f'"{kind}"' in source or f'"{{{kind}}}"' in source for kind in named)
