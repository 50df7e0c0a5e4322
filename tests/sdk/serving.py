"""A real `docent serve` with a library of its own, behind the judging proxy."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from proxy import Proxy

# A story takes seconds. What waits longer waits for ever, and is to say where.
MOST_SECONDS = 150

REMOTE = """[models."*"]
backend = "remote"
base_url = "http://127.0.0.1:{port}/v1"
profile = "tools"
"""


def remote(upstream):
    """A configuration in which `upstream` plays every model."""
    return REMOTE.format(port=upstream.server_port)


@contextmanager
def served(program, config, embedder=False):
    """The proxy before a server with this `docent.toml`; every answer must fit the document."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(MOST_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        server, address = begin(program, Path(folder), config, embedder=embedder)
        proxy = Proxy(address)
        try:
            yield proxy
        finally:
            server.terminate()
            code = server.wait(timeout=20)
            print(proxy.report(), file=sys.stderr)
    assert code == 0, f"the server ended with {code}"
    assert not proxy.findings, f"{len(proxy.findings)} answers are not as documented"


def too_long(*_):
    raise TimeoutError(f"not over after {MOST_SECONDS} seconds")


def begin(program, folder, config, key="", embedder=False):
    """Starts the server on a free port; gives the process, and its host and port.

    With a key it asks for that key; without an embedder it searches by words alone.
    """
    (folder / "docent.toml").write_text(config, encoding="utf-8")
    command = [program] if embedder else [program, "--no-embedder"]
    command += ["--library", folder / "library", "--config", folder / "docent.toml"]
    command += ["serve", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "DOCENT_API_KEY": key}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    said = ""
    for line in server.stderr:
        if found := re.search(r"http://([\d.]+):(\d+)/v1", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return server, (found[1], int(found[2]))
        said += line
    raise SystemExit(f"docent serve did not begin: {said}")
