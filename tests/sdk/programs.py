"""The code interpreter through the official client: Python, pandas and matplotlib at work.

    docent sandbox setup
    cargo build && python tests/sdk/programs.py target/debug/docent

A scripted upstream writes the programs, among them the ones it corrects; what it answers is taken
from what they gave.
"""

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib

import openai

from serving import remote, served
from upstream import Turn, Upstream, last_user, text_of

CHART = """
import matplotlib.pyplot as plt
plt.bar(["键盘", "鼠标", "显示器"], [42000, 42000, 73500])
plt.title("各产品销售额")
plt.ylabel("销售额")
plt.show()
"""

TABLE = """
import pandas as pd
df = pd.read_csv("{path}")
df["Sales"] = df["Unit Price"] * df["Quantity Sold"]
df.to_excel("/mnt/data/sales.xlsx", index=False)
"""


def play(body):
    asked, after = last_user(body)
    results = [text_of(message) for message in after if message["role"] == "tool"]
    for wanted, turns in PARTS.items():
        if asked.startswith(wanted):
            return turns(body, results)
    raise AssertionError(f"nobody told the model what to say to {asked!r}")


def has_chinese_font():
    """Whether this machine has one; where it must, none is a failure."""
    required = os.environ.get("DOCENT_TEST_SANDBOX") == "required"
    found = shutil.which("fc-list") and subprocess.check_output(["fc-list", ":lang=zh"])
    return required or bool(found)


def program(code):
    return "python", json.dumps({"code": code}, ensure_ascii=False)


def draw(body, results):
    if not results:
        return Turn(calls=[program(CHART)])
    assert "Glyph" not in results[0] or not has_chinese_font(), results
    return Turn("图在上面。")


def tabulate(body, results):
    if not results:
        (path,) = set(re.findall(r"/mnt/data/file-\w+", json.dumps(body)))
        return Turn(calls=[program(TABLE.format(path=path))])
    return Turn("The table: [sales.xlsx](sandbox:/mnt/data/sales.xlsx), not [x](sandbox:/mnt/data/x).")


def correct(body, results):
    """Mends its program by the traceback."""
    if not results:
        return Turn(calls=[program("numbers = [3, 1, 2]\nnumbers.sorted()")])
    if len(results) == 1:
        assert "AttributeError: 'list' object has no attribute 'sorted'" in results[0], results
        assert "numbers.sorted()" in results[0] and "driver" not in results[0], results
        return Turn(calls=[program("sorted(numbers)")])
    return Turn(f"Sorted: {results[1]}")


def remember(body, results):
    return Turn(results[0]) if results else Turn(calls=[program("numbers")])


def reach(body, results):
    if not results:
        code = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/')"
        return Turn(calls=[program(code), program("open('/etc/shadow').read()")])
    assert "Operation not permitted" in results[0], results
    assert "FileNotFoundError" in results[1], results
    return Turn("Neither.")


PARTS = {
    "draw": draw,
    "tabulate": tabulate,
    "correct": correct,
    "remember": remember,
    "reach": reach,
}


class Story:
    def __init__(self, client):
        self.client, self.threads = client, client.beta.threads
        self.csv = client.files.create(file=open(CSV, "rb"), purpose="assistants")
        self.assistant = client.beta.assistants.create(
            model="gpt-4o",
            tools=[{"type": "code_interpreter"}],
            tool_resources={"code_interpreter": {"file_ids": [self.csv.id]}},
        )

    def ask(self, thread, text):
        """The run, its calls and the answer."""
        self.threads.messages.create(thread, role="user", content=text)
        run = self.threads.runs.create_and_poll(
            thread_id=thread, assistant_id=self.assistant.id, poll_interval_ms=50
        )
        assert run.status == "completed", (text, run)
        steps = self.threads.runs.steps.list(run.id, thread_id=thread, order="asc").data
        calls = [step.step_details.tool_calls for step in steps if step.type == "tool_calls"]
        return [call for calls in calls for call in calls], self.threads.messages.list(thread).data[0]

    def tell(self):
        thread = self.threads.create().id
        self.draws(thread)
        self.gives_files(thread)
        self.corrects_itself(thread)
        calls, _ = self.ask(self.threads.create().id, "remember in another thread")
        assert "NameError" in calls[0].code_interpreter.outputs[0].logs, calls
        self.ask(thread, "reach for what is outside")

    def draws(self, thread):
        calls, answer = self.ask(thread, "draw a chart")
        images = [it for it in calls[0].code_interpreter.outputs if it.type == "image"]
        picture, text = answer.content
        assert (picture.type, text.type) == ("image_file", "text"), answer
        assert picture.image_file.file_id == images[0].image.file_id, (calls, answer)
        width, height, ink = read_png(self.client.files.content(picture.image_file.file_id).content)
        assert width > 300 and height > 200 and ink > 0.01, (width, height, ink)

    def gives_files(self, thread):
        _, answer = self.ask(thread, "tabulate it")
        text = answer.content[-1].text
        (link,) = text.annotations
        assert link.type == "file_path" and link.text == "sandbox:/mnt/data/sales.xlsx", link
        assert text.value[link.start_index : link.end_index] == link.text, (text, link)
        (attached,) = answer.attachments
        assert attached.file_id == link.file_path.file_id, answer
        file = self.client.files.retrieve(attached.file_id)
        assert (file.filename, file.purpose) == ("sales.xlsx", "assistants_output"), file
        workbook = self.client.files.content(attached.file_id).content
        assert workbook.startswith(b"PK\x03\x04"), workbook[:8]

    def corrects_itself(self, thread):
        calls, answer = self.ask(thread, "correct yourself")
        assert len(calls) == 2 and answer.content[0].text.value == "Sorted: [1, 2, 3]", answer
        _, answer = self.ask(thread, "remember over runs")
        assert answer.content[0].text.value == "[3, 1, 2]", answer


def read_png(data):
    """Width, height, and how much of the picture is not white."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n"), data[:8]
    source, packed = io.BytesIO(data[8:]), b""
    while header := source.read(8):
        length, kind = struct.unpack(">I4s", header)
        body = source.read(length)
        assert struct.unpack(">I", source.read(4))[0] == zlib.crc32(kind + body), kind
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
    assert (depth, color) == (8, 6), (depth, color)
    rows = zlib.decompress(packed)
    assert len(rows) == height * (1 + 4 * width), (len(rows), width, height)
    # Filtered rows of one color are zeros but for their beginning.
    return width, height, sum(byte != 0 for byte in rows) / len(rows)


CSV = __file__.rsplit("/", 1)[0] + "/fixtures/mydata.csv"


def main(docent):
    upstream = Upstream(play)
    with served(docent, remote(upstream)) as proxy:
        Story(openai.OpenAI(base_url=proxy.url, api_key="local")).tell()
    print(f"openai {openai.__version__}: programs are run")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "target/debug/docent")
