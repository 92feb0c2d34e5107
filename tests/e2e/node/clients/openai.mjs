// The official package, by its strictest readers: the stream helper, parse() and runTools().
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { ANSWER, HI, PLAIN_TOOLS, TOOLS } from "../jobs.mjs";

export const usageOf = (usage) =>
  usage && [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];

function note(result, message, finish, usage) {
  result.text = message.content;
  result.reasoning = message.reasoning_content;
  result.finish = finish;
  result.usage = usageOf(usage);
}

export function jobsOf(OpenAI, zodResponseFormat) {
  const open = ({ baseURL, apiKey }) =>
    new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 40_000 });
  const bodyOf = ({ model, messages = HI, body }) => ({ model, messages, ...body });

  return {
    async chat(job, result) {
      const got = await open(job).chat.completions.create(bodyOf(job));
      note(result, got.choices[0].message, got.choices[0].finish_reason, got.usage);
      result.logprobs = got.choices[0].logprobs?.content;
    },

    async stream(job, result) {
      const stream = open(job).chat.completions.stream({
        ...bodyOf(job), stream_options: { include_usage: true } });
      result.text = "";
      stream.on("content", (delta) => (result.text += delta));
      stream.on("chunk", (chunk) => {
        const more = chunk.choices[0]?.delta.reasoning_content;
        if (more) result.reasoning = (result.reasoning ?? "") + more;
      });
      const final = await stream.finalChatCompletion();
      const { message, finish_reason } = final.choices[0];
      note(result, { ...message, reasoning_content: result.reasoning }, finish_reason, final.usage);
      result.logprobs = final.choices[0].logprobs?.content;
    },

    async tools(job, result) {
      result.calls = [];
      const tools = PLAIN_TOOLS.map((tool) => ({
        ...tool, function: { ...tool.function, parse: JSON.parse, function: (args) => {
          result.calls.push({ name: tool.function.name, args });
          return TOOLS[tool.function.name].run(args);
        } } }));
      const runner = open(job).chat.completions.runTools({
        ...bodyOf(job), tools, stream: job.stream });
      result.text = await runner.finalContent();
    },

    async object(job, result) {
      const response_format = zodResponseFormat(ANSWER, "weather");
      if (job.stream) {
        const stream = open(job).chat.completions.stream({ ...bodyOf(job), response_format });
        result.object = (await stream.finalChatCompletion()).choices[0].message.parsed;
      } else {
        const got = await open(job).chat.completions.parse({ ...bodyOf(job), response_format });
        result.object = got.choices[0].message.parsed;
      }
    },

    async embed(job, result) {
      const got = await open(job).embeddings.create({ model: job.model, input: job.input });
      result.vectors = got.data.map((item) => item.embedding);
    },

    async complete(job, result) {
      const options = { model: job.model, prompt: job.prompt, ...job.body };
      const got = await open(job).completions.create(options);
      result.text = "";
      for await (const part of job.body?.stream ? got : [got]) {
        result.text += part.choices[0]?.text ?? "";
        result.finish = part.choices[0]?.finish_reason ?? result.finish;
        result.usage = usageOf(part.usage) ?? result.usage;
        result.logprobs = part.choices[0]?.logprobs ?? result.logprobs;
      }
    },
  };
}

export default () => jobsOf(OpenAI, zodResponseFormat);
