// Lists and retrieves models through the official SDK; the arguments come as JSON on the command
// line, the result goes out as one line of JSON.
import OpenAI from "openai";

const { baseURL, apiKey, id } = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const result = { ids: [] };

try {
  for await (const model of await client.models.list()) result.ids.push(model.id);
  result.model = await client.models.retrieve(id);
} catch (error) {
  result.error = { name: error.constructor.name, status: error.status, code: error.code };
}
console.log(JSON.stringify(result));
