"""The tutorial's cells, in order, as they were written for OpenAI's servers; lesson.py runs them.

What a cell printed and what the server keeps is checked after it, in `check_…` blocks below a
line "# check". Changed for a notebook that nobody sits at, and marked with "#: ":

- `assistant_id`, which the tutorial copies from the Playground, is that of the assistant just made.
- Since openai 1.66.0 vector stores are `client.vector_stores`; the cells say
  `client.beta.vector_stores`, which one line makes mean the same.

`printed()` gives what was printed since it was last called; `asked` is what the model was asked.
"""

import re

# %% 二、Assistants API
#: !pip install --upgrade openai

# %% 二、Assistants API
from openai import OpenAI
client = OpenAI()

ids = []
assistants = client.beta.assistants.list()
for assistant in assistants:
    ids.append(assistant.id)
# 清理一下教学环境
for id in ids:
    client.beta.assistants.delete(id)

# check
assert client.beta.assistants.list().data == []

# %% 创建一个 Assistant
from openai import OpenAI

# 初始化 OpenAI 服务
client = OpenAI()

# 创建助手
assistant = client.beta.assistants.create(
    name="AGIClass Demo",
    instructions="你叫瓜瓜,你是AGI课堂的智能助理。你负责回答与AGI课堂有关的问题。",
    model="gpt-4o",
)

# check
assert assistant.name == "AGIClass Demo" and assistant.model == "gpt-4o"

# %% 创建一个 Assistant (在线)
from openai import OpenAI

# 初始化 OpenAI 服务
client = OpenAI()

# 创建助手
assistant = client.beta.assistants.create(
    name="AGIClass Demo TempLive",
    instructions="你叫瓜瓜,你是AGI课堂的智能助理。你负责回答与AGI课堂有关的问题。",
    model="gpt-4o",
)

print(assistant.id)

# check
assert re.fullmatch(r"asst_[A-Za-z0-9]{24}\n", printed())

# %% 3.1、管理 thread
import json


def show_json(obj):
    """把任意对象用排版美观的 JSON 格式打印出来"""
    print(json.dumps(
        json.loads(obj.model_dump_json()),
        indent=4,
        ensure_ascii=False
    ))

# %% 3.1、管理 thread
from openai import OpenAI
import os

from dotenv import load_dotenv, find_dotenv
_ = load_dotenv(find_dotenv())

# 初始化 OpenAI 服务
client = OpenAI() # openai >= 1.3.0 起,OPENAI_API_KEY 和 OPENAI_BASE_URL 会被默认使用

# 创建 thread
thread = client.beta.threads.create()
show_json(thread)

# check
shown = json.loads(printed())
NO_RESOURCES = {"code_interpreter": None, "file_search": None}
assert shown["metadata"] == {} and shown["tool_resources"] == NO_RESOURCES, shown
assert list(shown) == ["id", "created_at", "metadata", "object", "tool_resources"], shown

# %% 3.1、管理 thread: metadata
thread = client.beta.threads.create(
    metadata={"fullname": "王卓然", "username": "wzr"}
)
show_json(thread)

# check
shown = json.loads(printed())
assert shown["metadata"] == {"fullname": "王卓然", "username": "wzr"}, shown

# %% 3.1、管理 thread: 从 thread ID 获取 thread 对象
thread = client.beta.threads.retrieve(thread.id)
show_json(thread)

# check
assert json.loads(printed()) == shown

# %% 3.2、给 Threads 添加 Messages
message = client.beta.threads.messages.create(
    thread_id=thread.id, # message 必须归属于一个 thread
    role="user", # 取值是 user 或者 assistant。但 assistant 消息会被自动加入,我们一般不需要自己构造
    content="你都能做什么?",
)
show_json(message)

# check
shown = json.loads(printed())
TEXT = {"text": {"annotations": [], "value": "你都能做什么?"}, "type": "text"}
assert shown["content"] == [TEXT] and shown["thread_id"] == thread.id, shown
assert shown["assistant_id"] is None and shown["run_id"] is None, shown
assert shown["attachments"] == [] and shown["role"] == "user", shown

# %% 3.2、给 Threads 添加 Messages: 创建 thread 同时初始化一个 message 列表
thread = client.beta.threads.create(
    messages=[
        {
            "role": "user",
            "content": "你好",
        },
        {
            "role": "assistant",
            "content": "有什么可以帮您?",
        },
        {
            "role": "user",
            "content": "你是谁?",
        },
    ]
)

show_json(thread) # 显示 thread
print("-----")
show_json(client.beta.threads.messages.list(
    thread.id)) # 显示指定 thread 中的 message 列表

# check
first, second = (json.loads(part) for part in printed().split("-----"))
assert first["id"] == thread.id and first["tool_resources"] == NO_RESOURCES, first
said = [(one["role"], one["content"][0]["text"]["value"]) for one in second["data"]]
GREETING = [("user", "你是谁?"), ("assistant", "有什么可以帮您?"), ("user", "你好")]
assert said == GREETING, "the newest comes first"
assert second["first_id"] == second["data"][0]["id"] and second["has_more"] is False, second
assert second["last_id"] == second["data"][2]["id"], second

# %% 3.3、开始 Run: 3.1、直接运行
assistant_id = assistant.id  #: 从 Playground 中拷贝

run = client.beta.threads.runs.create_and_poll(
    thread_id=thread.id,
    assistant_id=assistant_id,
)

# %% 3.3、开始 Run: 3.1、直接运行
if run.status == 'completed':
    messages = client.beta.threads.messages.list(
        thread_id=thread.id
    )
    show_json(messages)
else:
    print(run.status)

# check
shown = json.loads(printed())["data"]
INTRODUCTION = "我是瓜瓜,AGI课堂的智能助理。"
assert shown[0]["content"][0]["text"]["value"].startswith(INTRODUCTION), shown[0]
assert (shown[0]["assistant_id"], shown[0]["run_id"]) == (assistant_id, run.id), shown[0]
assert [(one["role"], one["content"][0]["text"]["value"]) for one in shown[1:]] == GREETING
assert run.usage.total_tokens == 18, run

# %% 3.3、流式运行
from typing_extensions import override
from openai import AssistantEventHandler


class EventHandler(AssistantEventHandler):
    @override
    def on_text_created(self, text) -> None:
        """响应输出创建事件"""
        print(f"\nassistant > ", end="", flush=True)

    @override
    def on_text_delta(self, delta, snapshot):
        """响应输出生成的流片段"""
        print(delta.value, end="", flush=True)

# %% 3.3、流式运行
# 添加新一轮的 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="你说什么?",
)
# 使用 stream 接口并传入 EventHandler
with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant_id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()

# check
streamed = printed()
assert streamed.startswith(f"\nassistant > {INTRODUCTION}"), streamed
newest = client.beta.threads.messages.list(thread.id, limit=1).data[0]
assert f"\nassistant > {newest.content[0].text.value}" == streamed

# %% 4.1、创建 Assistant 时声明 Code_Interpreter
assistant = client.beta.assistants.create(
    name="Demo Assistant",
    instructions="你是人工智能助手。你可以通过代码回答很多数学问题。",
    tools=[{"type": "code_interpreter"}],
    model="gpt-4o"
)
assistant_id = assistant.id  #: 从 Playground 中拷贝

# %% 4.1、在回调中加入 code_interpreter 的事件响应
from typing_extensions import override
from openai import AssistantEventHandler


class EventHandler(AssistantEventHandler):
    @override
    def on_text_created(self, text) -> None:
        """响应输出创建事件"""
        print(f"\nassistant > ", end="", flush=True)

    @override
    def on_text_delta(self, delta, snapshot):
        """响应输出生成的流片段"""
        print(delta.value, end="", flush=True)

    @override
    def on_tool_call_created(self, tool_call):
        """响应工具调用"""
        print(f"\nassistant > {tool_call.type}\n", flush=True)

    @override
    def on_tool_call_delta(self, delta, snapshot):
        """响应工具调用的流片段"""
        if delta.type == 'code_interpreter':
            if delta.code_interpreter.input:
                print(delta.code_interpreter.input, end="", flush=True)
            if delta.code_interpreter.outputs:
                print(f"\n\noutput >", flush=True)
                for output in delta.code_interpreter.outputs:
                    if output.type == "logs":
                        print(f"\n{output.logs}", flush=True)

# %% 4.1、发个 Code Interpreter 请求
# 创建 thread
thread = client.beta.threads.create()

# 添加新一轮的 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="用代码计算 1234567 的平方根",
)
# 使用 stream 接口并传入 EventHandler
with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant_id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()

# check
streamed = printed()
assert streamed.startswith("\nassistant > code_interpreter\n\nimport math\n"), streamed
shown = "\nsqrt_value = math.sqrt(1234567)\nsqrt_value\n\noutput >\n\n1111.1107055554814\n"
assert shown in streamed, streamed
assert streamed.endswith("\nassistant > 1234567 的平方根是约 1111.11。"), streamed
steps = client.beta.threads.runs.steps.list(stream.current_run.id, thread_id=thread.id).data
(call,) = steps[1].step_details.tool_calls
assert call.type == "code_interpreter" and call.code_interpreter.input.startswith("import math")
(output,) = call.code_interpreter.outputs
assert (output.type, output.logs) == ("logs", "1111.1107055554814"), output

# %% 4.1.1、Code_Interpreter 操作文件
# 上传文件到 OpenAI
file = client.files.create(
    file=open("mydata.csv", "rb"),
    purpose='assistants'
)

# 创建 assistant
my_assistant = client.beta.assistants.create(
    name="CodeInterpreterWithFileDemo",
    instructions="你是数据分析师,按要求分析数据。",
    model="gpt-4o",
    tools=[{"type": "code_interpreter"}],
    tool_resources={
        "code_interpreter": {
            "file_ids": [file.id] # 为 code_interpreter 关联文件
        }
    }
)

# check
assert my_assistant.tool_resources.code_interpreter.file_ids == [file.id], my_assistant

# %% 4.1.1、Code_Interpreter 操作文件
# 创建 thread
thread = client.beta.threads.create()

# 添加新一轮的 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="统计csv文件中的总销售额",
)
# 使用 stream 接口并传入 EventHandler
with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=my_assistant.id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()

# check
streamed = printed()
parts = ["\nassistant > 好的,", "\nassistant > code_interpreter\n\nimport pandas", "df.head()"]
# The client does not tell of the second call: it takes it for the first one's continuation.
parts += ["\nassistant > 我们可以看到", "total_sales = df['Sales'].sum()", "为 182,100。"]
places = [streamed.find(part) for part in parts]
assert -1 not in places and places == sorted(places), (places, streamed)
steps = client.beta.threads.runs.steps.list(stream.current_run.id, thread_id=thread.id).data
(total,) = steps[1].step_details.tool_calls
assert "182100" in total.code_interpreter.outputs[0].logs, total

# %% 4.2、创建 Assistant 时声明 Function
assistant = client.beta.assistants.create(
    instructions="你叫瓜瓜。你是AGI课堂的助手。你只回答跟AI大模型有关的问题。不要跟学生闲聊。每次回答问题前,你要拆解问题并输出一步一步的思考过程。",
    model="gpt-4o",
    tools=[{
        "type": "function",
        "function": {
            "name": "course_info",
            "description": "用于查看具体课程信息,包括时间表,题目,讲师,等等。Function输入必须是一个合法的SQL表达式。",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {
                        "type": "string",
                        "description": "SQL query extracting info to answer the user's question.\nSQL should be written using this database schema:\n\nCREATE TABLE Courses (\n\tid INT AUTO_INCREMENT PRIMARY KEY,\n\tcourse_date DATE NOT NULL,\n\tstart_time TIME NOT NULL,\n\tend_time TIME NOT NULL,\n\tcourse_name VARCHAR(255) NOT NULL,\n\tinstructor VARCHAR(255) NOT NULL\n);\n\nThe query should be returned in plain text, not in JSON.\nThe query should only contain grammars supported by SQLite."
                    }
                },
                "required": [
                    "query"
                ]
            }
        }
    }]
)

# check
assert assistant.tools[0].function.parameters["required"] == ["query"], assistant

# %% 4.2、创建一个 Function
# 定义本地函数和数据库

import sqlite3

# 创建数据库连接
conn = sqlite3.connect(':memory:')
cursor = conn.cursor()

# 创建orders表
cursor.execute("""
CREATE TABLE Courses (
    id INT AUTO_INCREMENT PRIMARY KEY,
    course_date DATE NOT NULL,
    start_time TIME NOT NULL,
    end_time TIME NOT NULL,
    course_name VARCHAR(255) NOT NULL,
    instructor VARCHAR(255) NOT NULL
);
""")

# 插入5条明确的模拟记录
timetable = [
    ('2024-01-23', '20:00', '22:00', '大模型应用开发基础', '孙志岗'),
    ('2024-01-25', '20:00', '22:00', 'Prompt Engineering', '孙志岗'),
    ('2024-01-29', '20:00', '22:00', '赠课:软件开发基础概念与环境搭建', '西树'),
    ('2024-02-20', '20:00', '22:00', '从AI编程认知AI', '林晓鑫'),
    ('2024-02-22', '20:00', '22:00', 'Function Calling', '孙志岗'),
    ('2024-02-29', '20:00', '22:00', 'RAG和Embeddings', '王卓然'),
    ('2024-03-05', '20:00', '22:00', 'Assistants API', '王卓然'),
    ('2024-03-07', '20:00', '22:00', 'Semantic Kernel', '王卓然'),
    ('2024-03-14', '20:00', '22:00', 'LangChain', '王卓然'),
    ('2024-03-19', '20:00', '22:00', 'LLM应用开发工具链', '王卓然'),
    ('2024-03-21', '20:00', '22:00', '手撕 AutoGPT', '王卓然'),
    ('2024-03-26', '20:00', '22:00', '模型微调(上)', '王卓然'),
    ('2024-03-28', '20:00', '22:00', '模型微调(下)', '王卓然'),
    ('2024-04-09', '20:00', '22:00', '多模态大模型(上)', '多老师'),
    ('2024-04-11', '20:00', '22:00', '多模态大模型(中)', '多老师'),
    ('2024-04-16', '20:00', '22:00', '多模态大模型(下)', '多老师'),
    ('2024-04-18', '20:00', '22:00', 'AI产品部署和交付(上)', '王树冬'),
    ('2024-04-23', '20:00', '22:00', 'AI产品部署和交付(下)', '王树冬'),
    ('2024-04-25', '20:00', '22:00', '抓住大模型时代的创业机遇', '孙志岗'),
    ('2024-05-07', '20:00', '22:00', '产品运营和业务沟通', '孙志岗'),
    ('2024-05-09', '20:00', '22:00', '产品设计', '孙志岗'),
    ('2024-05-14', '20:00', '22:00', '项目方案分析与设计', '王卓然'),
]

for record in timetable:
    cursor.execute('''
    INSERT INTO Courses (course_date, start_time, end_time, course_name, instructor)
    VALUES (?, ?, ?, ?, ?)
    ''', record)

# 提交事务
conn.commit()


def query_database(query):
    cursor.execute(query)
    records = cursor.fetchall()
    return str(records)


# 可以被回调的函数放入此字典
available_functions = {
    "course_info": query_database,
}

# %% 4.2、增加回调事件的响应
from typing_extensions import override
from openai import AssistantEventHandler


class EventHandler(AssistantEventHandler):
    @override
    def on_text_created(self, text) -> None:
        """响应回复创建事件"""
        print(f"\nassistant > ", end="", flush=True)

    @override
    def on_text_delta(self, delta, snapshot):
        """响应输出生成的流片段"""
        print(delta.value, end="", flush=True)

    @override
    def on_tool_call_created(self, tool_call):
        """响应工具调用"""
        print(f"\nassistant > {tool_call.type}\n", flush=True)

    @override
    def on_tool_call_delta(self, delta, snapshot):
        """响应工具调用的流片段"""
        if delta.type == 'code_interpreter':
            if delta.code_interpreter.input:
                print(delta.code_interpreter.input, end="", flush=True)
            if delta.code_interpreter.outputs:
                print(f"\n\noutput >", flush=True)
                for output in delta.code_interpreter.outputs:
                    if output.type == "logs":
                        print(f"\n{output.logs}", flush=True)

    @override
    def on_event(self, event):
        """
        响应 'requires_action' 事件
        """
        if event.event == 'thread.run.requires_action':
            run_id = event.data.id # 获取 run ID
            self.handle_requires_action(event.data, run_id)

    def handle_requires_action(self, data, run_id):
        tool_outputs = []

        for tool in data.required_action.submit_tool_outputs.tool_calls:
            arguments = json.loads(tool.function.arguments)
            print(
                f"{tool.function.name}({arguments})",
                flush=True
            )
            # 运行 function
            tool_outputs.append({
                "tool_call_id": tool.id,
                "output": available_functions[tool.function.name](
                    **arguments
                )}
            )

        # 提交 function 的结果,并继续运行 run
        self.submit_tool_outputs(tool_outputs, run_id)

    def submit_tool_outputs(self, tool_outputs, run_id):
        """提交function结果,并继续流"""
        with client.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=self.current_run.thread_id,
            run_id=self.current_run.id,
            tool_outputs=tool_outputs,
            event_handler=EventHandler(),
        ) as stream:
            stream.until_done()

# %% 4.2、平均一堂课长时间
# 创建 thread
thread = client.beta.threads.create()

# 添加 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="平均一堂课长时间",
)
# 使用 stream 接口并传入 EventHandler
with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant.id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()

# check
assert printed() == (
    "\nassistant > 要回答这个问题,我需要了解各门课程的具体时间安排,然后计算平均每堂课的时长。"
    "\nassistant > function\n\n"
    "course_info({'query': 'SELECT start_time, end_time FROM Courses;'})\n"
    "\nassistant > 一共 22 堂课,平均每堂课的时长是2小时。"
)
steps = client.beta.threads.runs.steps.list(stream.current_run.id, thread_id=thread.id).data
kinds = [step.step_details.type for step in steps]
assert kinds == ["message_creation", "tool_calls", "message_creation"], kinds
assert steps[1].step_details.tool_calls[0].function.output.count("'20:00', '22:00'") == 22

# %% 4.3、两个无依赖的 function 会在一次请求中一起被调用
# 创建 thread
thread = client.beta.threads.create()

# 添加 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="王卓然上几堂课,比孙志岗多上几堂",
)
# 使用 stream 接口并传入 EventHandler
with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant.id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()

# check
QUERY = "SELECT COUNT(*) AS count FROM Courses WHERE instructor = '{}';"
assert printed() == (
    "\nassistant > 首先,我需要确认王卓然上了几堂课,然后确认孙志岗上了几堂课。"
    "\nassistant > function\n\n\nassistant > function\n\n"
    f'course_info({{\'query\': "{QUERY.format("王卓然")}"}})\n'
    f'course_info({{\'query\': "{QUERY.format("孙志岗")}"}})\n'
    "\nassistant > - 王卓然上了9堂课。\n- 孙志岗上了6堂课。\n\n"
    "所以王卓然比孙志岗多上了 3 堂课。"
)
steps = client.beta.threads.runs.steps.list(stream.current_run.id, thread_id=thread.id).data
outputs = [call.function.output for call in steps[1].step_details.tool_calls]
assert outputs == ["[(9,)]", "[(6,)]"], "two calls, one step"

# %% 5.1、创建 Vector Store,上传文件
if not hasattr(client.beta, "vector_stores"):  #: openai >= 1.66.0
    client.beta.vector_stores = client.vector_stores

# %% 5.1、通过代码创建 Vector Store
vector_store = client.beta.vector_stores.create(
    name="MyVectorStore"
)

# %% 5.1、通过代码上传文件到 OpenAI 的存储空间
file = client.files.create(
    file=open("agiclass_intro.pdf", "rb"),
    purpose="assistants"
)

# %% 5.1、通过代码将文件添加到 Vector Store
vector_store_file = client.beta.vector_stores.files.create(
    vector_store_id=vector_store.id,
    file_id=file.id
)

# check
assert vector_store_file.id == file.id and vector_store_file.status == "in_progress"

# %% 5.1、批量上传文件到 Vector Store
files = ['file1.pdf','file2.pdf']

file_batch = client.beta.vector_stores.file_batches.upload_and_poll(
    vector_store_id=vector_store.id,
    files=[open(filename, "rb") for filename in files]
)

# check
assert file_batch.status == "completed" and file_batch.file_counts.completed == 2, file_batch
stored = client.beta.vector_stores.retrieve(vector_store.id)
assert stored.file_counts.total == 3 and stored.name == "MyVectorStore", stored
assert client.files.content(file.id).read() == open("agiclass_intro.pdf", "rb").read()

# %% 5.2、创建 Assistant 时声明 RAG 能力
assistant = client.beta.assistants.create(
    instructions="你是个问答机器人,你根据给定的知识回答用户问题。",
    model="gpt-4o",
    tools=[{"type": "file_search"}],
)
assistant_id = assistant.id  #: 从 Playground 中拷贝

# %% 5.2、指定检索源
assistant = client.beta.assistants.update(
    assistant_id=assistant.id,
    tool_resources={"file_search": {"vector_store_ids": [vector_store.id]}},
)

# check
assert assistant.tool_resources.file_search.vector_store_ids == [vector_store.id], assistant

# %% 5.2、试试 RAG 请求
# 创建 thread
thread = client.beta.threads.create()

# 添加 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="AI⼤模型全栈⼯程师适合哪些人",
)
# 使用 stream 接口并传入 EventHandler
with client.beta.threads.runs.stream(
    thread_id=thread.id,
    assistant_id=assistant_id,
    event_handler=EventHandler(),
) as stream:
    stream.until_done()

# check
streamed = printed()
assert streamed.startswith("\nassistant > file_search\n\n\nassistant > AI大模型全栈"), streamed
answer = client.beta.threads.messages.list(thread.id).data[0].content[0].text
assert streamed.endswith(f"\nassistant > {answer.value}"), streamed
# The words of the question are in other characters than those of the file: ⼤ is not 大.
assert "⼤" in asked[-1]["messages"][-3]["content"] and "大模型" in answer.value
assert answer.value.endswith("课程的教材用英文写成。"), "the file does not say so: no citation"
by_name = {one.filename: one.id for one in client.files.list(purpose="assistants")}
cited = [(one.file_citation.file_id, one.file_citation.page) for one in answer.annotations]
assert cited == [(file.id, 2), (by_name["file1.pdf"], 1)], "the introduction's page 2, and file1"
for annotation in answer.annotations:
    marker = answer.value[annotation.start_index : annotation.end_index]
    assert marker == annotation.text and re.fullmatch(r"【4:\d†source】", marker), marker
    assert "辅助编程" in annotation.file_citation.quote, annotation
steps = client.beta.threads.runs.steps.list(
    stream.current_run.id,
    thread_id=thread.id,
    extra_query={"include[]": "step_details.tool_calls[*].file_search.results[*].content"},
).data
(search,) = steps[1].to_dict()["step_details"]["tool_calls"]
assert search["type"] == "file_search" and len(search["file_search"]["results"]) == 3, search
assert "合伙干" in search["file_search"]["results"][0]["content"][0]["text"], search
(query,) = search["file_search"]["report"]["queries"]
assert len(query["hits"]) == 3 and all(hit["given"] for hit in query["hits"]), search

# %% 六、多个 Assistants 协作
hats = {
    "蓝色": "思考过程的控制和组织者。你负责会议的组织、思考过程的概览和总结。"
    + "首先,整个讨论从你开场,你只陈述问题不表达观点。最后,再由你对整个讨论做简短的总结并给出最终方案。",
    "白色": "负责提供客观事实和数据。你需要关注可获得的信息、需要的信息以及如何获取那些还未获得的信息。"
    + "思考“我们有哪些数据?我们还需要哪些信息?”等问题,并提供客观答案。",
    "红色": "代表直觉、情感和直觉反应。不需要解释和辩解你的情感或直觉。"
    + "这是表达未经过滤的情绪和感受的时刻。",
    "黑色": "代表谨慎和批判性思维。你需要指出提案的弱点、风险以及为什么某些事情可能无法按计划进行。"
    + "这不是消极思考,而是为了发现潜在的问题。",
    "黄色": "代表乐观和积极性。你需要探讨提案的价值、好处和可行性。这是寻找和讨论提案中正面方面的时候。",
    "绿色": "代表创造性思维和新想法。鼓励发散思维、提出新的观点、解决方案和创意。这是打破常规和探索新可能性的时候。",
}

# %% 六、多个 Assistants 协作
queue = ["蓝色", "白色", "红色", "黑色", "黄色", "绿色", "蓝色"]

# %% 六、多个 Assistants 协作
from openai import OpenAI
import os
import json

from dotenv import load_dotenv, find_dotenv
_ = load_dotenv(find_dotenv())

# 初始化 OpenAI 服务
client = OpenAI()

# %% 六、多个 Assistants 协作
existing_assistants = {}

def create_assistant(color):
    if color in existing_assistants:
        return existing_assistants[color]
    assistant = client.beta.assistants.create(
        name=f"{color}帽子角色",
        instructions=f"我们在进行一场Six Thinking Hats讨论。按{queue}顺序。你的角色是{color}帽子。",
        model="gpt-4o",
    )
    existing_assistants[color] = assistant
    return assistant

# %% 六、多个 Assistants 协作
# 创建 thread
thread = client.beta.threads.create()

topic = "面向非AI背景的程序员群体设计一门AI大语言模型课程,应该包含哪些内容。"

# 添加 user message
message = client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content=f"讨论话题:{topic}\n\n[开始]\n",
)

for hat in queue:
    assistant = create_assistant(hat)
    with client.beta.threads.runs.stream(
        thread_id=thread.id,
        assistant_id=assistant.id,
        event_handler=EventHandler(),
    ) as stream:
        stream.until_done()
        print()

# check
spoken = [part.strip() for part in printed().split("assistant > ")[1:]]
assert [part[2:4] for part in spoken] == queue, spoken
assert spoken[-1].endswith("感谢大家的参与!"), spoken[-1]
assert len(existing_assistants) == 6
for turn, body in enumerate(asked[-7:]):
    heard = [one["content"] for one in body["messages"] if one["role"] == "assistant"]
    assert heard == spoken[:turn], f"hat {turn} heard {heard}"
    assert f"你的角色是{queue[turn]}帽子。" in body["messages"][0]["content"]
messages = client.beta.threads.messages.list(thread.id, order="asc").data
assert [one.assistant_id for one in messages[1:]] == [existing_assistants[it].id for it in queue]
