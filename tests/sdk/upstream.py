"""A scripted model over HTTP, as `docent serve` meets one: an OpenAI-compatible endpoint."""

import json
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What the model says and which functions it calls, in one turn: calls are (name, arguments).
Turn = namedtuple("Turn", "text calls", defaults=("", ()))

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Upstream(ThreadingHTTPServer):
    """Answers what `play`, a function of a request's body, says; keeps what it was asked."""

    daemon_threads = True

    def __init__(self, play):
        super().__init__(("127.0.0.1", 0), Handler)
        self.play, self.asked = play, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        turn = self.server.play(body)
        text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks(turn))
        text += "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def chunks(turn):
    deltas = [{"content": turn.text[at : at + 6]} for at in range(0, len(turn.text), 6)]
    for index, (name, arguments) in enumerate(turn.calls):
        function = {"name": name, "arguments": ""}
        call = {"index": index, "id": f"up_{index}", "type": "function", "function": function}
        deltas.append({"tool_calls": [call]})
        for at in range(0, len(arguments), 24):
            function = {"arguments": arguments[at : at + 24]}
            deltas.append({"tool_calls": [{"index": index, "function": function}]})
    for delta in deltas:
        yield {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = "tool_calls" if turn.calls else "stop"
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    yield {"choices": [], "usage": USAGE}


def last_user(body):
    """What the user said last, and what came after it."""
    messages = body["messages"]
    at = max(at for at, message in enumerate(messages) if message["role"] == "user")
    return text_of(messages[at]), messages[at + 1 :]


def text_of(message):
    content = message["content"] or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
