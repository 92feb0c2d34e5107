// Trying it: a chat through the real /v1 path, and the same request to copy.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, chatToken, sessionState } from "../lib/api";
import { ms, num } from "../lib/format";
import { tr } from "../lib/i18n";
import { place, setQuery } from "../lib/router";
import { overview } from "../lib/live";
import { said } from "../lib/said";
import { readEvents } from "../lib/sse";
import { createStore } from "../lib/store";
import { curl, nodeSnippet, pythonSnippet, type Ask } from "../lib/snippets";
import { Button, Code, describe, Empty, Link, Tabs } from "../ui/basics";

interface Turn {
  role: "user" | "assistant";
  content: string;
  thinking: string;
  error: string;
  running: boolean;
  firstMs: number | null;
  ms: number;
  tokens: number | null; // as the server counted, once it said so
  pieces: number; // events with text so far
  finish: string | null;
}

interface Conversation {
  system: string;
  think: "default" | "on" | "off";
  turns: Turn[];
}

// It outlives the place, so that a look at the log does not lose it; it is stored nowhere.
const conversation = createStore<Conversation>({ system: "", think: "default", turns: [] });
const running = createStore<AbortController | null>(null);

sessionState.subscribe(() => {
  if (sessionState.get() === "out") running.get()?.abort();
});

function setTurn(index: number, change: Partial<Turn>): void {
  const c = conversation.get();
  conversation.set({ ...c, turns: c.turns.map((t, i) => (i === index ? { ...t, ...change } : t)) });
}

function asked(c: Conversation, model: string): Ask {
  const messages: Ask["messages"] = c.system.trim() ? [{ role: "system", content: c.system }] : [];
  for (const t of c.turns) if (t.content) messages.push({ role: t.role, content: t.content });
  return { model, messages, stream: true, ...(c.think === "default" ? {} : { think: c.think === "on" }) };
}

interface Delta {
  content?: string | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
}

interface Chunk {
  choices?: { delta?: Delta; finish_reason?: string | null }[];
  usage?: { completion_tokens?: number } | null;
  error?: { message?: string };
}

async function stream(model: string): Promise<void> {
  const controller = new AbortController();
  running.set(controller);
  const ask = asked(conversation.get(), model);
  const c = conversation.get();
  const index = c.turns.length;
  const fresh: Turn = { role: "assistant", content: "", thinking: "", error: "", running: true, firstMs: null, ms: 0,
    tokens: null, pieces: 0, finish: null };
  conversation.set({ ...c, turns: [...c.turns, fresh] });
  const began = performance.now();
  const turn = { ...fresh };
  let frame = 0;
  const show = () => {
    frame = 0;
    turn.ms = performance.now() - began;
    setTurn(index, turn);
  };
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${chatToken()}` },
      body: JSON.stringify({ ...ask, stream_options: { include_usage: true } }),
      signal: controller.signal,
    });
    if (!response.ok || !response.body) throw await failure(response);
    for await (const event of readEvents(response.body)) {
      if (event.data === "[DONE]") break;
      take(turn, JSON.parse(event.data) as Chunk, began);
      if (!frame) frame = requestAnimationFrame(show);
    }
  } catch (error) {
    if (!controller.signal.aborted) turn.error = error instanceof TypeError ? tr("errorUnreachable") : describe(error);
    else turn.finish = "stopped";
  }
  cancelAnimationFrame(frame);
  turn.running = false;
  show();
  if (running.get() === controller) running.set(null);
}

function take(turn: Turn, chunk: Chunk, began: number): void {
  if (chunk.error) turn.error = tr("errorSaid", said(chunk.error.message ?? ""));
  if (typeof chunk.usage?.completion_tokens === "number") turn.tokens = chunk.usage.completion_tokens;
  const choice = chunk.choices?.[0];
  if (!choice) return;
  if (choice.finish_reason) turn.finish = choice.finish_reason;
  const text = choice.delta?.content ?? "";
  const thinking = choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? "";
  if (!text && !thinking) return;
  turn.firstMs ??= performance.now() - began;
  turn.pieces++;
  turn.content += text;
  turn.thinking += thinking;
}

async function failure(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as { error?: { message?: string } };
    return new ApiError(response.status, body.error?.message ?? "");
  } catch {
    return new ApiError(response.status, "");
  }
}

function useModels(): { models: string[] | null; error: string; again: () => void } {
  const [models, setModels] = useState<string[] | null>(null);
  const [error, setError] = useState("");
  const [count, setCount] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    (async () => {
      const response = await fetch("/v1/models", {
        credentials: "omit", headers: { Authorization: `Bearer ${chatToken()}` }, signal: controller.signal });
      if (!response.ok) throw await failure(response);
      const list = (await response.json()) as { data: { id: string }[] };
      setModels(list.data.map((m) => m.id));
      setError("");
    })().catch((e: unknown) => {
      if (!controller.signal.aborted) setError(e instanceof TypeError ? tr("errorUnreachable") : describe(e));
    });
    return () => controller.abort();
  }, [count]);
  return { models, error, again: () => setCount((n) => n + 1) };
}

export function Chat() {
  const { models, error, again } = useModels();
  const c = conversation.use();
  const busy = running.use() !== null;
  const named = place.use().query.get("model") ?? "";
  const model = named || models?.[0] || "";
  const [draft, setDraft] = useState("");
  const [copying, setCopying] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLTextAreaElement>(null);

  const last = c.turns[c.turns.length - 1];
  useEffect(() => {
    const node = box.current;
    // Follows what is written, unless somebody scrolled up to read.
    if (node && node.scrollHeight - node.scrollTop - node.clientHeight < 160) node.scrollTop = node.scrollHeight;
  }, [last?.content, last?.thinking, c.turns.length]);

  const submit = (event?: Event) => {
    event?.preventDefault();
    const text = draft.trim();
    if (!text || busy || !model) return;
    const user: Turn = { role: "user", content: text, thinking: "", error: "", running: false, firstMs: null, ms: 0,
      tokens: null, pieces: 0, finish: null };
    conversation.set({ ...c, turns: [...c.turns, user] });
    setDraft("");
    void stream(model);
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  };
  const repeat = () => {
    const turns = c.turns.slice(0, c.turns.length - 1);
    conversation.set({ ...c, turns });
    void stream(model);
  };
  if (models && models.length === 0) {
    return (
      <main class="place">
        <Empty title={tr("noModelsTitle")}>
          <p>{tr("noModelsText")}</p>
          <div class="actions left">
            <Button onClick={again}>{tr("tryAgain")}</Button>
            <Link to="/keys/add" class="button primary">{tr("addKeys")}</Link>
          </div>
        </Empty>
      </main>
    );
  }
  return (
    <main class="place chat">
      <h1 class="offscreen">{tr("chat")}</h1>
      <div class="toolbar">
        <label class="inline-field">
          <span>{tr("model")}</span>
          <select value={model} onChange={(e) => setQuery({ model: e.currentTarget.value }, true)}>
            {named && !models?.includes(named) && <option value={named}>{named}</option>}
            {(models ?? []).map((m) => <option key={m} value={m}>{m}</option>)}
          </select>
        </label>
        <label class="inline-field">
          <span>{tr("thinking")}</span>
          <select value={c.think} onChange={(e) => conversation.set({ ...c, think: e.currentTarget.value as Conversation["think"] })}>
            <option value="default">{tr("thinkDefault")}</option>
            <option value="on">{tr("thinkOn")}</option>
            <option value="off">{tr("thinkOff")}</option>
          </select>
        </label>
        <span class="grow" />
        <Button pressed={copying} onClick={() => setCopying(!copying)}>{tr("asCode")}</Button>
        <Button disabled={c.turns.length === 0 || busy} onClick={() => conversation.set({ ...c, turns: [] })}>{tr("clear")}</Button>
      </div>
      {error && <p class="bad" role="alert">{error} <Button onClick={again}>{tr("tryAgain")}</Button></p>}
      {copying && <Snippets ask={{ ...asked(withDraft(c, draft), model) }} />}
      <div class="turns" ref={box} tabIndex={0} role="log" aria-label={tr("chat")}>
        {c.turns.length === 0 && <p class="faint hint">{tr("chatHint")}</p>}
        {c.turns.map((t, i) => (
          <TurnView key={i} turn={t} onAgain={i === c.turns.length - 1 && !busy ? repeat : undefined} />
        ))}
      </div>
      <form class="composer" onSubmit={submit}>
        <details class="system">
          <summary>{tr("systemPrompt")}</summary>
          <textarea rows={2} value={c.system} aria-label={tr("systemPrompt")}
            onInput={(e) => conversation.set({ ...c, system: e.currentTarget.value })} />
        </details>
        <div class="line">
          <textarea ref={input} rows={2} value={draft} placeholder={tr("message")} aria-label={tr("message")}
            onInput={(e) => setDraft(e.currentTarget.value)} onKeyDown={pressed} />
          {busy
            ? <Button onClick={() => running.get()?.abort()}>{tr("stop")}</Button>
            : <Button kind="primary" type="submit" disabled={!draft.trim() || !model}>{tr("send")}</Button>}
        </div>
      </form>
    </main>
  );
}

/** What would be sent now, for the snippets: an example while there is nothing. */
function withDraft(c: Conversation, draft: string): Conversation {
  const text = draft.trim() || (c.turns.length === 0 ? tr("example") : "");
  const turns = c.turns[c.turns.length - 1]?.role === "assistant" && !draft.trim() ? c.turns.slice(0, -1) : c.turns;
  if (!text) return { ...c, turns };
  const turn: Turn = { role: "user", content: text, thinking: "", error: "", running: false, firstMs: null, ms: 0,
    tokens: null, pieces: 0, finish: null };
  return { ...c, turns: [...turns, turn] };
}

function TurnView({ turn: t, onAgain }: { turn: Turn; onAgain?: (() => void) | undefined }) {
  return (
    <article class={`turn ${t.role}`}>
      <h2>{t.role === "user" ? tr("you") : tr("answer")}</h2>
      {t.thinking && (
        <details class="thinking" open={t.running && !t.content}>
          <summary>{tr("thoughts", t.thinking.length)}</summary>
          <p>{t.thinking}</p>
        </details>
      )}
      {t.content && <p class="content">{t.content}</p>}
      {t.running && !t.content && !t.thinking && <p class="faint">{tr("waiting")}</p>}
      {t.error && <p class="bad" role="alert">{t.error}</p>}
      {t.role === "assistant" && (
        <p class="meta faint">
          {speed(t)}
          {onAgain && <Button kind="quiet" onClick={onAgain}>{tr("again")}</Button>}
        </p>
      )}
    </article>
  );
}

function speed(t: Turn): string {
  const parts: string[] = [];
  if (t.firstMs !== null) parts.push(tr("firstAfter", ms(t.firstMs)));
  const count = t.tokens ?? t.pieces;
  const seconds = (t.ms - (t.firstMs ?? t.ms)) / 1000;
  if (count > 0) parts.push(tr("tokenCount", count));
  if (count > 1 && seconds > 0.02) parts.push(tr("tokensPerSecond", num(Math.round((count / seconds) * 10) / 10)));
  if (t.finish === "stopped") parts.push(tr("stopped"));
  else if (t.finish === "length") parts.push(tr("cutByLength"));
  return parts.join(" · ");
}

function Snippets({ ask }: { ask: Ask }) {
  const [kind, setKind] = useState<"curl" | "python" | "node">("curl");
  const needsToken = overview.use()?.security.callersNeedToken ?? true;
  const token = needsToken ? "YOUR_API_TOKEN" : "";
  const text = { curl, python: pythonSnippet, node: nodeSnippet }[kind](ask, token);
  return (
    <section class="snippets">
      <Tabs label={tr("asCode")} value={kind} onChange={setKind}
        options={[["curl", "curl"], ["python", "Python"], ["node", "Node"]]} />
      <Code text={text} label={kind} />
      {needsToken && <p class="faint">{tr("tokenNote")}</p>}
    </section>
  );
}
