"""Read the flags of `vllm serve`, and their defaults, from vLLM's source, without installing it.

    pip download --no-deps --no-binary vllm vllm==0.29.0    # or unpack the source distribution of the release
    python read_vllm_flags.py SOURCE/vllm --release 0.29.0 -o vllm_flags.json

Reads the calls of add_argument in the engine's parser, the fields of the server's own arguments, and the defaults in the
configuration classes that both refer to. A default that the engine computes at its start is null. Exit code: 0 done, 2 bad input.
"""

import argparse
import ast
import json
import sys
from pathlib import Path


def constant(node: ast.expr | None, names: dict) -> object:
    """The value of a default as far as the source says it; None otherwise."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Field", "field"):
        node = next((word.value for word in node.keywords if word.arg == "default"), None)
    if isinstance(node, ast.Name):
        return names.get(node.id)
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def classes(root: Path) -> dict[str, dict[str, object]]:
    """The fields of every configuration class with their defaults."""
    found: dict[str, dict[str, object]] = {}
    for path in [*sorted((root / "config").rglob("*.py")), *sorted((root / "entrypoints").rglob("cli_args.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                fields = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
                names: dict[str, object] = {}
                for item in fields:
                    names[item.target.id] = constant(item.value, names)
                found[node.name] = names
    return found


def engine_flags(root: Path, known: dict) -> dict[str, object]:
    """Flags of the engine's parser: each names the field of a configuration class that holds its default."""
    flags: dict[str, object] = {}
    tree = ast.parse((root / "engine" / "arg_utils.py").read_text(encoding="utf-8"))
    groups = {
        node.targets[0].id: node.value.args[0].id for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "get_kwargs"
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"):
            continue
        default = None
        for word in node.keywords:
            if isinstance(word.value, ast.Subscript) and getattr(word.value.value, "id", "") in groups:
                default = known.get(groups[word.value.value.id], {}).get(ast.literal_eval(word.value.slice))
            elif word.arg == "default":
                default = constant(word.value, {})
        for flag in node.args:
            if isinstance(flag, ast.Constant) and str(flag.value).startswith("--"):
                flags[flag.value] = default
    return flags


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder vllm of the release's source")
    parser.add_argument("--release", required=True, help="the release it is, for the record")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the flags (JSON)")
    args = parser.parse_args()
    if not (args.source / "engine" / "arg_utils.py").is_file():
        print(f"read_vllm_flags.py: {args.source} has no engine/arg_utils.py: give the folder vllm of the source", file=sys.stderr)
        return 2
    known = classes(args.source)
    server = known.get("BaseFrontendArgs", {}) | known.get("FrontendArgs", {})
    flags = engine_flags(args.source, known) | {"--" + name.replace("_", "-"): value for name, value in server.items()}
    data = {"release": f"vllm {args.release}", "read_from": "source distribution: vllm/engine/arg_utils.py, vllm/config, vllm/entrypoints",
            "flags": dict(sorted(flags.items()))}
    args.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"{len(flags)} flags of {data['release']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
