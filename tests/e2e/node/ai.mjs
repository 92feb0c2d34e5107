// The package "ai" over one of its providers.
import { embedMany, generateText, isStepCount, Output, streamText, tool } from "ai";
import { ANSWER, HI, TOOLS } from "./jobs.mjs";

const usageOf = (usage) => usage && [usage.inputTokens, usage.outputTokens, usage.totalTokens];

// modelOf(job) and embedderOf(job) come from the provider.
export function jobsOf(modelOf, embedderOf) {
  const options = (job) => ({
    model: modelOf(job), messages: job.messages ?? HI, maxRetries: 0, ...job.options });

  async function streamed(settings, result) {
    const got = streamText({ ...settings, onError() {} });
    result.text = "";
    let failed;
    for await (const part of got.fullStream) {
      if (part.type === "text-delta") result.text += part.text;
      if (part.type === "reasoning-delta") result.reasoning = (result.reasoning ?? "") + part.text;
      if (part.type === "error") failed ??= part.error;
    }
    // The payload of an error event comes as it is.
    if (failed) throw failed instanceof Error ? failed : Object.assign(new Error(), failed);
    return got;
  }

  return {
    async chat(job, result) {
      const got = await generateText(options(job));
      result.text = got.text;
      result.reasoning = got.reasoningText;
      result.finish = got.finishReason;
      result.usage = usageOf(got.usage);
    },

    async stream(job, result) {
      const got = await streamed(options(job), result);
      result.finish = await got.finishReason;
      result.usage = usageOf(await got.usage);
    },

    async tools(job, result) {
      result.calls = [];
      const tools = Object.fromEntries(Object.entries(TOOLS).map(([name, { description, schema, run }]) =>
        [name, tool({ description, inputSchema: schema, execute: async (args) => {
          result.calls.push({ name, args });
          return run(args);
        } })]));
      const settings = { ...options(job), tools, stopWhen: isStepCount(2) };
      if (job.stream) result.text = await (await streamed(settings, result)).text;
      else result.text = (await generateText(settings)).text;
    },

    async object(job, result) {
      const settings = { ...options(job), output: Output.object({ schema: ANSWER }) };
      result.object = job.stream ? await (await streamed(settings, result)).output
        : (await generateText(settings)).output;
    },

    async embed(job, result) {
      const got = await embedMany({ model: embedderOf(job), values: job.input, maxRetries: 0 });
      result.vectors = got.embeddings;
    },
  };
}
