"""Makes the page's table of chat templates again: every template of TRL, vLLM's examples and llama.cpp, through check_template's probe.

    .venv-trainers/bin/python tests/support/template_table.py                 # TRL's, from the installed package; the others stay as they are
    .venv-trainers/bin/python tests/support/template_table.py --all           # fetches the source archives of vLLM and llama-cpp-python as well

Of the archives the template files are read; no template is kept here.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs/training/how-to/integrate-with-rl-frameworks"
TABLE = FOLDER.parents[2] / "_ext" / "chat_templates.json"
# Distribution, version, where its templates lie in the archive, and what their names begin with.
ARCHIVES = {
    "vllm": ("vllm", "0.25.1", "/examples/tool_chat_template_"),
    "llama.cpp": ("llama_cpp_python", "0.3.36", "/vendor/llama.cpp/models/templates/"),
}
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1] / "index"), str(FOLDER.parent / "filter-and-curate-data")]

from template_probe import Renderer, Refused, examine, switches_that_mend  # noqa: E402

# The tokens that the templates print; their spelling changes nothing.
TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}


def told(template: str) -> dict:
    """What the table says of one template: the checks, and for each use whether it is safe with and without thoughts."""
    try:
        render = Renderer(template, TOKENS)
    except Refused as reason:
        return {"checks": {"conversation with tools": f"raises: {reason}"}, "safe": {}, "mend": {}}
    found = {mode: examine(render, mode) for mode in ("never", "always")}
    safe = {mode: [use for use, good in one["safe"].items() if good] for mode, one in found.items()}
    mend = {}
    for mode, one in found.items():
        if not all(one["safe"].values()):
            for switch, uses in switches_that_mend(render, one, mode).items():
                mend.setdefault(switch, {})[mode] = uses
    return {"checks": found["never"]["checks"], "safe": safe, "mend": mend}


def from_trl() -> dict[str, str]:
    import trl

    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(Path(trl.__file__).parent.glob("chat_templates/*.jinja"))}


def from_archive(name: str, version: str, inside: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        # pip unpacks the archive before it asks for a build, which is refused if a tool for it is missing, and then leaves everything where it is.
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-clean", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", f"{name}=={version}", "-d", f"{folder}/kept"]
        said = subprocess.run(command, env=os.environ | {"TMPDIR": folder}, capture_output=True, text=True).stderr
        found = sorted(Path(folder).glob(f"pip-download-*/*{inside}*.jinja"))
        if not found:
            raise SystemExit(f"{name} {version}: no templates came. pip said:\n{said}")
        return {path.stem.removeprefix("tool_chat_template_"): path.read_text(encoding="utf-8") for path in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the archives of vLLM and llama-cpp-python as well")
    parser.add_argument("--folders", nargs=2, type=Path, metavar=("VLLM", "LLAMACPP"), help="folders with the templates of both archives instead")
    parser.add_argument("-o", "--output", type=Path, default=TABLE, help="default: the page's own")
    args = parser.parse_args()
    sources = {"trl": from_trl()}
    if args.folders:
        for source, folder in zip(ARCHIVES, args.folders):
            sources[source] = {path.stem.removeprefix("tool_chat_template_"): path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))}
    elif args.all:
        sources |= {source: from_archive(*where) for source, where in ARCHIVES.items()}
    old = json.loads(TABLE.read_text(encoding="utf-8"))["templates"]
    made = {source: {name: told(text) for name, text in templates.items()} for source, templates in sources.items()}
    versions = {"trl": importlib.metadata.version("trl"), "transformers": importlib.metadata.version("transformers")}
    versions |= {source: f"{version} ({name})" for source, (name, version, _) in ARCHIVES.items()}
    data = {"date": datetime.date.today().isoformat(), "versions": versions, "templates": old | made}
    rows = ",\n".join(f' "{source}": {{\n' + ",\n".join(f"  {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in templates.items()) + "}" for source, templates in data["templates"].items())
    args.output.write_text(f'{{"date": "{data["date"]}", "versions": {json.dumps(versions)}, "templates": {{\n{rows}}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
