"""Runs schemathesis over everything `docent serve` has: docs/conformance.md tells what it found.

    python -m venv fuzz && fuzz/bin/pip install schemathesis==4.32.5 jsonschema pyyaml
    cargo build && fuzz/bin/python tests/sdk/fuzz.py target/debug/docent --max-examples 60

Requests are made from the OpenAPI document: what it allows, what it does not, and requests that
follow from one another's answers. One of each object is there from the beginning, and half of the
ids in requests name it, so that not all are answered 404. Arguments after the program are schemathesis's own.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

from document import close, load
from serving import begin, remote
from upstream import Turn, Upstream

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,"
CHECKS += "response_schema_conformance,ignored_auth,use_after_free"
EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
SEED = 20261122
KEY = "sk-fuzz"


def send(request):
    request.add_header("authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def post(url, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(urllib.request.Request(url, data, {"content-type": kind}))["id"]


def upload(url):
    boundary = uuid.uuid4().hex
    part = f'--{boundary}\r\ncontent-disposition: form-data; name="'
    form = f'{part}purpose"\r\n\r\nassistants\r\n{part}file"; filename="may.txt"\r\n\r\n'
    form += f"The boiler was serviced in May.\r\n--{boundary}--\r\n"
    return post(f"{url}/files", form.encode(), f"multipart/form-data; boundary={boundary}")


def furnish(url):
    """Makes one of each object; gives the ids by the names that paths and bodies have for them."""
    function = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    ids = {"file_id": upload(url)}
    ids["assistant_id"] = post(f"{url}/assistants", {"model": "gpt-4o", "tools": tools})
    ids["vector_store_id"] = post(f"{url}/vector_stores", {"file_ids": [ids["file_id"]]})
    batch = {"file_ids": [ids["file_id"]]}
    batches = f"{url}/vector_stores/{ids['vector_store_id']}/file_batches"
    ids["batch_id"] = post(batches, batch)
    ids["thread_id"] = post(f"{url}/threads", {})
    thread = f"{url}/threads/{ids['thread_id']}"
    ids["message_id"] = post(f"{thread}/messages", {"role": "user", "content": "Hello"})
    ids["run_id"] = post(f"{thread}/runs", {"assistant_id": ids["assistant_id"]})
    steps = f"{thread}/runs/{ids['run_id']}/steps"
    while not (made := send(urllib.request.Request(steps))["data"]):
        time.sleep(0.05)
    ids["step_id"] = made[0]["id"]
    return ids


def prepared(ids):
    """The document as requests are made from it: some name objects that are there."""
    # Closed, so that a field too many is a request of the kind that must be refused.
    document = close(load())
    # What is not below /v1 takes nothing that could be wrong.
    paths = {path: item for path, item in document["paths"].items() if "servers" not in item}
    document["paths"] = paths
    for item in paths.values():
        for method, operation in item.items():
            content = operation["responses"]["200"].get("content", {})
            if "text/event-stream" in content:
                # Here schemathesis wants what an event is, not what it carries; proxy.py sees that.
                content["text/event-stream"]["schema"] = EVENT
            for parameter in operation.get("parameters", []):
                # What is there stays there for the requests that come.
                if method != "delete":
                    name_some(parameter, "schema", ids.get(parameter["name"]))
    for schema in document["components"]["schemas"].values():
        fields = schema.get("properties", {})
        for name, id in ids.items():
            name_some(fields, name, id)
            name_some(fields.get(f"{name}s"), "items", id)
    return document


def name_some(holder, key, id):
    """Lets the text that `holder` describes at `key` be this id, or another of its kind."""
    schema = holder.get(key) if holder else None
    if id and schema and schema.get("type") == "string":
        other = {"type": "string", "pattern": f"^{id[:-24]}[A-Za-z0-9]{{24}}$"}
        holder[key] = {"anyOf": [{"enum": [id]}, other]}


def main(program, *more):
    upstream = Upstream(lambda body: Turn("Hello."))
    with tempfile.TemporaryDirectory() as folder:
        server, (host, port) = begin(program, Path(folder), remote(upstream), KEY)
        try:
            url = f"http://{host}:{port}/v1"
            document = Path(folder) / "openapi.json"
            document.write_text(json.dumps(prepared(furnish(url))), encoding="utf-8")
            # Not a header of every request: some are sent without a key, and must be refused.
            auth = f'[auth.openapi.ApiKeyAuth]\nbearer = "{KEY}"\n'
            (Path(folder) / "schemathesis.toml").write_text(auth, encoding="utf-8")
            command = [sys.executable, "-m", "schemathesis.cli", "run", document]
            command += ["--url", url, "--checks", CHECKS, "--seed", str(SEED)]
            command += ["--continue-on-failure", *more]
            code = subprocess.run(command, cwd=folder).returncode
        finally:
            server.terminate()
            ended = server.wait(timeout=30)
    assert ended == 0, f"the server ended with {ended}"
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
