"""Tell what a chat template drops, rewrites or moves, and for which training that is unsafe.

    trainers/bin/python check_template.py MODEL_FOLDER
    trainers/bin/python check_template.py template.jinja --rows sft.jsonl dpo.jsonl
    trainers/bin/python check_template.py template.jinja --set truncate_history_thinking=false

Give a folder with tokenizer_config.json or chat_template.jinja, or a template file. Needs transformers, whose own renderer is used.
Every text of a probe conversation is a word of its own, so whatever the template drops is seen. With --rows, your rows are the
probe: their texts are replaced by such words, and the lines whose row loses something are named.

Exit code: 0 safe for SFT, multi-turn RL and DPO; 1 not safe for one of them, or a row loses something; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from template_probe import USES, Refused, Renderer, examine, switches_that_mend
from template_rows import rows_that_lose

from rollouts import BadInput


def load(path: Path, name: str | None) -> tuple[str, dict[str, str]]:
    """The template, and the special tokens that it may print."""
    tokens = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8"), tokens
        config = path / "tokenizer_config.json"
        given = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
        for key in tokens:
            token = given.get(key)
            tokens[key] = (token.get("content") if isinstance(token, dict) else token) or tokens[key]
        files = [path / "chat_template.jinja", *sorted(path.glob("additional_chat_templates/*.jinja"))]
        found = {"default" if file.stem == "chat_template" else file.stem: file.read_text(encoding="utf-8") for file in files if file.is_file()}
        listed = given.get("chat_template")
        if isinstance(listed, str):
            found.setdefault("default", listed)
        for entry in listed if isinstance(listed, list) else ():
            found.setdefault(entry["name"], entry["template"])
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}. Give a template file, or a folder with tokenizer_config.json or chat_template.jinja") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a tokenizer's folder or template in UTF-8 ({error})") from None
    if not found:
        raise BadInput(f"{path}: no chat template there. Base models often have none: take the instruct model's")
    if (name or "default") not in found:
        raise BadInput(f"{path}: no template named {name or 'default'}. There are: {', '.join(found)}. Choose with --name")
    return found[name or "default"], tokens


def switch(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as preserve_thinking=true")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, {"True": True, "False": False}.get(value, value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("template", type=Path, help="a model's or tokenizer's folder, or a .jinja file")
    parser.add_argument("--name", help="which template of a tokenizer that has several, such as tool_use (default: default)")
    parser.add_argument("--set", dest="switches", type=switch, nargs="+", default=[], metavar="NAME=VALUE", help="switches of the template")
    parser.add_argument("--thoughts", choices=("always", "never", "both"), default="both", help="whether your model thinks before it answers (default: %(default)s)")
    parser.add_argument("--rows", type=Path, nargs="+", default=[], metavar="FILE", help="SFT or DPO rows to try as well")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    args = parser.parse_args()
    try:
        template, tokens = load(args.template, args.name)
        renderer = Renderer(template, tokens | dict(args.switches))
        found = examine(renderer, args.thoughts)
        found["mend"] = {} if all(found["safe"].values()) else switches_that_mend(renderer, found, args.thoughts)
        found["rows"] = {str(path): rows_that_lose(renderer, path) for path in args.rows}
    except (BadInput, Refused) as error:
        print(f"check_template.py: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"check_template.py: {error}. Run it with the Python of your trainer, which has transformers", file=sys.stderr)
        return 2
    good = all(found["safe"].values()) and not any(lost for _, lost in found["rows"].values())
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return 0 if good else 1
    for what, said in found["checks"].items():
        print(f"{what:<26} {said}")
    print()
    for use, name in USES.items():
        print(f"{name:<26} {'safe' if found['safe'][use] else 'NOT SAFE: ' + '; '.join(found['why'][use])}")
    for setting, uses in found["mend"].items():
        print(f"  --set {setting} makes it safe for {', '.join(USES[use] for use in uses)}")
    if found["avoid"]:
        print("keep out of your rows:", *found["avoid"], sep="\n  ")
    for path, (total, lost) in found["rows"].items():
        print(f"{path}: {total} rows, {len({line for lines in lost.values() for line in lines})} lose something")
        for what, lines in lost.items():
            print(f"  {len(lines)} rows: {what}; line{'s' * (len(lines) > 1)} {', '.join(map(str, lines[:5]))}{', ...' * (len(lines) > 5)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
