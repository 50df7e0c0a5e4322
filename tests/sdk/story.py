"""The official SDK against a real `docent serve`: the story of one assistant.

    pip install openai==3.54.0
    cargo build && python tests/sdk/story.py target/debug/docent

A scripted upstream model plays the model's part over HTTP, so nothing else is needed. Every check
is an assertion; the last line says that all of them held.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from openai import AssistantEventHandler, OpenAI

ANSWER = ["The ", "train ", "leaves ", "at 10:40."]


class Upstream(BaseHTTPRequestHandler):
    """Asks for both functions it is offered, then answers; without functions it answers at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answered = any(message["role"] == "tool" for message in body["messages"])
        calls = body.get("tools") and not answered
        deltas = self.calls() if calls else [{"content": piece} for piece in ANSWER]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        reason = "tool_calls" if calls else "stop"
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        chunks.append({"choices": [], "usage": usage})
        text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    @staticmethod
    def calls():
        for index, name in enumerate(["timetable", "weather"]):
            function = {"name": name, "arguments": '{"to": "Oslo"}'}
            call = {"index": index, "id": f"up_{index}", "type": "function", "function": function}
            yield {"tool_calls": [call]}

    def log_message(self, *_):
        pass


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
    assert said(client, thread) == "".join(ANSWER)
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert steps.data[0].step_details.type == "message_creation"


def streamed(client, assistant):
    thread, handler = ask(client), Handler(client)
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.text == "".join(ANSWER), handler.text
    assert stream.get_final_messages()[0].content[0].text.value == handler.text


def called(client, assistant):
    thread = ask(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "requires_action", run.status
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs(run)
    )
    assert run.status == "completed" and said(client, thread) == "".join(ANSWER)

    thread, handler = ask(client), Handler(client)
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.called == ["timetable", "weather"], handler.called
    assert handler.text == "".join(ANSWER), handler.text


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
    store = client.vector_stores.create(name="boilers")
    sources = [("may.txt", b"The boiler was serviced in May."), ("red.txt", b"The pump is red.")]
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=sources)
    assert batch.status == "completed" and batch.file_counts.completed == 2, batch
    assert client.vector_stores.retrieve(store.id).file_counts.total == 2
    found = client.vector_stores.search(store.id, query="When was the boiler serviced?")
    assert found.data[0].filename == "may.txt", found
    file = found.data[0].file_id
    client.vector_stores.files.update(file, vector_store_id=store.id, attributes={"month": 5})
    late = {"type": "gt", "key": "month", "value": 4}
    found = client.vector_stores.search(store.id, query="boiler", filters=late)
    assert [hit.file_id for hit in found.data] == [file], found
    assert client.vector_stores.delete(store.id).deleted


def serve(program, folder, upstream):
    config = os.path.join(folder, "docent.toml")
    with open(config, "w") as file:
        file.write('[models."*"]\nbackend = "remote"\n')
        file.write(f'base_url = "http://127.0.0.1:{upstream}/v1"\nprofile = "tools"\n')
    command = [program, "--no-embedder", "--library", os.path.join(folder, "library")]
    command += ["--config", config, "serve", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if found := re.search(r"http://\S+/v1", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return server, found[0]
    raise SystemExit("docent serve did not begin")


def main(program):
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        server, url = serve(program, folder, upstream.server_port)
        try:
            story(OpenAI(base_url=url, api_key="local"))
        finally:
            server.terminate()
            code = server.wait(timeout=20)
    assert code == 0, f"the server ended with {code}"
    print(f"openai {openai.__version__}: the whole story holds")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "target/debug/docent")
