"""Render conversations whose every text is a word of its own, for check_template.py."""

from __future__ import annotations

import copy
import datetime
import itertools
import json
import re
from collections.abc import Callable


class Refused(Exception):
    """The template raises, or is none."""


class Renderer:
    """One template with its special tokens and switches, rendered as transformers' apply_chat_template does."""

    def __init__(self, template: str, given: dict[str, object]) -> None:
        import jinja2.meta
        from transformers.utils import chat_template_utils

        self.template, self.given, self.utils = template, given, chat_template_utils
        self.marked = re.search(r"\{%-?\s*generation\s*-?%\}", template) is not None
        try:
            environment = chat_template_utils._compile_jinja_template(template).environment
            self.variables = jinja2.meta.find_undeclared_variables(environment.parse(template))
        except jinja2.TemplateError as error:
            raise Refused(f"not a chat template: {error}") from None

    def __call__(self, messages: list[dict], tools: list[dict] | None = None, prompt: bool = False) -> str:
        return self.render(messages, tools, prompt, False)[0]

    def loss(self, messages: list[dict], tools: list[dict] | None = None) -> str:
        """What {% generation %} marks, the only text that assistant_only_loss trains; its pieces between line feeds."""
        text, spans = self.render(messages, tools, False, True)
        return "\f".join(text[start:end] for start, end in spans)

    def render(self, messages, tools, prompt: bool, marks: bool) -> tuple[str, list]:
        try:
            texts, spans = self.utils.render_jinja_template(
                [copy.deepcopy(messages)], tools=tools or None, chat_template=self.template, add_generation_prompt=prompt,
                return_assistant_tokens_mask=marks, **self.given)
        except Exception as error:  # templates raise their own, and what Python raises on a message they did not expect
            raise Refused(" ".join(str(error).split())[:70] or type(error).__name__) from None
        return texts[0], spans[0] if spans else []

    def with_(self, **switches: object) -> Renderer:
        other = copy.copy(self)
        other.given = self.given | switches
        return other


# ---------------------------------------------------------------------------------------------------------------------
# The probe conversation: system, user, call, result, call, result, answer, user, answer


def tool(name: str) -> dict:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"D{name}", "parameters": parameters}}


TOOLS = [tool("toolone"), tool("tooltwo")]


def call(number: int, name: str, city: str) -> dict:
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": {"city": city}}}


def said(content: str, *calls: dict) -> dict:
    return {"role": "assistant", "content": content} | ({"tool_calls": list(calls)} if calls else {})


def result(number: int, content: str) -> dict:
    return {"role": "tool", "tool_call_id": f"call{number:05d}", "name": "toolone", "content": content}


SYSTEM, ASKED = {"role": "system", "content": "Xsystem"}, {"role": "user", "content": "Xasked"}
TALK = [SYSTEM, ASKED, said("", call(1, "toolone", "Xcityone")), result(1, "Xresultone"), said("", call(2, "tooltwo", "Xcitytwo")),
        result(2, "Xresulttwo"), said("Xanswerone"), {"role": "user", "content": "Xagain"}, said("Xanswertwo")]
PARTS = {"system text": ["Xsystem"], "user text": ["Xasked", "Xagain"], "calls": ["Xcityone", "Xcitytwo"],
         "results": ["Xresultone", "Xresulttwo"], "answers": ["Xanswerone", "Xanswertwo"], "tool definitions": ["Dtoolone", "Dtooltwo"]}


def thinking(talk: list[dict], field: str) -> list[dict]:
    """The conversation with a thought in each assistant message: in a field, or as <think> in the text."""
    turns, numbers = copy.deepcopy(talk), itertools.count(1)
    for message in turns:
        if message["role"] == "assistant":
            thought = f"Xthought{next(numbers)}x"
            if field == "content":
                message["content"] = f"<think>\n{thought}\n</think>\n\n{message['content']}"
            else:
                message[field] = thought
    return turns


def thoughts_in(text: str, turns: list[dict]) -> list[int]:
    count = sum(message["role"] == "assistant" for message in turns)
    return [number for number in range(1, count + 1) if f"Xthought{number}x" in text]


def kept_thoughts(render: Renderer, field: str) -> str:
    try:
        kept = thoughts_in(render(thinking(TALK, field), TOOLS), TALK)
        if kept or field == "content":
            return {(): "none", (4,): "last turn only", (1, 2, 3, 4): "all"}.get(tuple(kept), f"turns {', '.join(map(str, kept))} of 4")
        other = next((key for key in ("thinking", "reasoning") if thoughts_in(render(thinking(TALK, key), TOOLS), TALK)), None)
        alone = thoughts_in(render([ASKED, thinking([said("Xa")], field)[0]]), TALK)
    except Refused as reason:
        return f"raises: {reason}"
    return "cut" if alone else f"unread (reads {other})" if other else "unread"


def growth(render: Renderer, talk: list[dict], tools: list[dict] | None = TOOLS) -> str:
    """Whether a longer conversation only adds text at the end: every prompt and every finished turn begins the finished conversation."""
    whole, found = render(talk, tools), dict[str, int]()
    turns = [number for number, message in enumerate(talk) if message["role"] == "assistant"]
    for number in turns:
        prompt, turn = render(talk[:number], tools, prompt=True), render(talk[: number + 1], tools)
        lost = [n for n in thoughts_in(turn, talk) if n not in thoughts_in(whole, talk)]
        first = next((place for place, (one, other) in enumerate(zip(turn, whole)) if one != other), min(len(turn), len(whole)))
        moved = "Dtoolone" in turn and turn.find("Dtoolone") != whole.find("Dtoolone")
        what = None
        if not whole.startswith(turn):
            ends = whole.startswith(turn.rstrip()) or len(turn) - first < 40 and "X" not in turn[first:]
            what = "thoughts cut" if lost else "tools moved" if moved else "end differs" if ends else "thoughts cut" if "think" in turn[max(0, first - 20):][:60] else "history rewritten"
        elif not whole.startswith(prompt):
            what = "tools moved" if moved else "prompt differs"
        if what:
            found[what] = found.get(what, 0) + 1
    return ", ".join(f"{what} in {count} of {len(turns)} turns" for what, count in found.items()) or "yes"


# ---------------------------------------------------------------------------------------------------------------------
# One check for each thing that a template may do to a row


def tried(function: Callable[[], str]) -> str:
    try:
        return function()
    except Refused as reason:
        return f"raises: {reason}"


def vanished(text: str) -> list[str]:
    lost = []
    for what, words in PARTS.items():
        if gone := [word for word in words if word not in text]:
            lost.append(what if len(gone) == len(words) else f"{len(gone)} of {len(words)} {what}")
    return lost


def with_calls(change: Callable[[dict], None]) -> list[dict]:
    talk = copy.deepcopy(TALK[:4] + [said("Xanswerone")])
    change(talk[2])
    return talk


def arguments_as_text(render: Renderer) -> str:
    def change(message: dict) -> None:
        message["tool_calls"][0]["function"]["arguments"] = '{"city": "Xcityone"}'

    objects = tried(lambda: render(with_calls(lambda message: None), TOOLS))
    text = render(with_calls(change), TOOLS)
    if "Xcityone" not in text:
        return "no calls"
    if objects.startswith("raises"):
        return "wants text: an object raises"
    return "as objects" if text == objects else "encoded twice" if '\\"city\\"' in text else "written in another form"


def null_content(render: Renderer) -> str:
    null, empty = (render(with_calls(lambda message: message.update(content=content)), TOOLS) for content in (None, ""))
    if null == empty:
        return "as empty"
    return next((f"written as {word}" for word in ("None", "null") if word in null and null.count(word) > empty.count(word)), "written in another form")


def parallel_calls(render: Renderer) -> str:
    two = [SYSTEM, ASKED, said("", call(1, "toolone", "Xcityone"), call(2, "tooltwo", "Xcitytwo")), result(1, "Xresultone"), result(2, "Xresulttwo"), said("Xanswerone")]
    text = render(two, TOOLS)
    if "Xcityone" not in text:
        return "no calls"
    lost = [word for word in ("Xcitytwo", "Xresultone", "Xresulttwo") if word not in text]
    return "second call lost" if "Xcitytwo" in lost else "a result lost" if lost else "kept"


def text_beside_call(render: Renderer) -> str:
    text = render(with_calls(lambda message: message.update(content="Xbeside")), TOOLS)
    return "kept" if "Xbeside" in text and "Xcityone" in text else "text lost" if "Xbeside" not in text else "call lost"


def developer(render: Renderer) -> str:
    given = [{"role": "developer", "content": "Xsystem"}, *TALK[1:]]
    text = render(given, TOOLS)
    return "lost" if "Xsystem" not in text else "as system" if text == render(TALK, TOOLS) else "as a role of its own"


def list_content(render: Renderer) -> str:
    parts = [message | {"content": [{"type": "text", "text": message["content"]}]} for message in (ASKED, said("Xanswerone"))]
    text, plain = render(parts), render([ASKED, said("Xanswerone")])
    return "as text" if text == plain else "prints the list" if "'text'" in text or '"text"' in text else "written in another form"


def white_space(render: Renderer) -> str:
    return "kept" if "  Xanswerone  \n" in render([ASKED, said("  Xanswerone  \n")]) else "stripped at the ends"


def date_in_prompt(render: Renderer) -> str:
    class Another(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(1999, 4, 5)

    today, kept = tried(lambda: render(TALK[:2], TOOLS)), render.utils.datetime
    render.utils.datetime = Another
    try:
        return "no" if tried(lambda: render(TALK[:2], TOOLS)) == today else "yes: the same row gives other tokens on another day"
    finally:
        render.utils.datetime = kept


def generation_marks(render: Renderer) -> str:
    if not render.marked:
        return "none: assistant_only_loss needs them"
    loss = render.loss(TALK, TOOLS)
    foreign = [what for what in ("system text", "user text", "results", "tool definitions") if any(word in loss for word in PARTS[what])]
    missing = [what for what in ("calls", "answers") if any(word not in loss for word in PARTS[what])]
    if not missing and not loss.partition("Xanswertwo")[2].strip():
        missing = ["the end of the last turn"]
    bad = ([f"{', '.join(foreign)} in the loss"] if foreign else []) + ([f"{', '.join(missing)} outside of the loss"] if missing else [])
    return "; ".join(bad) or "around every word of the assistant"


def empty_turns(render: Renderer) -> str:
    text = render(TALK, TOOLS)
    if all(word not in text for word in PARTS["calls"]):
        return "a turn that is a call becomes empty, and its end is trained"
    thoughts = render(thinking(TALK, "reasoning_content"), TOOLS)
    empty = len(re.findall(r"<think>\s*</think>", thoughts))
    kept = len(thoughts_in(thoughts, TALK))
    return f"an empty think block replaces {min(empty, 4 - kept)} of 4 thoughts" if empty and 0 < kept < 4 else "no"


USES = {"sft": "SFT", "rl": "multi-turn RL", "dpo": "DPO"}
CHECKS: dict[str, Callable[[Renderer], str]] = {
    "reasoning_content": lambda render: kept_thoughts(render, "reasoning_content"),
    "<think> in the text": lambda render: kept_thoughts(render, "content"),
    "append-only": lambda render: growth(render, TALK),
    "append-only with thoughts": lambda render: growth(render, thinking(TALK, form_of_thoughts(render)[0])),
    "empty turns in the loss": empty_turns,
    "parallel calls": parallel_calls,
    "text beside a call": text_beside_call,
    "generation marks": generation_marks,
    "arguments as JSON text": arguments_as_text,
    "content null": null_content,
    "developer role": developer,
    "content as a list": list_content,
    "ends of an answer": white_space,
    "date in the prompt": date_in_prompt,
}
# Forms that rows need not have: convert_for_trainers.py writes none of them.
AVOID = {"arguments as JSON text": ("encoded twice", "written in another form", "raises"), "content null": ("written", "raises"),
         "developer role": ("lost", "raises"), "content as a list": ("prints", "written", "raises")}


def form_of_thoughts(render: Renderer) -> tuple[str, str]:
    """The field in which the template keeps most thoughts, and what it keeps."""
    rank = {"all": 0, "last turn only": 2, "none": 3}
    forms = {field: kept_thoughts(render, field) for field in ("reasoning_content", "content")}
    field = min(forms, key=lambda name: rank.get(forms[name], 1 if forms[name].startswith("turns") else 4))
    return field, forms[field]


def examine(render: Renderer, thoughts: str = "both") -> dict:
    """Every check, and for SFT, multi-turn RL and DPO whether rows as convert_for_trainers.py writes them are safe, and why not.

    thoughts: whether the assistant's messages have them always, never, or both.
    """
    whole = tried(lambda: render(TALK, TOOLS))
    if whole.startswith("raises: "):
        return {"checks": {"conversation with tools": whole}, "safe": dict.fromkeys(USES, False), "avoid": [],
                "why": dict.fromkeys(USES, [f"a conversation with tools {whole}"])}
    lost = vanished(whole)
    checks = {"conversation with tools": f"drops {', '.join(lost)}" if lost else "kept"}
    checks |= {what: tried(lambda: check(render)) for what, check in CHECKS.items()}
    field, kept = form_of_thoughts(render)
    shared = [f"drops {', '.join(lost)}"] if lost else []
    for what in ("parallel calls", "text beside a call"):
        if "lost" in checks[what] or checks[what].startswith("raises"):
            shared.append(f"{what}: {checks[what]}")
    modes = {"never": (TALK, "append-only", "without a thought"), "always": (thinking(TALK, field), "append-only with thoughts", "after a thought")}
    why = {use: list(shared) for use in USES}
    for mode, (talk, grows, when) in modes.items():
        if thoughts in (mode, "both"):
            why["rl"] += [f"{grows}: {checks[grows]}"] if checks[grows] != "yes" else []
            if not tried(lambda: render(talk, TOOLS)).startswith(tried(lambda: render(talk[:-1], TOOLS, prompt=True))):
                why["sft"].append(f"an answer {when} does not begin with its prompt")
                why["dpo"].append(f"an answer {when} does not begin with its prompt")
    if thoughts != "never" and kept != "all":
        why["sft"].append(f"thoughts kept: {kept}" + (f", {checks['empty turns in the loss']}" if "replace" in checks["empty turns in the loss"] else ""))
    if render.marked and not checks["generation marks"].startswith("around"):
        why["sft"].append(f"generation marks: {checks['generation marks']}")
    if checks["date in the prompt"] != "no":
        why["rl"].append("the prompt holds the date")
    one, other = (tried(lambda: render([*TALK[:2], said("", call(1, "toolone", city))], TOOLS)) for city in ("Xcityone", "Xcitytwo"))
    if one == other:
        why["dpo"].append("two answers that are different calls become the same")
    avoid = [f"{what} ({checks[what]})" for what, bad in AVOID.items() if checks[what].startswith(bad)]
    return {"checks": checks, "safe": {use: not reasons for use, reasons in why.items()}, "why": why, "avoid": avoid}


def switches_that_mend(render: Renderer, before: dict, thoughts: str = "both") -> dict[str, list[str]]:
    """Switches that the template reads and that make it safe for a use it is not safe for, by trying each as true and as false."""
    known = {"messages", "tools", "add_generation_prompt", "documents", "raise_exception", "strftime_now", "namespace", "range", "dict", *render.given}
    mends = {}
    for name, value in itertools.product(sorted(render.variables - known), (True, False)):
        after = examine(render.with_(**{name: value}), thoughts)["safe"]
        if better := [use for use, safe in after.items() if safe and not before["safe"][use]]:
            mends[f"{name}={json.dumps(value)}"] = better
    return mends
