"""Runs the Node SDK's story, story.mjs, against a real `docent serve`.

    npm install --prefix FOLDER openai@6.49.0     # 7.x needs Node 22
    pip install openai jsonschema pyyaml
    cargo build && python tests/sdk/node.py target/debug/docent FOLDER
"""

import re
import subprocess
import sys
from pathlib import Path

import story
from serving import remote, served
from upstream import Turn, Upstream, text_of

HERE = Path(__file__).parent


def play(body):
    """As in story.py; with a hat on, how many have spoken before."""
    hat = re.search("你的角色是(..)帽子", text_of(body["messages"][0]))
    if not hat:
        return story.play(body)
    before = sum(message["role"] == "assistant" for message in body["messages"])
    return Turn(f"{hat[1]} after {before}")


def main(program, installed):
    with served(program, remote(Upstream(play))) as proxy:
        command = ["node", HERE / "story.mjs", proxy.url, installed, HERE / "fixtures"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
