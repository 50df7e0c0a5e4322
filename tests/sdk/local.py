"""The official SDK against `docent serve` with weights on this machine: nothing is scripted.

    docent models pull SmolLM2-135M-Instruct multilingual-e5-small-q4
    pip install openai jsonschema pyyaml
    cargo build && python tests/sdk/local.py target/debug/docent PATH_OF_THE_GGUF

What so small a model says is not checked, only that it says something, piece by piece, that it is
kept, and that every answer and event is as documented. What the embedder says is: texts that mean
the same are near to each other.
"""

import sys

import openai
from openai import AssistantEventHandler, OpenAI

from serving import served

EMBEDDER = "multilingual-e5-small-q4"

LOCAL = """[models."*"]
backend = "local"
path = '{weights}'
max_output_tokens = 24
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
        embedded(client)
    print(f"openai {openai.__version__}: a model on this machine answers")


if __name__ == "__main__":
    main(*sys.argv[1:3])
