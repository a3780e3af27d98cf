"""check_template.py, and the page's table of chat templates: made again from the installed packages."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from pages import DOCS, ROOT

FOLDER = DOCS / "training/how-to/integrate-with-rl-frameworks"
PYTHON = ROOT / ".venv-trainers/bin/python"
DATA = json.loads((DOCS / "_ext/chat_templates.json").read_text())
TABLE = DATA["templates"]
CHATML = (FOLDER / "chat_template.jinja").read_text()

pytestmark = pytest.mark.gym  # transformers is in the trainers' environment


def check(*arguments: object, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PYTHON, FOLDER / "check_template.py", *map(str, arguments)], cwd=cwd, capture_output=True, text=True)


def found(template: str, folder: Path, *arguments: object) -> dict:
    (folder / "t.jinja").write_text(template)
    answer = check(folder / "t.jinja", "--json", *arguments)
    assert answer.returncode in (0, 1), answer.stderr
    return json.loads(answer.stdout) | {"code": answer.returncode}


def test_the_table_is_what_the_installed_templates_do(tmp_path: Path) -> None:
    code = ("import sys, json; sys.path.insert(0, sys.argv[1]); import template_table as t; "
            "print(json.dumps({name: t.told(text) for name, text in t.from_trl().items()}))")
    made = subprocess.run([PYTHON, "-c", code, ROOT / "tests" / "support"], capture_output=True, text=True, check=True)
    assert json.loads(made.stdout) == TABLE["trl"]
    assert len(TABLE["trl"]) == 72 and len(TABLE["llama.cpp"]) == 70 and len(TABLE["vllm"]) == 26


@pytest.mark.network
def test_the_table_of_all_templates_can_be_made_again(tmp_path: Path) -> None:
    """`template_table.py --all`: from the archives of vLLM and llama-cpp-python as published."""
    made = tmp_path / "made.json"
    done = subprocess.run([PYTHON, ROOT / "tests/support/template_table.py", "--all", "-o", made], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = json.loads(made.read_text())
    assert again["versions"] == DATA["versions"] and list(again["templates"]) == list(TABLE)
    for source, templates in TABLE.items():
        assert again["templates"][source] == templates, source


def test_templates_are_found_in_a_source_archive_and_a_build_is_not_needed(tmp_path: Path) -> None:
    """Of an archive like those that --all fetches: the files at that place alone, under their names."""
    inside = {"setup.py": "raise SystemExit('no build')", "examples/tool_chat_template_one.jinja": "ONE é", "examples/template_two.jinja": "TWO", "examples/deep/tool_chat_template_x.jinja": "X"}
    with tarfile.open(tmp_path / "made_up-1.0.tar.gz", "w:gz") as archive:
        for name, text in inside.items():
            entry = tarfile.TarInfo(f"made_up-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    code = "import sys, json; sys.path.insert(0, sys.argv[1]); import template_table as t; print(json.dumps(t.from_archive('made_up', sys.argv[2], '/examples/tool_chat_template_')))"
    offline = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    one, none = (subprocess.run([PYTHON, "-c", code, ROOT / "tests/support", version], env=offline, capture_output=True, text=True) for version in ("1.0", "2.0"))
    assert json.loads(one.stdout) == {"one": "ONE é"}, one.stderr
    assert none.returncode == 1 and none.stderr.startswith("made_up 2.0: no templates came. pip said:\nERROR:"), none.stderr


def test_a_template_that_keeps_everything_is_safe(tmp_path: Path) -> None:
    assert found(CHATML, tmp_path)["code"] == 0


# One change to a safe template, and the check that must see it, with the uses it makes unsafe.
LAST_ONLY = "{%- set last = namespace(at=0) %}{%- for m in messages %}{%- if m.role == 'user' %}{%- set last.at = loop.index0 %}{%- endif %}{%- endfor %}"
CONTENT = "{{- message.content or '' }}"
FAULTS = {
    "thoughts of earlier turns": (CHATML.replace("{%- for message in messages %}", LAST_ONLY + "{%- for message in messages %}", 1).replace(
        CONTENT, "{{- (message.content or '').split('</think>')[-1] if loop.index0 < last.at else message.content or '' }}"),
        "<think> in the text", "last turn only", {"sft", "rl"}),
    "calls": (CHATML.replace("message.tool_calls or []", "[]"), "empty turns in the loss", "becomes empty", {"sft", "rl", "dpo"}),
    "second call": (CHATML.replace("message.tool_calls or []", "(message.tool_calls or [])[:1]"), "parallel calls", "second call lost", {"sft", "rl", "dpo"}),
    "text beside a call": (CHATML.replace(CONTENT, "{{- '' if message.tool_calls else message.content or '' }}"), "text beside a call", "text lost", {"sft", "rl", "dpo"}),
    "marks around results": (CHATML.replace("{{- '<|im_start|>user\\n<tool_response>", "{%- generation %}{{- '' }}{{ message.content }}{%- endgeneration %}{{- '<|im_start|>user\\n<tool_response>"),
                             "generation marks", "results in the loss", {"sft"}),
    "end of the turn": (CHATML.replace("{{- '<|im_end|>' }}\n        {%- endgeneration %}", "{%- endgeneration %}{{- '<|im_end|>' }}"), "generation marks", "end of the last turn", {"sft"}),
    "prompt": (CHATML.replace("{{- '<|im_start|>assistant\\n' }}\n{%- endif %}", "{{- '<|im_start|>assistant\\n<think>\\n' }}\n{%- endif %}"), "append-only", "prompt differs", {"sft", "rl", "dpo"}),
    "date": (CHATML.replace("{%- if tools %}", "{{- strftime_now('%d %b %Y') }}{%- if tools %}", 1), "date in the prompt", "another day", {"rl"}),
    "null": (CHATML.replace(CONTENT, "{{- message.content }}"), "content null", "written as None", set()),
    "arguments": (CHATML.replace("arguments is string", "false"), "arguments as JSON text", "encoded twice", set()),
    "tools at the end": ("{%- for message in messages %}{%- if loop.last and tools %}{{- tools | tojson }}{%- endif %}" + CHATML.partition("{%- for message in messages %}")[2],
                         "append-only", "tools moved", {"rl"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_thing_a_template_does_is_seen_and_told_apart(fault: str, tmp_path: Path) -> None:
    template, what, said, unsafe = FAULTS[fault]
    assert template != CHATML
    seen = found(template, tmp_path)
    assert said in seen["checks"][what], seen["checks"]
    assert {use for use, good in seen["safe"].items() if not good} >= unsafe and (seen["code"] == 1 or not unsafe)
    if not unsafe:
        assert any(form.startswith(what) for form in seen["avoid"]) and all(seen["safe"].values())


def test_a_switch_that_mends_is_found_and_holds(tmp_path: Path) -> None:
    template, *_ = FAULTS["thoughts of earlier turns"]
    template = template.replace("if loop.index0 < last.at", "if loop.index0 < last.at and not keep_thoughts")
    assert found(template, tmp_path)["mend"] == {"keep_thoughts=true": ["sft", "rl"]}
    assert found(template, tmp_path, "--set", "keep_thoughts=true")["code"] == 0
    assert found(template, tmp_path, "--thoughts", "never")["code"] == 0


def test_rows_that_lose_something_are_named(tmp_path: Path) -> None:
    call = {"id": "call00001", "type": "function", "function": {"name": "f", "arguments": {"a": "b"}}}
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<think>hm</think>", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call00001", "content": "r"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "More"}]
    good = {"messages": [*talk[:4]]}
    rows = [good, {"messages": [*talk, {"role": "assistant", "content": "B"}]}, {"prompt": talk, "chosen": [{"role": "assistant", "content": "C"}], "rejected": [{"role": "assistant", "content": "D"}]},
            {"messages": [{"role": "developer", "content": "S"}, *talk[:4]]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "t.jinja").write_text(FAULTS["thoughts of earlier turns"][0])
    answer = check(tmp_path / "t.jinja", "--rows", tmp_path / "rows.jsonl")
    assert answer.returncode == 1 and "4 rows, 3 lose something" in answer.stdout
    assert "2 rows: lost: thought of a message of assistant; lines 2, 3" in answer.stdout
    assert "1 rows: lost: text of a message of developer; line 4" in answer.stdout


def test_a_tokenizers_folder_is_read_and_bad_input_gets_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|im_end|>"}, "chat_template": [
        {"name": "default", "template": FAULTS["calls"][0]}, {"name": "tool_use", "template": CHATML}]}))
    assert check(folder).returncode == 1 and check(folder, "--name", "tool_use").returncode == 0
    (tmp_path / "rows.jsonl").write_text('{"reward": 1}\n')
    (tmp_path / "bad.jinja").write_text("{% if %}")
    for arguments, told in (((folder, "--name", "x"), "There are: default, tool_use"), ((tmp_path / "none",), "no chat template there"),
                            ((tmp_path,), "no chat template there"), ((tmp_path / "bad.jinja",), "not a chat template"),
                            ((folder, "--rows", tmp_path / "rows.jsonl"), "not a row of chat messages"), ((folder, "--rows", tmp_path / "no.jsonl"), "No such file")):
        answer = check(*arguments)
        assert answer.returncode == 2 and told in answer.stderr and answer.stderr.count("\n") == 1, answer.stderr
    assert subprocess.run([sys.executable, FOLDER / "check_template.py", "--help"], capture_output=True).returncode == 0
