"""The official SDK's chat completions against a real `docent serve`, without threads.

    pip install openai jsonschema pyyaml
    cargo build && python tests/sdk/chat.py target/debug/docent

As in story.py, an upstream plays the model and a proxy judges every answer.
"""

import sys

import openai
from openai import OpenAI

from serving import remote, served
from upstream import Turn, Upstream

ANSWER = "The train leaves at 10:40, 你好."
HELLO = [{"role": "user", "content": "Hello"}]
CITIES = ["Oslo", "Rome"]


def play(body):
    """Calls what it is offered, once for each city; then, or without functions, it answers."""
    offered = body.get("tools", [])
    if not offered or body["messages"][-1]["role"] == "tool":
        return Turn(ANSWER)
    name = offered[0]["function"]["name"]
    return Turn(calls=[(name, f'{{"to": "{city}"}}') for city in CITIES])


def functions():
    schema = {"type": "object", "properties": {"to": {"type": "string"}}}
    return [{"type": "function", "function": {"name": "timetable", "parameters": schema}}]


def answered(client):
    answer = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, temperature=0.2, max_tokens=50, user="anna"
    )
    assert answer.choices[0].message.content == ANSWER and answer.model == "gpt-4o", answer
    assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 18, answer


def streamed(client):
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == ANSWER, texts
    assert chunks[-1].usage.total_tokens == 18 and not chunks[-1].choices


def called(client, upstream):
    messages = [{"role": "user", "content": "When do they leave?"}]
    asked = client.chat.completions.create(
        model="gpt-4o",
        messages=messages,
        tools=functions(),
        # Old clients do not know it.
        extra_body={"reasoning_effort": "low"},
    )
    message = asked.choices[0].message
    assert [call.function.arguments for call in message.tool_calls] == [
        f'{{"to": "{city}"}}' for city in CITIES
    ]
    assert upstream.asked[-1]["reasoning_effort"] == "low"
    # As many programs do: the answer goes back with every field it has, null or not.
    messages.append(message.model_dump())
    for call in message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "10:40"})
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=functions())
    assert answer.choices[0].message.content == ANSWER
    assert upstream.asked[-1]["messages"][-1]["tool_call_id"] == message.tool_calls[1].id


def called_in_chunks(client):
    called, arguments = [], {}
    for chunk in client.chat.completions.create(
        model="gpt-4o", messages=HELLO, tools=functions(), stream=True
    ):
        for call in chunk.choices[0].delta.tool_calls or []:
            called += [call.id] if call.id else []
            arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
    assert len(set(called)) == 2, called
    assert list(arguments.values()) == [f'{{"to": "{city}"}}' for city in CITIES], arguments


def refused(client):
    try:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, n=2)
    except openai.BadRequestError as error:
        assert (error.code, error.param) == ("unsupported_value", "n"), error
    else:
        raise AssertionError("two answers")
    try:
        client.embeddings.create(model="text-embedding-3-small", input="x")
    except openai.BadRequestError as error:
        assert error.code == "model_not_found" and "no embedder" in str(error), error
    else:
        raise AssertionError("there is no embedder")


upstream = Upstream(play)
with served(sys.argv[1], remote(upstream)) as proxy:
    client = OpenAI(base_url=proxy.url, api_key="sk-unused", max_retries=0)
    answered(client)
    streamed(client)
    called(client, upstream)
    called_in_chunks(client)
    refused(client)
print("all of it held")
