// A chat as a page has it: streams by fetch-event-source, the rest by fetch, with a bearer key.
import { fetchEventSource } from "/fetch/index.js";
import OpenAI from "/openai/index.mjs";

const usageOf = (usage) =>
  usage && [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];

function failed(status, error) {
  return Object.assign(new Error(error.message), { status, code: error.code });
}

function request(job, path, body) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${job.apiKey}` };
  return [job.baseURL + path, { method: "POST", headers, body: JSON.stringify(body) }];
}

async function post(job, path, body) {
  const response = await fetch(...request(job, path, body));
  const got = await response.json();
  if (!response.ok) throw failed(response.status, got.error);
  if (!response.headers.get("x-request-id")) throw new Error("the request's id is hidden");
  return got;
}

// One answer as [message, finish reason, usage], streamed or not.
async function ask(job, result, body) {
  if (!job.stream && job.what !== "stream") {
    const got = await post(job, "/chat/completions", body);
    return [got.choices[0].message, got.choices[0].finish_reason, got.usage];
  }
  const message = { role: "", content: "", tool_calls: [] };
  let finish, usage, done;
  const [url, options] = request(job, "/chat/completions",
    { ...body, stream: true, stream_options: { include_usage: true } });
  await fetchEventSource(url, {
    ...options,
    openWhenHidden: true,
    async onopen(response) {
      if (!response.ok) throw failed(response.status, (await response.json()).error);
      if (!response.headers.get("content-type").startsWith("text/event-stream"))
        throw new Error("no stream");
    },
    onmessage({ data, event, id }) {
      if (event || id) throw new Error("an event with a name or an id");
      if (data === "[DONE]") return void (done = true);
      const chunk = JSON.parse(data);
      if (chunk.error) throw failed(null, chunk.error);
      usage = chunk.usage ?? usage;
      const [choice] = chunk.choices;
      if (!choice) return;
      finish = choice.finish_reason ?? finish;
      add(message, choice.delta);
      result.text = message.content;
    },
    onclose() {
      if (!done) throw new Error("the stream ended without [DONE]");
    },
    onerror(error) {
      throw error; // or it would ask again
    },
  });
  return [message, finish, usage];
}

function add(message, delta) {
  message.role += delta.role ?? "";
  message.content += delta.content ?? "";
  if (delta.reasoning_content)
    message.reasoning_content = (message.reasoning_content ?? "") + delta.reasoning_content;
  for (const { index, id, type, function: { name, arguments: more } } of delta.tool_calls ?? []) {
    message.tool_calls[index] ??= { id, type, function: { name, arguments: "" } };
    message.tool_calls[index].function.arguments += more;
  }
}

const jobs = {
  async chat(job, result) {
    const [message, finish, usage] = await ask(job, result,
      { model: job.model, messages: job.messages ?? job.hi, ...job.body });
    Object.assign(result, { text: message.content, reasoning: message.reasoning_content, finish,
      role: message.role, usage: usageOf(usage) });
  },

  // The first round, or with `results` the second.
  async tools(job, result) {
    const messages = [...(job.messages ?? job.hi)];
    if (job.results) {
      messages.push({ role: "assistant", content: null, tool_calls: job.raw_calls });
      job.results.forEach((content, i) =>
        messages.push({ role: "tool", tool_call_id: job.raw_calls[i].id, content }));
    }
    const [message] = await ask(job, result, { model: job.model, messages, tools: job.tools });
    result.text = message.content;
    result.raw_calls = message.tool_calls ?? [];
    result.calls = result.raw_calls.map((call) =>
      ({ name: call.function.name, args: JSON.parse(call.function.arguments) }));
  },

  async object(job, result) {
    const json_schema = { name: "weather", strict: true, schema: job.schema };
    const [message] = await ask(job, result, { model: job.model, messages: job.hi,
      response_format: { type: "json_schema", json_schema } });
    result.object = JSON.parse(message.content);
  },

  async embed(job, result) {
    const got = await post(job, "/embeddings", { model: job.model, input: job.input });
    result.vectors = got.data.map((item) => item.embedding);
  },

  // The official package in a browser, with all the headers that it adds there.
  async sdk(job, result) {
    const client = new OpenAI({ baseURL: job.baseURL, apiKey: job.apiKey, maxRetries: 0,
      timeout: 30_000, dangerouslyAllowBrowser: true });
    const stream = client.chat.completions.stream({ model: job.model, messages: job.hi });
    result.text = (await stream.finalChatCompletion()).choices[0].message.content;
  },
};
jobs.stream = jobs.chat;

globalThis.run = async (job) => {
  const result = {};
  try {
    await jobs[job.what](job, result);
  } catch (error) {
    result.error = { name: error.name, message: error.message, status: error.status ?? null,
      code: error.code ?? null };
  }
  return result;
};
