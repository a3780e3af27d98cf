"""The scripts of `filter-and-curate-data`: what they keep, what they make, and what they say to bad input."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "filter-and-curate-data"

spec = importlib.util.spec_from_file_location("rollout_to_chat", FOLDER / "rollout_to_chat.py")
chat = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chat)


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FOLDER / script, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open()]


def said(text: str | None) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def called(call_id: str, name: str = "get_time", arguments: str = '{"city": "Oslo"}') -> dict:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result(call_id: str, output: object = "noon") -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def thought(text: str) -> dict:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}], "content": None}


def rollout(*output: object, task: int = 0, repeat: int = 0, reward: float = 1.0, given: object = "Question?", **fields: object) -> dict:
    items = [said(item) if isinstance(item, str) else item for item in output]
    params = {"input": given, **fields.pop("params", {})}
    return {"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": reward, "responses_create_params": params,
            "response": {"output": items, **fields.pop("response", {})}, **fields}


# ---------------------------------------------------------------------------------------------------------------------
# rollout_to_chat.py


def shape(messages: list[dict]) -> list[str]:
    return [m["role"] + "+call" * len(m.get("tool_calls", ())) for m in messages]


def test_parallel_calls_and_reasoning_become_one_turn_in_order() -> None:
    tools = [{"type": "function", "name": "get_time", "description": None, "parameters": {"type": "object"}, "strict": True}]
    row = rollout(
        thought("Two cities."), said("I look."), called("a"), called("b", arguments='{"city": "Lima"}'),
        result("a", "noon"), result("b", [{"type": "input_text", "text": "6 am"}]), thought("Done."), "Noon and six.",
        given=[{"role": "developer", "content": [{"type": "input_text", "text": "Be short."}]}, {"role": "user", "content": "Times?"}],
        params={"tools": tools, "instructions": "Use tools."},
    )
    converted = chat.sft_row(row)
    messages = converted["messages"]
    assert shape(messages) == ["system", "user", "assistant+call+call", "tool", "tool", "assistant"]
    assert messages[0]["content"] == "Use tools.\n\nBe short."
    assert messages[2]["content"] == "<think>Two cities.</think>I look."
    assert [c["function"]["arguments"] for c in messages[2]["tool_calls"]] == [{"city": "Oslo"}, {"city": "Lima"}]
    assert [(m["tool_call_id"], m["content"]) for m in messages[3:5]] == [("a", "noon"), ("b", "6 am")]
    assert converted["tools"] == [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}, "strict": True}}]
    assert converted["source"] == {"task_index": 0, "rollout_index": 0, "reward": 1.0}
    assert chat.sft_row(row, "field")["messages"][2]["reasoning_content"] == "Two cities."
    assert chat.sft_row(row, "drop")["messages"][5] == {"role": "assistant", "content": "Noon and six."}


def test_several_turns_keep_their_order() -> None:
    row = rollout(called("a"), result("a"), called("b"), result("b"), "Yes.", {"role": "user", "content": "Sure?"}, "I am.")
    prompt, completion, tools = chat.convert(row)
    assert shape(prompt) == ["user"] and tools == []
    assert shape(completion) == ["assistant+call", "tool", "assistant+call", "tool", "assistant", "user", "assistant"]


def test_what_the_prompt_holds_is_no_answer() -> None:
    given = [{"role": "user", "content": "Rome?"}, called("x"), {"role": "user", "content": "Oslo?"}]
    prompt, completion, _ = chat.convert(rollout(called("a"), given=given))
    assert shape(prompt) == ["user", "assistant+call", "user"] and shape(completion) == ["assistant+call"]
    inline = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat_shaped = [{"role": "user", "content": "?"}, {"role": "assistant", "content": None, "tool_calls": [inline]}, {"role": "tool", "tool_call_id": "x", "content": "1"}]
    assert shape(chat.convert(rollout("One.", given=chat_shaped))[0]) == ["user", "assistant+call", "tool"]
    # A harness that writes its own prompt records it at the start of the output.
    assert shape(chat.convert(rollout({"role": "user", "content": "Hi"}, "Hello.", given=[]))[0]) == ["user"]
    # An answer that the prompt began is one message, and the model's.
    begun = [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": "It is "}]
    assert chat.convert(rollout("Oslo.", given=begun))[1] == [{"role": "assistant", "content": "It is Oslo."}]


def test_a_tool_result_that_no_reply_follows_is_cut_off() -> None:
    assert shape(chat.sft_row(rollout(called("a"), result("a")))["messages"]) == ["user", "assistant+call"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (rollout(), "no answer: the output is empty"),
        (rollout(""), "no answer: the last reply is empty"),
        (rollout(said(None)), "no answer: the last reply is empty"),
        (rollout(thought("Hm.")), "no answer: the last reply is empty"),
        (rollout(called("a"), result("a"), " \n"), "no answer: the last reply is empty"),
        (rollout("<think>Hm, I"), "no answer: the last reply ends while thinking"),
        (rollout({"role": "user", "content": "Hi"}), "no answer: the model said nothing"),
        (rollout("Hi", given=[]), "no prompt"),
        (rollout(called("a", arguments='{"city": ')), "tool-call arguments are not a JSON object"),
        (rollout(called("a", arguments="[1]")), "tool-call arguments are not a JSON object"),
        (rollout(result("a"), "Hi"), "a tool result without its call"),
        (rollout("Hi", given=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]), "content of type input_image"),
        (rollout({"type": "web_search_call"}, "Hi"), "item of type web_search_call"),
        (rollout("Hi", params={"tools": [{"type": "web_search"}]}), "tool of type web_search"),
        ({"reward": 1}, "no responses_create_params or no response"),
    ],
)
def test_what_cannot_become_a_conversation_says_why(row: dict, reason: str) -> None:
    with pytest.raises(chat.NoChat, match=f"^{reason}$"):
        chat.sft_row(row)


def test_pairs_share_their_prompt() -> None:
    pair = chat.dpo_row(rollout("Oslo.", repeat=1), rollout("Lima.", repeat=2, reward=0.0))
    assert pair == {
        "prompt": [{"role": "user", "content": "Question?"}],
        "chosen": [{"role": "assistant", "content": "Oslo."}], "rejected": [{"role": "assistant", "content": "Lima."}],
        "source": {"chosen": {"task_index": 0, "rollout_index": 1, "reward": 1.0}, "rejected": {"task_index": 0, "rollout_index": 2, "reward": 0.0}},
    }
    with pytest.raises(chat.NoChat, match="different prompts"):
        chat.dpo_row(rollout("Oslo."), rollout("Lima.", given="Other?"))


@pytest.mark.gym
def test_messages_are_those_of_gyms_own_converter(gym_python: Path) -> None:
    """Over the example rollouts that the package ships, apart from what is mended."""
    checked = subprocess.run([gym_python, "-c", COMPARE, FOLDER], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    same, different = map(int, checked.stdout.split())
    assert same >= 600 and different == 0


COMPARE = '''
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import nemo_gym
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming as Params
from nemo_gym.responses_converter import ResponsesConverter
from rollout_to_chat import NoChat, arguments_of, sft_row, text_of
gym = ResponsesConverter(return_token_id_information=False)
same = different = 0
for path in pathlib.Path(nemo_gym.__file__).parents[1].rglob("example_rollouts.jsonl"):
    for line in path.open():
        try:
            row = json.loads(line)
            ours = sft_row(row)["messages"]
            params = row["responses_create_params"]
            given = params["input"]
            given = [{"role": "user", "content": given}] if isinstance(given, str) else given
            request = Params(**{**params, "input": given + row["response"]["output"]})
            theirs = gym.responses_to_chat_completion_create_params(request).model_dump(exclude_unset=True, mode="json")["messages"]
        except (ValueError, NoChat, NotImplementedError):
            continue
        for message in theirs:
            message["content"] = text_of(message.get("content"))
            message["role"] = "system" if message["role"] == "developer" else message["role"]
            for call in message.get("tool_calls", ()):
                call["function"]["arguments"] = arguments_of(call["function"]["arguments"])
        while len(theirs) > 1 and theirs[0]["role"] == theirs[1]["role"] == "system":
            theirs[:2] = [{"role": "system", "content": theirs[0]["content"] + "\\n\\n" + theirs[1]["content"]}]
        while theirs[-1]["role"] != "assistant":
            theirs.pop()
        same, different = same + (ours == theirs), different + (ours != theirs)
print(same, different)
'''
