"""A proxy that stands between a client and `docent serve` and judges every answer that passes."""

import http.client
import re
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from document import Document

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Proxy(ThreadingHTTPServer):
    """Forwards to `target` (host:port) and keeps what it found."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.document = Document()
        self.lock = threading.Lock()
        self.seen = Counter()
        self.findings = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        # Clients close connections that they kept open as they like.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def note(self, what, wrong):
        with self.lock:
            self.seen[what] += 1
            self.findings += [f"{what}: {problem}" for problem in wrong]

    def report(self):
        """What was judged, one line an operation; what is wrong, one line a finding."""
        lines = [f"{count:6} {what}" for what, count in sorted(self.seen.items())]
        answers = sum(count for what, count in self.seen.items() if not what.startswith("event "))
        events = self.seen.total() - answers
        lines.append(f"{answers} answers and {events} events judged, {len(self.findings)} findings")
        return "\n".join(lines + [f"WRONG {finding}" for finding in self.findings])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small pieces of a stream are to leave at once.
    disable_nagle_algorithm = True

    def do_GET(self):
        path = urlsplit(self.path).path
        upstream = http.client.HTTPConnection(*self.server.target)
        try:
            response = self.forward(upstream)
            if response.headers.get_content_type() == "text/event-stream":
                self.pass_stream(path, response)
            else:
                self.pass_answer(path, response)
        except (BrokenPipeError, ConnectionResetError):
            # The client went away, as some tests do.
            self.close_connection = True
        finally:
            upstream.close()

    do_POST = do_DELETE = do_GET

    def forward(self, upstream):
        upstream.putrequest(self.command, self.path, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                upstream.putheader(name, value)
        chunked = "chunked" in self.headers.get("transfer-encoding", "")
        if chunked:
            upstream.putheader("transfer-encoding", "chunked")
        elif length := self.headers.get("content-length"):
            upstream.putheader("content-length", length)
        upstream.endheaders()
        for piece in self.chunks() if chunked else self.body():
            upstream.send(piece)
        return upstream.getresponse()

    def body(self):
        left = int(self.headers.get("content-length") or 0)
        while left > 0 and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)
            yield piece

    def chunks(self):
        """A chunked body, chunk by chunk, as it came."""
        while True:
            line = self.rfile.readline()
            size = int(line.split(b";")[0], 16)
            yield line + self.rfile.read(size + 2)
            if size == 0:
                return

    def begin(self, response):
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)

    def what(self, path, status):
        operation = self.server.document.operation(self.command, path)
        named = operation.template if operation else path
        return operation, f"{self.command} {named} {status}"

    def pass_answer(self, path, response):
        body = response.read()
        operation, what = self.what(path, response.status)
        if operation is None:
            wrong = [f"the path is not documented: {body[:200]!r}"]
        else:
            kind = response.headers.get("content-type", "")
            wrong = self.server.document.judge_answer(operation, response.status, kind, body)
        self.server.note(what, wrong)
        self.begin(response)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_stream(self, path, response):
        operation, what = self.what(path, response.status)
        ok = operation and operation.responses.get("200", {}).get("content", {})
        known = bool(ok) and "text/event-stream" in ok
        self.server.note(what, [] if known else ["streams are not documented"])
        self.begin(response)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        text = b""
        while piece := response.read1(65536):
            text += piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        # Judged before the stream's end is passed on, so that no finding comes too late.
        if known:
            self.judge_stream(operation, what, text.decode())
        self.wfile.write(b"0\r\n\r\n")

    def judge_stream(self, operation, what, text):
        ends = []
        for block in text.split("\n\n")[:-1]:
            event = re.fullmatch(r"(?:event: (\S+)\n)?data: (.*)", block)
            if event is None:
                self.server.note("event ?", [f"not an event: {block[:200]!r}"])
                continue
            name, data = event.groups()
            ends.append(data)
            wrong = self.server.document.judge_event(operation, name, data)
            self.server.note(f"event {name or 'without a name'}", wrong)
        whole = ends[-1:] == ["[DONE]"] and text.endswith("\n\n")
        self.server.note(f"event end of {what}", [] if whole else [f"it ends with {text[-200:]!r}"])

    def log_message(self, *_):
        pass
