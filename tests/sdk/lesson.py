"""Runs the tutorial, tutorial.py, against a real `docent serve`.

    pip install openai python-dotenv jsonschema pyyaml
    cargo build && python tests/sdk/lesson.py target/debug/docent

The tutorial was written for the hosted service: it takes OPENAI_BASE_URL and OPENAI_API_KEY from
its environment, so it runs as it is. A scripted upstream gives the answers of its transcripts; what
they say about the timetable and the course is taken from what the functions and the search gave.
"""

import ast
import io
import json
import os
import re
import runpy
import sys
from pathlib import Path

import openai

from serving import remote, served
from upstream import Turn, Upstream, last_user, text_of

HERE = Path(__file__).parent


def play(body):
    """The model's next turn: by what the user asked, and by what was called since."""
    asked, after = last_user(body)
    results = [text_of(message) for message in after if message["role"] == "tool"]
    for wanted, turns in PARTS.items():
        if wanted in asked:
            return turns(body, results)
    raise AssertionError(f"nobody told the model what to say to {asked!r}")


def introduce(body, results):
    return Turn(
        "我是瓜瓜,AGI课堂的智能助理。我可以帮助您解答与AGI课堂相关的问题,"
        "包括课程安排、内容查询等。如果您有任何问题,请随时告诉我!"
    )


def take_root(body, results):
    if results:
        return Turn(f"1234567 的平方根是约 {float(results[0]):.2f}。")
    return Turn(calls=[program(body, ROOT)])


def add_up_sales(body, results):
    """Reads the file where the prompt says that it is; the total is what pandas gave."""
    if len(results) == 2:
        total = int(re.search(r"\d+(?=\D*$)", results[1])[0])
        return Turn(f"CSV 文件中的总销售额为 {total:,}。")
    if len(results) == 1:
        columns = [name for name in COLUMNS if name in results[0]]
        assert len(columns) == 3, results
        seen = "我们可以看到数据框有三列:`{}`、`{}` 和 `{}`。".format(*columns)
        return Turn(seen, [program(body, TOTAL)])
    (path,) = set(re.findall(r"/mnt/data/file-\w+", json.dumps(body)))
    plan = "好的,我会先读取并检视上传的CSV文件,然后计算总销售额。"
    return Turn(plan, [program(body, HEAD.format(path=path))])


COLUMNS = ["Product Name", "Unit Price", "Quantity Sold"]


ROOT = """import math

# Calculate the square root of 1234567
sqrt_value = math.sqrt(1234567)
sqrt_value"""

HEAD = """import pandas as pd

# 读取文件
file_path = '{path}'
df = pd.read_csv(file_path)

# 显示数据的前几行以了解其结构
df.head()"""

TOTAL = """# 计算每个产品的销售额
df['Sales'] = df['Unit Price'] * df['Quantity Sold']

# 计算总销售额
total_sales = df['Sales'].sum()

total_sales"""


def program(body, code):
    """A call of the one function that takes programs."""
    (tool,) = body["tools"]
    (argument,) = tool["function"]["parameters"]["properties"]
    return tool["function"]["name"], json.dumps({argument: code}, ensure_ascii=False)


def average_length(body, results):
    if not results:
        query = "SELECT start_time, end_time FROM Courses;"
        plan = "要回答这个问题,我需要了解各门课程的具体时间安排,然后计算平均每堂课的时长。"
        return Turn(plan, [ask(query)])
    times = [[int(time.split(":")[0]) for time in row] for row in ast.literal_eval(results[0])]
    hours = sum(end - start for start, end in times) / len(times)
    return Turn(f"一共 {len(times)} 堂课,平均每堂课的时长是{hours:g}小时。")


def compare_teachers(body, results):
    names = ["王卓然", "孙志岗"]
    if not results:
        query = "SELECT COUNT(*) AS count FROM Courses WHERE instructor = '{}';"
        plan = "首先,我需要确认王卓然上了几堂课,然后确认孙志岗上了几堂课。"
        return Turn(plan, [ask(query.format(name)) for name in names])
    wang, sun = (ast.literal_eval(result)[0][0] for result in results)
    counts = f"- 王卓然上了{wang}堂课。\n- 孙志岗上了{sun}堂课。"
    return Turn(f"{counts}\n\n所以王卓然比孙志岗多上了 {wang - sun} 堂课。")


def ask(query):
    return "course_info", json.dumps({"query": query}, ensure_ascii=False)


def suit(body, results):
    """Searches in the user's own words; cites two results that say so, and one for no reason."""
    if not results:
        return Turn(calls=[("file_search", json.dumps({"queries": [last_user(body)[0]]}))])
    found = re.findall(r"(【\d+:\d+†source】) \((\S+), p\. \d+\)", results[0])
    markers = {name: marker for marker, name in found}
    own, joined = markers["agiclass_intro.pdf"], markers["file1.pdf"]
    return Turn(
        "AI大模型全栈工程师适合以下几类人群:\n\n"
        "1. **自己干**:有能力独立完成AI应用从策划、开发到落地的全过程,包括商业分析、需求分析、"
        "产品设计、开发、测试、市场推广和运营等。\n\n"
        "2. **合伙干**:"
        f"如果能善用AI学习编程、辅助编程,也可以向“自己干”迈进{own}{joined}。\n\n"
        f"课程的教材用英文写成{joined}。"
    )


def wear_hat(body, results):
    system = text_of(body["messages"][0])
    color = re.search("你的角色是(..)帽子", system)[1]
    spoken = [message for message in body["messages"] if message["role"] == "assistant"]
    said = CLOSING if spoken and color == "蓝色" else OPINIONS[color]
    return Turn(f"**{color}帽子({color})**:\n\n{said}")


OPINIONS = {
    "蓝色": "我们今天要讨论的话题是:为非AI背景的程序员设计一门AI大语言模型课程。现在请白色帽子开始发言。",
    "白色": "好的,我来提供一些客观的数据和事实。他们通常具备编程基础。接下来我们听听红色帽子的反馈。",
    "红色": "我觉得设计这样一门课程既令人兴奋又有点令人担忧。接下来请黑色帽子提出可能的风险和问题。",
    "黑色": "我们需要客观看待可能遇到的各种问题和风险。接下来,请黄色帽子提出积极的解决方案和机会。",
    "黄色": "这门课程实际上充满了机会和潜在的好处。接下来请绿色帽子提出一些创新的想法和改进的建议。",
    "绿色": "我将提出一些创造性和创新性的想法。现在请蓝色帽子总结并提出下一步的行动计划。",
}
CLOSING = "感谢每位思考帽的贡献。如果没有其他问题,这次讨论就到这里了。感谢大家的参与!"

PARTS = {
    "你是谁": introduce,
    "你说什么": introduce,
    "平方根": take_root,
    "总销售额": add_up_sales,
    "平均一堂课": average_length,
    "几堂课": compare_teachers,
    "适合哪些人": suit,
    "讨论话题": wear_hat,
}


class Printed(io.TextIOBase):
    """What the cells print, kept and shown."""

    def __init__(self, out):
        self.out, self.text = out, ""

    def write(self, text):
        self.text += text
        return self.out.write(text)

    def flush(self):
        self.out.flush()

    def __call__(self):
        """What was printed since this was called last."""
        text, self.text = self.text, ""
        return text


def main(program):
    upstream = Upstream(play)
    program = os.path.abspath(program)
    os.chdir(HERE / "fixtures")
    printed = Printed(sys.stdout)
    with served(program, remote(upstream)) as proxy:
        os.environ.update(OPENAI_BASE_URL=proxy.url, OPENAI_API_KEY="local")
        sys.stdout = printed
        try:
            runpy.run_path(str(HERE / "tutorial.py"), {"printed": printed, "asked": upstream.asked})
        finally:
            sys.stdout = printed.out
    print(f"openai {openai.__version__}: every cell of the tutorial runs")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "target/debug/docent")
