"""The OpenAPI document: which operation a request is, and whether an answer fits it."""

import json
import re
from collections import namedtuple
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

HERE = Path(__file__).parent
METHODS = ("get", "post", "delete")

# Any request may be refused for a page's origin, a slow body, a long one, or too many at a time.
ANYWHERE = ("403", "408", "413", "429")

Operation = namedtuple("Operation", "method template responses")


def load():
    """OpenAI's document with what Docent has beside it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document, extensions = (
        yaml.load((HERE / name).read_text(encoding="utf-8"), Loader=loader)
        for name in ("openapi.yaml", "extensions.yaml")
    )
    document = lay_over(document, extensions)
    refused = {"$ref": "#/components/responses/Refused"}
    for item in document["paths"].values():
        for method in METHODS:
            for status in ANYWHERE if method in item else ():
                item[method]["responses"].setdefault(status, refused)
    return document


def lay_over(below, above):
    """`below` changed by `above`, key by key."""
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        below[key] = lay_over(below[key], value) if both else value
    return below


def close(document):
    """The same document, in which an object has the properties that are named and no others.

    Clients never mind a field too many, so the document leaves objects open; a test should mind.
    """
    schemas = document["components"]["schemas"]
    # Parts of one object have each other's properties: they cannot be closed one by one.
    for part in parts_of_objects(document):
        part = schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        part.setdefault("additionalProperties", True)
    close_within(document)
    return document


def parts_of_objects(node):
    if isinstance(node, dict):
        several = node.get("allOf", [])
        yield from several if isinstance(several, list) and len(several) > 1 else []
    if isinstance(node, (dict, list)):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from parts_of_objects(inner)


def close_within(node):
    if isinstance(node, dict) and isinstance(node.get("properties"), dict):
        node.setdefault("additionalProperties", False)
    if isinstance(node, (dict, list)):
        for inner in node.values() if isinstance(node, dict) else node:
            close_within(inner)


class Document:
    """Judges answers; thread-safe."""

    def __init__(self):
        self.document = document = close(load())
        resource = Resource(contents=document, specification=DRAFT202012)
        self.registry = Registry().with_resource("urn:openapi", resource)
        self.validators = {}
        self.operations = sorted(self.read_operations(), key=lambda found: "{" in found[2].template)
        self.events = dict(self.read_events("AssistantStreamEvent"))

    def read_operations(self):
        for template, item in self.document["paths"].items():
            base = "" if "servers" in item else "/v1"
            pattern = re.sub(r"\\{model\\}", ".+", re.escape(base + template))
            pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", pattern))
            for method in METHODS:
                if method in item:
                    responses = item[method]["responses"]
                    yield method.upper(), pattern, Operation(method.upper(), template, responses)

    def read_events(self, name):
        """The schema of what comes with each event."""
        schema = self.document["components"]["schemas"][name]
        for part in schema.get("oneOf", [schema]):
            if "$ref" in part:
                yield from self.read_events(part["$ref"].rsplit("/", 1)[1])
            else:
                for event in part["properties"]["event"]["enum"]:
                    yield event, part["properties"]["data"]

    def operation(self, method, path):
        for known, pattern, operation in self.operations:
            if known == method and pattern.fullmatch(path):
                return operation
        return None

    def judge_answer(self, operation, status, kind, body):
        """What is wrong with an answer, in words."""
        response = operation.responses.get(str(status))
        if response is None:
            return [f"status {status} is not documented: {body[:200]!r}"]
        if "$ref" in response:
            response = self.document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        kind = kind.split(";")[0].strip()
        content = response.get("content", {})
        if kind not in content:
            return [f"content type {kind!r} is not documented for {status}"]
        if kind != "application/json":
            return []
        try:
            answer = json.loads(body)
        except ValueError:
            return [f"not JSON: {body[:200]!r}"]
        return self.judge(content[kind]["schema"], answer)

    def judge_event(self, operation, name, data):
        """What is wrong with a stream's event, in words. Those of chat completions have no name."""
        if name and name not in self.events:
            return [f"event {name!r} is not documented"]
        if data == "[DONE]":
            return [] if name in (None, "done") else [f"event {name!r} has no object"]
        schema = operation.responses["200"]["content"]["text/event-stream"]["schema"]
        try:
            return self.judge(self.events[name] if name else schema, json.loads(data))
        except ValueError:
            return [f"not JSON: {data[:200]!r}"]

    def judge(self, schema, value):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            # References in the schema are read from the document's root.
            rooted = json.loads(key.replace('"#/', '"urn:openapi#/'))
            self.validators[key] = Draft202012Validator(rooted, registry=self.registry)
        errors = self.validators[key].iter_errors(value)
        # Of several alternatives, the one that nearly fitted says what is wrong.
        nearest = [best_match([error]) for error in errors]
        return [f"{error.json_path}: {shortened(error.message)}" for error in nearest]


def shortened(text):
    return text if len(text) < 300 else f"{text[:140]} … {text[-140:]}"
