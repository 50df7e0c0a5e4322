// The official Node SDK against a real `docent serve`: the story of story.py once more, and the six
// hats. node.py starts the server, the scripted model and the judging proxy, and runs this with the
// proxy's address and a folder that has `openai` installed.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";

const [baseURL, installed, fixtures] = process.argv.slice(2);
const require = createRequire(`${installed}/`);
const { default: OpenAI, toFile } = require("openai");
const { VERSION } = require("openai/version");

const ANSWER = "The train leaves at 10:40.";
const client = new OpenAI({ baseURL, apiKey: "local" });
const { assistants, threads } = client.beta;

const schema = { type: "object", properties: { to: { type: "string" } } };
const functions = ["timetable", "weather"].map((name) => ({
  type: "function",
  function: { name, parameters: schema },
}));

async function ask() {
  const thread = await threads.create();
  await threads.messages.create(thread.id, { role: "user", content: "When does it leave?" });
  return thread;
}

async function said(thread) {
  const messages = await threads.messages.list(thread.id);
  return messages.data[0].content[0].text.value;
}

function outputs(run) {
  const calls = run.required_action.submit_tool_outputs.tool_calls;
  return calls.map((call) => ({ tool_call_id: call.id, output: "10:40" }));
}

async function listed() {
  const plain = await assistants.create({ model: "gpt-4o", name: "向导", temperature: 0.7 });
  const caller = await assistants.create({ model: "gpt-4o", tools: functions });
  const found = [];
  for await (const assistant of assistants.list({ limit: 1 })) found.push(assistant.id);
  assert.deepEqual(found, [caller.id, plain.id], "the client pages on by itself");
  const renamed = await assistants.update(plain.id, { name: "guide" });
  assert.equal(renamed.name, "guide");
  assert.equal(renamed.temperature, 0.7);
  return [plain, caller];
}

async function polled(assistant) {
  const thread = await ask();
  const run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
  assert.equal(run.status, "completed");
  assert.equal(run.usage.total_tokens, 18);
  assert.equal(await said(thread), ANSWER);
  const made = await threads.createAndRunPoll({
    assistant_id: assistant.id,
    thread: { messages: [{ role: "user", content: "When does it leave?" }] },
  });
  assert.equal(made.status, "completed");
}

async function streamed(assistant) {
  const thread = await ask();
  let text = "";
  const stream = threads.runs
    .stream(thread.id, { assistant_id: assistant.id })
    .on("textDelta", (delta) => (text += delta.value));
  const run = await stream.finalRun();
  assert.equal(run.status, "completed");
  assert.equal(text, ANSWER);
  assert.equal((await stream.finalMessages())[0].content[0].text.value, ANSWER);
}

async function called(assistant) {
  const thread = await ask();
  let run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
  assert.equal(run.status, "requires_action");
  const answers = { thread_id: thread.id, tool_outputs: outputs(run) };
  run = await threads.runs.submitToolOutputsAndPoll(run.id, answers);
  assert.equal(run.status, "completed");
  assert.equal(await said(thread), ANSWER);
}

// Outputs are submitted from inside the handler, while the first stream is open.
async function calledInStream(assistant) {
  const thread = await ask();
  const names = [];
  let text = "";
  const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
  stream.on("toolCallCreated", (call) => names.push(call.function.name));
  const inner = new Promise((resolve, reject) => {
    stream.on("error", reject);
    stream.on("event", ({ event, data: run }) => {
      if (event !== "thread.run.requires_action") return;
      const answers = { thread_id: run.thread_id, tool_outputs: outputs(run) };
      threads.runs
        .submitToolOutputsStream(run.id, answers)
        .on("textDelta", (delta) => (text += delta.value))
        .finalRun()
        .then(resolve, reject);
    });
  });
  await stream.done();
  assert.equal((await inner).status, "completed");
  assert.deepEqual(names, ["timetable", "weather"]);
  assert.equal(text, ANSWER);
}

async function refused(assistant) {
  const thread = await ask();
  const run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
  const message = `Can't add messages to ${thread.id} while a run ${run.id} is active.`;
  const hurry = threads.messages.create(thread.id, { role: "user", content: "Hurry" });
  await assert.rejects(hurry, (error) => error.status === 400 && error.error.message === message);
  await threads.runs.cancel(run.id, { thread_id: thread.id });
  const over = await threads.runs.poll(run.id, { thread_id: thread.id });
  assert.equal(over.status, "cancelled");
}

async function files() {
  const path = `${fixtures}/agiclass_intro.pdf`;
  const read = await client.files.create({ file: fs.createReadStream(path), purpose: "assistants" });
  assert.equal(read.bytes, fs.statSync(path).size);
  const content = await (await client.files.content(read.id)).arrayBuffer();
  assert.ok(Buffer.from(content).equals(fs.readFileSync(path)));
  const named = await toFile(Buffer.from("帽子"), "六顶帽子.txt");
  const made = await client.files.create({ file: named, purpose: "assistants" });
  assert.equal(made.filename, "六顶帽子.txt");
  assert.equal((await client.files.waitForProcessing(made.id)).status, "processed");
  assert.ok((await client.files.delete(made.id)).deleted);
}

async function vectorStores() {
  const stores = client.vectorStores;
  const store = await stores.create({ name: "boilers" });
  const texts = { "may.txt": "The boiler was serviced in May.", "red.txt": "The pump is red." };
  const sources = Object.entries(texts).map(([name, text]) => toFile(Buffer.from(text), name));
  const batch = await stores.fileBatches.uploadAndPoll(store.id, {
    files: await Promise.all(sources),
  });
  assert.equal(batch.status, "completed");
  assert.equal(batch.file_counts.completed, 2);
  const green = await toFile(Buffer.from("The valve is green."), "green.txt");
  const one = await stores.files.uploadAndPoll(store.id, green);
  assert.equal(one.status, "completed");
  const found = await stores.search(store.id, { query: "When was the boiler serviced?" });
  assert.equal(found.data[0].filename, "may.txt");
  const file = found.data[0].file_id;
  await stores.files.update(file, { vector_store_id: store.id, attributes: { month: 5 } });
  const filters = { type: "gt", key: "month", value: 4 };
  const late = await stores.search(store.id, { query: "boiler", filters });
  assert.deepEqual(late.data.map((hit) => hit.file_id), [file]);
  assert.ok((await stores.delete(store.id)).deleted);
}

async function sixHats() {
  const queue = ["蓝色", "白色", "红色", "黑色", "黄色", "绿色", "蓝色"];
  const thread = await threads.create();
  await threads.messages.create(thread.id, { role: "user", content: "讨论话题" });
  const worn = {};
  const spoken = [];
  for (const color of queue) {
    const instructions = `你的角色是${color}帽子。`;
    worn[color] ??= await assistants.create({ model: "gpt-4o", instructions });
    const stream = threads.runs.stream(thread.id, { assistant_id: worn[color].id });
    spoken.push((await stream.finalMessages())[0].content[0].text.value);
  }
  // The model says its hat, and how many have spoken before it.
  assert.deepEqual(spoken, queue.map((color, before) => `${color} after ${before}`));
}

const [plain, caller] = await listed();
await polled(plain);
await streamed(plain);
await called(caller);
await calledInStream(caller);
await refused(caller);
await files();
await vectorStores();
await sixHats();
console.log(`openai for Node ${VERSION}: the whole story holds`);
