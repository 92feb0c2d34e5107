// What to copy: the same request in three languages, and how six clients are set up.

export interface Ask {
  model: string;
  messages: { role: string; content: string }[];
  stream: boolean;
  think?: boolean;
}

export const API_BASE = `${location.origin}/v1`;

function body(ask: Ask): Record<string, unknown> {
  return {
    model: ask.model,
    messages: ask.messages,
    stream: ask.stream,
    ...(ask.think === undefined ? {} : { think: ask.think }),
  };
}

/** For a POSIX shell, in single quotes. */
function quote(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

export function curl(ask: Ask, token: string): string {
  const auth = token ? ` \\\n  -H ${quote(`Authorization: Bearer ${token}`)}` : "";
  return (
    `curl ${ask.stream ? "-N " : ""}${API_BASE}/chat/completions${auth} \\\n` +
    `  -H 'Content-Type: application/json' \\\n  -d ${quote(JSON.stringify(body(ask), null, 2))}`
  );
}

/** JSON is Python, but for three words outside of strings. */
function python(value: unknown, indent: string): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  const inner = `${indent}    `;
  if (Array.isArray(value))
    return value.length === 0 ? "[]" : `[\n${value.map((v) => `${inner}${python(v, inner)},\n`).join("")}${indent}]`;
  if (typeof value === "object")
    return `{${Object.entries(value as object).map(([k, v]) => `${JSON.stringify(k)}: ${python(v, indent)}`).join(", ")}}`;
  return JSON.stringify(value);
}

export function pythonSnippet(ask: Ask, token: string): string {
  const extra = ask.think === undefined ? "" : `    extra_body={"think": ${python(ask.think, "")}},\n`;
  return (
    "from openai import OpenAI\n\n" +
    `client = OpenAI(base_url=${JSON.stringify(API_BASE)}, api_key=${JSON.stringify(token || "none")})\n` +
    "answer = client.chat.completions.create(\n" +
    `    model=${JSON.stringify(ask.model)},\n` +
    `    messages=${python(ask.messages, "    ")},\n` +
    (ask.stream ? "    stream=True,\n" : "") +
    extra +
    ")\n" +
    (ask.stream
      ? 'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)\n'
      : "print(answer.choices[0].message.content)\n")
  );
}

export function nodeSnippet(ask: Ask, token: string): string {
  const think = ask.think === undefined ? "" : `  // @ts-expect-error: not OpenAI's\n  think: ${ask.think},\n`;
  const messages = JSON.stringify(ask.messages, null, 2).replace(/\n/g, "\n  ");
  return (
    'import OpenAI from "openai";\n\n' +
    `const client = new OpenAI({ baseURL: ${JSON.stringify(API_BASE)}, apiKey: ${JSON.stringify(token || "none")} });\n` +
    "const answer = await client.chat.completions.create({\n" +
    `  model: ${JSON.stringify(ask.model)},\n  messages: ${messages},\n` +
    (ask.stream ? "  stream: true,\n" : "") +
    think +
    "});\n" +
    (ask.stream
      ? 'for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n'
      : "console.log(answer.choices[0].message.content);\n")
  );
}

export interface Client {
  name: string;
  where: "next" | "webui" | "lobe" | "cherry" | "chatbox" | "libre"; // the message that says where
  text: string;
}

export function clients(token: string, model: string): Client[] {
  const key = token || "none";
  return [
    {
      name: "ChatGPT Next Web",
      where: "next",
      text: `BASE_URL=${location.origin}\nOPENAI_API_KEY=${key}\nCUSTOM_MODELS=-all,+${model}`,
    },
    {
      name: "Open WebUI",
      where: "webui",
      text: `OPENAI_API_BASE_URL=${API_BASE}\nOPENAI_API_KEY=${key}\nENABLE_OLLAMA_API=false`,
    },
    {
      name: "LobeChat",
      where: "lobe",
      text: `OPENAI_PROXY_URL=${API_BASE}\nOPENAI_API_KEY=${key}\nOPENAI_MODEL_LIST=-all,+${model}`,
    },
    { name: "Cherry Studio", where: "cherry", text: `${location.origin}\n${key}` },
    { name: "ChatBox", where: "chatbox", text: `${location.origin}\n/v1/chat/completions\n${key}` },
    {
      name: "LibreChat",
      where: "libre",
      text:
        "endpoints:\n  custom:\n    - name: \"ollama2openai\"\n" +
        `      apiKey: "${key}"\n      baseURL: "${API_BASE}"\n` +
        `      models:\n        default: ["${model}"]\n        fetch: true\n      titleConvo: true\n`,
    },
  ];
}
