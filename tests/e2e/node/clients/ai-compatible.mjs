import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { jobsOf } from "../ai.mjs";

const open = ({ baseURL, apiKey }) => createOpenAICompatible({
  name: "ours", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });

export default () => jobsOf((job) => open(job)(job.model),
  (job) => open(job).textEmbeddingModel(job.model));
