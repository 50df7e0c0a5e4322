"""The official SDK against a real `docent serve`: the story of one assistant.

    pip install openai jsonschema pyyaml
    cargo build && python tests/sdk/story.py target/debug/docent

A scripted upstream model plays the model's part over HTTP, and a proxy holds every answer against
the OpenAPI document, so nothing else is needed. Every check is an assertion; the last line says
that all of them held.
"""

import sys

import openai
from openai import AssistantEventHandler, OpenAI

from serving import remote, served
from upstream import Turn, Upstream, last_user

ANSWER = "The train leaves at 10:40."


def play(body):
    """Calls every function it is offered, at once; then, or without functions, it answers."""
    _, after = last_user(body)
    if any(message["role"] == "tool" for message in after):
        return Turn(ANSWER)
    offered = [tool["function"]["name"] for tool in body.get("tools", [])]
    return Turn(calls=[(name, '{"to": "Oslo"}') for name in offered]) if offered else Turn(ANSWER)


class Handler(AssistantEventHandler):
    """Collects text, and submits outputs while the first stream is open."""

    def __init__(self, client):
        super().__init__()
        self.client, self.text, self.called = client, "", []

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value
        assert snapshot.value.endswith(delta.value)

    def on_tool_call_created(self, tool_call):
        self.called.append(tool_call.function.name)

    def on_event(self, event):
        if event.event != "thread.run.requires_action":
            return
        run, inner = event.data, Handler(self.client)
        with self.client.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs(run), event_handler=inner
        ) as stream:
            stream.until_done()
        self.text += inner.text


def outputs(run):
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": "10:40"} for call in calls]


def functions():
    schema = {"type": "object", "properties": {"to": {"type": "string"}}}
    names = ["timetable", "weather"]
    return [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]


def story(client):
    plain = client.beta.assistants.create(model="gpt-4o", name="向导", temperature=0.7)
    assert plain.temperature == 0.7 and plain.tools == []
    caller = client.beta.assistants.create(model="gpt-4o", tools=functions())
    listed = [assistant.id for assistant in client.beta.assistants.list(limit=1)]
    assert listed == [caller.id, plain.id], "the client pages on by itself"
    renamed = client.beta.assistants.update(plain.id, name="guide")
    assert renamed.name == "guide" and renamed.temperature == 0.7

    polled(client, plain)
    streamed(client, plain)
    called(client, caller)
    refused(client, caller)
    files(client)
    vector_stores(client)
    chat(client)
    beside(client)


def ask(client):
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(thread.id, role="user", content="When does it leave?")
    return thread


def said(client, thread):
    newest = client.beta.threads.messages.list(thread.id).data[0]
    return newest.content[0].text.value


def polled(client, assistant):
    thread = ask(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "completed" and run.usage.total_tokens == 18, run
    assert said(client, thread) == ANSWER
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert steps.data[0].step_details.type == "message_creation"


def streamed(client, assistant):
    thread, handler = ask(client), Handler(client)
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.text == ANSWER, handler.text
    assert stream.get_final_messages()[0].content[0].text.value == handler.text


def called(client, assistant):
    thread = ask(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "requires_action", run.status
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs(run)
    )
    assert run.status == "completed" and said(client, thread) == ANSWER

    thread, handler = ask(client), Handler(client)
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.called == ["timetable", "weather"], handler.called
    assert handler.text == ANSWER, handler.text


def refused(client, assistant):
    thread = ask(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    try:
        client.beta.threads.messages.create(thread.id, role="user", content="Hurry")
        raise AssertionError("the thread was not locked")
    except openai.BadRequestError as error:
        wanted = f"Can't add messages to {thread.id} while a run {run.id} is active."
        assert error.body["message"] == wanted, error.body
    client.beta.threads.runs.cancel(run.id, thread_id=thread.id)
    run = client.beta.threads.runs.poll(run.id, thread_id=thread.id)
    assert run.status == "cancelled", run.status
    client.beta.threads.messages.create(thread.id, role="user", content="Open again")
    try:
        client.beta.assistants.retrieve("asst_X")
        raise AssertionError("there is no such assistant")
    except openai.NotFoundError as error:
        assert error.body["message"] == "No assistant found with id 'asst_X'."


def files(client):
    made = client.files.create(file=("六顶帽子.txt", "帽子".encode()), purpose="assistants")
    assert made.filename == "六顶帽子.txt" and made.bytes == 6, made
    assert client.files.content(made.id).read().decode() == "帽子"
    assert client.files.wait_for_processing(made.id).status == "processed"
    assert client.files.delete(made.id).deleted


def vector_stores(client):
    # They moved out of `beta` with 1.66.0, when searching came.
    stores = client.vector_stores if hasattr(client, "vector_stores") else client.beta.vector_stores
    store = stores.create(name="boilers")
    sources = [("may.txt", b"The boiler was serviced in May."), ("red.txt", b"The pump is red.")]
    batch = stores.file_batches.upload_and_poll(store.id, files=sources)
    assert batch.status == "completed" and batch.file_counts.completed == 2, batch
    assert stores.retrieve(store.id).file_counts.total == 2
    listed = [file.id for file in stores.files.list(store.id, limit=1)]
    assert len(listed) == 2, listed
    if hasattr(stores, "search"):
        searched(stores, store)
    assert stores.files.delete(listed[0], vector_store_id=store.id).deleted
    assert stores.delete(store.id).deleted


def searched(stores, store):
    found = stores.search(store.id, query="When was the boiler serviced?")
    assert found.data[0].filename == "may.txt", found
    file = found.data[0].file_id
    assert "serviced" in stores.files.content(file, vector_store_id=store.id).data[0].text
    stores.files.update(file, vector_store_id=store.id, attributes={"month": 5})
    late = {"type": "gt", "key": "month", "value": 4}
    found = stores.search(store.id, query="boiler", filters=late)
    assert [hit.file_id for hit in found.data] == [file], found


def chat(client):
    asked = [{"role": "user", "content": "When does it leave?"}]
    answer = client.chat.completions.create(model="gpt-4o", messages=asked)
    assert answer.choices[0].message.content == ANSWER and answer.usage.total_tokens == 18, answer
    offered = {"model": "gpt-4o", "messages": asked, "tools": functions()}
    calls = client.chat.completions.create(**offered).choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["timetable", "weather"], calls
    pieces = client.chat.completions.create(
        model="gpt-4o", messages=asked, stream=True, stream_options={"include_usage": True}
    )
    pieces = list(pieces)
    text = "".join(choice.delta.content or "" for one in pieces for choice in one.choices)
    assert text == ANSWER and pieces[-1].usage.total_tokens == 18, pieces
    try:
        client.embeddings.create(model="text-embedding-3-small", input="The pump is red.")
        raise AssertionError("there is no embedder")
    except (openai.BadRequestError, openai.NotFoundError):
        pass


def beside(client):
    """What other servers do not have."""
    threads = client.get("/threads?limit=2", cast_to=object)
    assert len(threads["data"]) == 2 and threads["has_more"], threads
    root = str(client.base_url).removesuffix("/v1/")
    assert client.get(f"{root}/health", cast_to=object) == {"status": "ok"}
    assert "docent_" in client.get(f"{root}/metrics", cast_to=str)


def main(program):
    with served(program, remote(Upstream(play))) as proxy:
        story(OpenAI(base_url=proxy.url, api_key="local"))
    print(f"openai {openai.__version__}: the whole story holds")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "target/debug/docent")
