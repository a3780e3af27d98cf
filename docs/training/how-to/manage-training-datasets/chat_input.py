"""Chat Completions rows as NeMo Gym task rows: each is converted, or refused with its reason.

Used by ``dataset_tool.py from-chat``. Standard library only.
"""

from __future__ import annotations

import json

from rollouts import Unclear, call_in_text, names_of, split_thoughts

ROLES = ("system", "developer", "user", "assistant", "tool")
READ = {"role", "content", "tool_calls", "tool_call_id", "weight"}
TEXT = ("text", "input_text", "output_text")


class Refused(Exception):
    """Why a row has no faithful form as a task row."""


def parts(content: object, role: str) -> str | list[dict]:
    """A message's content as Gym reads it: a string, or parts where it holds pictures or several texts."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Refused("the content of a message is neither text nor a list of parts")
    converted = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in TEXT and isinstance(part.get("text"), str):
            converted.append({"type": "input_text", "text": part["text"]})
        elif kind in ("image_url", "input_image"):
            image = part.get("image_url")
            image = image if isinstance(image, dict) else {"url": image, "detail": part.get("detail")}
            if not isinstance(image.get("url"), str) or not image["url"]:
                raise Refused("a picture without its address")
            converted.append({"type": "input_image", "image_url": image["url"], "detail": image.get("detail") or "auto"})
        else:
            raise Refused("a content part that is neither text nor image_url")
    pictures = any(part["type"] == "input_image" for part in converted)
    if pictures and role in ("assistant", "tool"):
        raise Refused(f"a picture in {'an' if role == 'assistant' else 'a'} {role} message")
    if pictures or (role not in ("assistant", "tool") and len(converted) > 1):
        return converted
    return "".join(part["text"] for part in converted)


def calls_of(message: dict) -> list[tuple[str | None, str, str]]:
    """The tool calls of a message as (id, name, arguments)."""
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or (calls and message["role"] != "assistant"):
        raise Refused("tool_calls is not a list in an assistant message")
    found = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Refused("a tool call without a function and its name")
        arguments = function.get("arguments")
        arguments = "{}" if arguments in (None, "") else arguments
        given = call.get("id")
        found.append((
            given if isinstance(given, str) and given else None,
            function["name"], arguments if isinstance(arguments, str) else json.dumps(arguments),
        ))
    return found


def check_message(message: object) -> None:
    if not isinstance(message, dict):
        raise Refused("a message is not a JSON object")
    if message.get("function_call") or message.get("role") == "function":
        raise Refused("legacy function_call: rewrite it as tool_calls and role tool")
    for field in ("audio", "refusal"):
        if message.get(field):
            raise Refused(f"a message with {field}")
    if message.get("role") not in ROLES:
        raise Refused(f"a message whose role is none of {', '.join(ROLES)}")


def input_items(chat: list[dict]) -> list[dict]:
    """Checked messages as Responses API input items. Calls without ids get them in order, and so do their results."""
    items: list[dict] = []
    waiting: list[str] = []
    for number, message in enumerate(chat):
        role, content = message["role"], parts(message.get("content"), message["role"])
        if role == "tool":
            call_id = message.get("tool_call_id") or (waiting[0] if waiting else None)
            if call_id not in waiting:
                raise Refused("a tool message that answers no call")
            waiting.remove(call_id)
            items.append({"type": "function_call_output", "call_id": call_id, "output": content})
            continue
        calls = calls_of(message)
        if role == "user" and not (content.strip() if isinstance(content, str) else content):
            raise Refused("an empty user message")
        if content:
            items.append({"role": role, "content": content})
        for index, (call_id, name, arguments) in enumerate(calls):
            call_id = call_id or f"call_{number}_{index}"
            waiting.append(call_id)
            items.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
    return items


def flat_tools(given: object) -> list[dict]:
    """Tools in the Responses API's flat form, from the nested or the flat one, from a list or its JSON text."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise Refused("tools is a string that is not JSON") from None
    if not isinstance(given, list):
        raise Refused("tools is not a list")
    tools = []
    for tool in given:
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Refused("a tool without a name")
        if tool.get("type", "function") != "function":
            raise Refused("a tool that is not a function")
        tools.append({
            "type": "function", "name": function["name"], "description": function.get("description"),
            "parameters": function.get("parameters"), "strict": bool(function.get("strict")),
        })
    return tools


def closing_calls(message: dict) -> list[dict]:
    """A closing turn's calls as ``[{"name": ..., "arguments": {...}}]``, which is how ``xlam_fc`` reads expected ones."""
    calls = []
    for _, name, arguments in calls_of(message):
        try:
            calls.append({"name": name, "arguments": json.loads(arguments)})
        except (ValueError, RecursionError):
            raise Refused("a closing tool call whose arguments are not JSON") from None
    return calls


def task_row(row: dict, answer_field: str, calls_field: str | None = None) -> tuple[dict, list[str]]:
    """A chat row as a task row, and the names of what a task row has no place for.

    The closing assistant message becomes ``answer_field``, its tool calls ``calls_field``; other fields are kept.
    """
    if "response" in row:
        raise Refused("a rollout, not a chat row")
    if "messages" not in row:
        has = "a task row already" if "responses_create_params" in row else f"its fields are {', '.join(row)}"
        raise Refused(f"no messages, {has}. Rows with a question go through gym dataset render")
    if "responses_create_params" in row:
        raise Refused("messages and responses_create_params, of which one is the prompt: drop the other")
    if row.get("functions"):
        raise Refused("legacy functions: rewrite them as tools")
    if beside := [name for name in ("images", "videos", "audios") if row.get(name)]:
        raise Refused(f"{beside[0]} beside the messages: write them into the content")
    chat = row["messages"]
    if not isinstance(chat, list) or not chat:
        raise Refused("messages is not a list with messages in it")
    for message in chat:
        check_message(message)
    task = {name: value for name, value in row.items() if name not in ("messages", "tools", "functions")}
    lost = {name for message in chat for name, value in message.items()
            if value and name not in READ and (name, message["role"]) != ("name", "tool")}
    last = chat[-1]
    if last["role"] == "assistant":
        chat = chat[:-1]
        if last.get("weight") == 0 or row.get("label") is False:
            raise Refused(f"the closing answer has {'weight 0' if last.get('weight') == 0 else 'label false'}: it is not one to learn")
        answer = parts(last.get("content"), "assistant")
        try:
            thoughts, rest = split_thoughts(answer)
        except Unclear:
            raise Refused("the closing answer holds marks of reasoning that cannot be told from it") from None
        if thoughts:
            answer = rest.strip()
            lost.add("<think> of the answer")
        if None in thoughts or call_in_text(answer, names_of(row.get("tools"))):
            raise Refused("the closing answer holds reasoning without an end, or a tool call as text")
        if last.get("tool_calls"):
            if not calls_field:
                raise Refused("ends with a tool call, which is the answer: name a field for it with --calls-field")
            field, value = calls_field, closing_calls(last)
            if answer.strip():
                lost.add("text beside the closing call")
        else:
            field, value = answer_field, answer
            if not answer.strip():
                raise Refused("the closing answer is empty")
        if task.setdefault(field, value) != value:
            lost.add(f"closing answer, since the row has {field}")
        if chat and chat[-1]["role"] == "assistant":
            raise Refused("two assistant messages at the end")
    params = {"input": input_items(chat)}
    if not params["input"]:
        raise Refused("no prompt before the answer")
    if row.get("tools"):
        params["tools"] = flat_tools(row["tools"])
    return {"responses_create_params": params, **task}, sorted(lost)
