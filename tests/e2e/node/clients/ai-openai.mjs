// .chat(): without it the provider asks another route.
import { createOpenAI } from "@ai-sdk/openai";
import { jobsOf } from "../ai.mjs";

const open = ({ baseURL, apiKey }) => createOpenAI({ baseURL, apiKey });

export default () => jobsOf((job) => open(job).chat(job.model),
  (job) => open(job).textEmbeddingModel(job.model));
