// One request for embeddings through the official SDK; the arguments come as JSON on the command
// line, what the SDK made of the answer goes out as one line of JSON.
import OpenAI from "openai";

const { baseURL, apiKey, body } = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const got = await client.embeddings.create(body);
console.log(JSON.stringify({
  vectors: got.data.map((item) => item.embedding),
  indexes: got.data.map((item) => item.index),
  usage: got.usage,
}));
