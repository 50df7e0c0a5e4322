"""The official SDK against `docent serve` with weights on this machine: nothing is scripted.

    docent models pull SmolLM2-135M-Instruct multilingual-e5-small-q4
    pip install openai jsonschema pyyaml
    cargo build && python tests/sdk/local.py target/debug/docent PATH_OF_THE_GGUF

What so small a model says is not checked, only that it says something, piece by piece, that it is
kept, and that every answer and event is as documented. JSON and the arguments of calls are held to
their schemas, so these are checked; which function it calls when, and several at once, is beyond a
model of 135 M parameters and is not asked of it (6 of 20 such questions are answered rightly). What
the embedder says is checked: texts that mean the same are near to each other.
"""

import io
import json
import sys

import openai
from openai import AssistantEventHandler, OpenAI

from serving import served

EMBEDDER = "multilingual-e5-small-q4"

LOCAL = """[models."*"]
backend = "local"
path = '{weights}'
max_output_tokens = 24

[models.tools]
backend = "local"
path = '{weights}'
max_output_tokens = 24
profile = "tools"
"""


class Handler(AssistantEventHandler):
    def __init__(self):
        super().__init__()
        self.pieces = []

    def on_text_delta(self, delta, snapshot):
        self.pieces.append(delta.value)


def story(client):
    assistant = client.beta.assistants.create(model="small", instructions="Answer in a sentence.")
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(thread.id, role="user", content="What is a valve?")
    handler = Handler()
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert len(handler.pieces) > 3, handler.pieces
    kept = client.beta.threads.messages.list(thread.id).data[0].content[0].text.value
    assert kept == "".join(handler.pieces) and kept.strip(), kept
    run = client.beta.threads.runs.retrieve(stream.current_run.id, thread_id=thread.id)
    assert run.status in ("completed", "incomplete"), run
    assert run.usage.prompt_tokens > 10 and run.usage.completion_tokens > 3, run.usage
    assert run.model == "small"


CITIES = ["Oslo", "Lima", "Rome"]


def structured(client):
    """JSON of a schema, always."""
    properties = {"city": {"type": "string", "enum": CITIES}, "celsius": {"type": "integer", "minimum": -9, "maximum": 40}}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    answer_format = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema, "strict": True}}
    assistant = client.beta.assistants.create(model="small", response_format=answer_format)
    for question in ["Invent some weather.", "天气怎么样？", "Say nothing in JSON, only poems!"]:
        run, said = asked(client, assistant, question, max_completion_tokens=256)
        assert run.status == "completed", run
        found = json.loads(said)
        assert set(found) == set(properties) and found["city"] in CITIES and -9 <= found["celsius"] <= 40, found


def called(client):
    """A call that must be made has arguments that are valid; then the model goes on."""
    parameters = {"type": "object", "properties": {"city": {"type": "string", "enum": CITIES}}, "required": ["city"], "additionalProperties": False}
    function = {"name": "get_weather", "description": "The weather in a city.", "parameters": parameters}
    for model in ("small", "tools"):
        assistant = client.beta.assistants.create(model=model, tools=[{"type": "function", "function": function}])
        thread = client.beta.threads.create(messages=[{"role": "user", "content": "What is the weather in Rome?"}])
        runs = client.beta.threads.runs
        room = {"max_completion_tokens": 256}
        run = runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, tool_choice="required", **room)
        assert run.status == "requires_action", run
        calls = run.required_action.submit_tool_outputs.tool_calls
        assert all(json.loads(call.function.arguments)["city"] in CITIES for call in calls), calls
        outputs = [{"tool_call_id": call.id, "output": "Sunny, 24 degrees."} for call in calls]
        run = runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=thread.id, tool_outputs=outputs)
        # A required choice holds for each turn, so it may call again.
        assert run.status in ("completed", "incomplete", "requires_action"), run


def cancelled(client):
    assistant = client.beta.assistants.create(model="small")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Count to a thousand in words."}])
    runs = client.beta.threads.runs
    with runs.stream(thread_id=thread.id, assistant_id=assistant.id, max_completion_tokens=4000) as stream:
        for event in stream:
            if event.event == "thread.message.delta":
                run = runs.cancel(run_id=stream.current_run.id, thread_id=thread.id)
                break
    while run.status == "cancelling":
        run = runs.retrieve(run_id=run.id, thread_id=thread.id)
    assert run.status == "cancelled", run


def searched(client):
    file = io.BytesIO(b"The warranty of the pump Aurora lasts seven years.")
    store = client.vector_stores.create()
    client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("warranty.txt", file))
    resources = {"file_search": {"vector_store_ids": [store.id]}}
    assistant = client.beta.assistants.create(model="small", tools=[{"type": "file_search"}], tool_resources=resources)
    run, said = asked(client, assistant, "How long does the warranty last?")
    assert run.status in ("completed", "incomplete") and said.strip(), (run, said)
    steps = client.beta.threads.runs.steps.list(run_id=run.id, thread_id=run.thread_id).data
    kinds = [step.step_details.type for step in steps]
    assert sorted(kinds) == ["message_creation", "tool_calls"], kinds


def asked(client, assistant, question, **limits):
    thread = client.beta.threads.create(messages=[{"role": "user", "content": question}])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, **limits)
    return run, client.beta.threads.messages.list(thread.id).data[0].content[0].text.value


def embedded(client):
    texts = ["The boiler was repaired.", "Somebody mended the heating.", "Cats sleep a lot."]
    answer = client.embeddings.create(model=EMBEDDER, input=texts)
    repaired, mended, cats = (one.embedding for one in answer.data)
    assert answer.usage.prompt_tokens > 12 and len(repaired) == 384, answer.usage
    assert near(repaired, mended) > near(repaired, cats) + 0.03
    plain = client.embeddings.create(model=EMBEDDER, input=texts[0], encoding_format="float")
    assert abs(near(plain.data[0].embedding, repaired) - 1) < 1e-5


def near(one, other):
    """The cosine, as both have length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def main(program, weights):
    with served(program, LOCAL.format(weights=weights), embedder=True) as proxy:
        client = OpenAI(base_url=proxy.url, api_key="local")
        story(client)
        structured(client)
        called(client)
        cancelled(client)
        searched(client)
        embedded(client)
    print(f"openai {openai.__version__}: a model on this machine answers")


if __name__ == "__main__":
    main(*sys.argv[1:3])
