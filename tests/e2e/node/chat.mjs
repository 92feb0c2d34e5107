// One chat through the official SDK; the arguments come as JSON on the command line, the result
// goes out as one line of JSON: what the SDK made of the answer, or the error it threw.
const { release, baseURL, apiKey, how, body } = JSON.parse(process.argv[2]);
const { default: OpenAI } = await import(release);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const result = { content: "", roles: [] };

function usageOf(usage) {
  return usage && [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];
}

const ways = {
  async create() {
    const got = await client.chat.completions.create(body);
    result.content = got.choices[0].message.content;
    result.finish_reason = got.choices[0].finish_reason;
    result.usage = usageOf(got.usage);
    result.request_id = got._request_id;
  },

  async stream() {
    const options = { ...body, stream: true, stream_options: { include_usage: true } };
    for await (const part of await client.chat.completions.create(options)) {
      result.usage = usageOf(part.usage) ?? result.usage;
      for (const choice of part.choices) {
        result.content += choice.delta.content ?? "";
        if (choice.delta.role) result.roles.push(choice.delta.role);
        result.finish_reason = choice.finish_reason ?? result.finish_reason;
      }
    }
  },

  async helper() {
    const options = { ...body, stream_options: { include_usage: true } };
    const stream = client.chat.completions.stream(options);
    stream.on("content", (delta) => (result.content += delta));
    const final = await stream.finalChatCompletion();
    result.final_content = final.choices[0].message.content ?? "";
    result.roles.push(final.choices[0].message.role);
    result.finish_reason = final.choices[0].finish_reason;
    result.usage = usageOf(final.usage);
  },

  async leave() {
    const stream = await client.chat.completions.create({ ...body, stream: true });
    for await (const part of stream) {
      result.content += part.choices[0].delta.content ?? "";
      if (result.content) break;
    }
    result.left = true;
  },
};

try {
  await ways[how]();
} catch (error) {
  result.error = {
    name: error.constructor.name,
    message: error.message,
    status: error.status ?? null,
    code: error.code ?? null,
    request_id: error.requestID ?? null,
  };
}
console.log(JSON.stringify(result));
