import { ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { ANSWER, HI, TOOLS } from "../jobs.mjs";

const open = ({ baseURL, apiKey, model }) => new ChatOpenAI({
  model, apiKey, maxRetries: 0, timeout: 40_000, configuration: { baseURL } });

function note(result, message) {
  const usage = message.usage_metadata;
  result.text = message.content;
  result.reasoning = message.additional_kwargs.reasoning_content;
  result.finish = message.response_metadata.finish_reason;
  result.usage = usage && [usage.input_tokens, usage.output_tokens, usage.total_tokens];
}

// The message that a stream adds up to; the text so far stays in `result` if it breaks.
async function gathered(stream, result) {
  let whole;
  result.text = "";
  for await (const part of stream) {
    result.text += part.content;
    whole = whole ? whole.concat(part) : part;
  }
  return whole;
}

const ask = async (model, messages, streamed, result) =>
  streamed ? gathered(await model.stream(messages), result) : model.invoke(messages);

export default () => ({
  async chat(job, result) {
    note(result, await open(job).invoke(job.messages ?? HI));
  },

  async stream(job, result) {
    note(result, await ask(open(job), job.messages ?? HI, true, result));
  },

  async tools(job, result) {
    result.calls = [];
    const tools = Object.entries(TOOLS).map(([name, { description, schema, run }]) =>
      tool(async (args) => {
        result.calls.push({ name, args });
        return run(args);
      }, { name, description, schema }));
    const model = open(job).bindTools(tools);
    const messages = [...(job.messages ?? HI)];
    const first = await ask(model, messages, job.stream, result);
    messages.push(first);
    for (const call of first.tool_calls) {
      const used = tools.find((one) => one.name === call.name);
      const content = await used.invoke(call.args);
      messages.push(new ToolMessage({ content, tool_call_id: call.id }));
    }
    result.invalid = first.invalid_tool_calls.length;
    result.text = (await ask(model, messages, job.stream, result)).content;
  },

  async object(job, result) {
    const model = open(job).withStructuredOutput(ANSWER, { name: "weather", method: "jsonSchema" });
    if (!job.stream) result.object = await model.invoke(job.messages ?? HI);
    else for await (const part of await model.stream(job.messages ?? HI)) result.object = part;
  },

  async embed(job, result) {
    const { baseURL, apiKey, model } = job;
    const embedder = new OpenAIEmbeddings({ model, apiKey, maxRetries: 0,
      configuration: { baseURL } });
    result.vectors = await embedder.embedDocuments(job.input);
  },
});
