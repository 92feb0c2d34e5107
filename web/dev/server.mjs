// A stand-in for the program, for working on the page: node dev/server.mjs DIST [keys] [well] [port]
// It plays the admin API over a made-up pool. What counts is tested against the program itself.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { hostsOf, makeEntry, makeWorld, problemsOf, seriesOf, statesOf } from "./world.mjs";

const PASSWORD = "admin123";
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "object-src 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export async function serve({ dist, keys, well, hostDown, port = 0 }) {
  const state = { world: makeWorld({ keys, well, hostDown }), sessions: new Set(), jobs: new Map() };
  const server = createServer((request, response) => {
    handle(state, dist, request, response).catch((error) => {
      if (!response.headersSent) json(response, error.status ?? 500, { error: String(error.message) });
      else response.end();
    });
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return { server, state, url: `http://127.0.0.1:${server.address().port}` };
}

function json(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(body));
}

function fail(status, message) {
  throw Object.assign(new Error(message), { status });
}

async function bodyOf(request) {
  let text = "";
  for await (const piece of request) text += piece;
  return text ? JSON.parse(text) : {};
}

function file(response, dist, name) {
  const bytes = readFileSync(join(dist, basename(name)));
  response.writeHead(200, { "Content-Type": TYPES[name.split(".").pop()], "Content-Security-Policy": CSP });
  response.end(bytes);
}

async function handle(state, dist, request, response) {
  const url = new URL(request.url, "http://x");
  const path = url.pathname;
  if (path.startsWith("/v1/")) return openai(request, response, path);
  if (path.startsWith("/admin/assets/")) return file(response, dist, path);
  if (path === "/admin/login") {
    const { password } = await bodyOf(request);
    if (password !== PASSWORD) fail(401, "wrong password");
    const id = Math.random().toString(36).slice(2);
    state.sessions.add(id);
    response.setHeader("Set-Cookie", `sid=${id}; HttpOnly; SameSite=Strict; Path=/admin`);
    return json(response, 200, { success: true, token: `o2s_${id}` });
  }
  if (!path.startsWith("/admin/api/") && path !== "/admin/logout") return file(response, dist, "index.html");
  const sid = /sid=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
  if (!state.sessions.has(sid)) fail(401, "log in first");
  if (path === "/admin/logout") {
    state.sessions.delete(sid);
    return json(response, 200, { success: true });
  }
  const route = `${request.method} ${path.slice("/admin/api".length)}`;
  for (const [pattern, run] of ROUTES) {
    const match = pattern.exec(route);
    if (match) return run({ state, world: state.world, url, request, response, match });
  }
  fail(404, "no such route");
}

function matching(world, { q, status, host }) {
  const words = (q ?? "").toLowerCase();
  const states = status ? status.split(",") : null;
  return world.list.filter((k) =>
    (!states || states.includes(k.status)) && (!host || k.baseUrl === host) &&
    (!words || [k.key, k.name, k.baseUrl, k.account, k.lastError].join(" ").toLowerCase().includes(words)));
}

const SORT = { added: "addedAt", name: "name", status: "status", host: "baseUrl", requests: "totalRequests", failed: "failedRequests",
  tokens: "totalTokens", used: "lastUsed", until: "coolingUntil" };

function page({ world, url, response }) {
  const p = Object.fromEntries(url.searchParams);
  const list = matching(world, p);
  const name = SORT[(p.sort ?? "").replace("-", "")];
  if (name) {
    const by = p.sort.startsWith("-") ? -1 : 1;
    list.sort((a, b) => ((a[name] ?? "") < (b[name] ?? "") ? -by : (a[name] ?? "") > (b[name] ?? "") ? by : 0));
  }
  const offset = Number(p.offset ?? 0);
  json(response, 200, { keys: list.slice(offset, offset + Number(p.limit ?? 1000)), total: list.length, summary: {} });
}

function find(world, id) {
  return world.list.find((k) => k.id === decodeURIComponent(id)) ?? fail(404, "no key has this id");
}

function act(world, key, action) {
  world.version++;
  if (action === "delete") world.list = world.list.filter((k) => k !== key);
  else if (action === "disable") Object.assign(key, { status: "disabled", enabled: false });
  else if (action === "enable" && key.status === "disabled") Object.assign(key, { status: "ready", enabled: true });
  else if (action === "reset" && key.enabled) Object.assign(key, { status: "ready", coolingUntil: null });
  else if (action === "check") key.lastCheck = new Date().toISOString();
}

async function bulk({ state, world, request, response }) {
  const { ids, filter, action } = await bodyOf(request);
  const list = filter ? matching(world, filter) : ids.map((id) => find(world, id));
  if (list.length <= 200) {
    for (const key of list) act(world, key, action);
    return json(response, 200, { success: true, count: list.length });
  }
  json(response, 202, { job: startJob(state, list, action) });
}

function startJob(state, list, action) {
  const id = `j${state.jobs.size + 1}`;
  const job = { state: "running", done: 0, total: list.length };
  state.jobs.set(id, job);
  (async () => {
    const set = new Set(list);
    for (const key of set) {
      if (job.state !== "running") return;
      if (action !== "delete") act(state.world, key, action);
      if (++job.done % 100 === 0) await wait(20);
    }
    if (action === "delete") state.world.list = state.world.list.filter((k) => !set.has(k));
    job.state = "done";
  })();
  return id;
}

async function batch({ world, url, request, response }) {
  const { keys, baseUrl } = await bodyOf(request);
  const dry = url.searchParams.has("dryRun");
  const result = { added: [], addedCount: 0, duplicates: [], duplicateCount: 0, errors: [], errorCount: 0, notes: [] };
  const seen = new Set(world.list.map((k) => k.plain));
  const id = url.searchParams.get("import") ?? String(Date.now());
  keys.split("\n").forEach((raw, i) => {
    const input = raw.trim();
    if (!input || input.startsWith("#")) return;
    const scheme = /^(\w+):\/\//.exec(input)?.[1];
    if (scheme && !/^https?$/.test(scheme)) return void result.errors.push({ input, line: i + 1, place: `line ${i + 1}`, error: "URL does not begin with http:// or https://" });
    if (/\s/.test(input)) return void result.errors.push({ input, line: i + 1, place: `line ${i + 1}`, error: "the key holds a blank" });
    if (seen.has(input)) return void result.duplicates.push({ ...blank(world, 0), key: input.length > 20 ? `${input.slice(0, 4)}…${input.slice(-4)}` : "•••", line: i + 1 });
    seen.add(input);
    const key = { ...blank(world, dry ? 0 : world.nextId++), key: input.length > 20 ? `${input.slice(0, 4)}…${input.slice(-4)}` : "•••", plain: input, import: id };
    if (baseUrl) key.baseUrl = baseUrl;
    result.addedCount++;
    if (result.added.length < 1000) result.added.push({ ...key, line: i + 1 });
    if (!dry) world.list.push(key);
  });
  result.duplicateCount = result.duplicates.length;
  result.errorCount = result.errors.length;
  if (!dry && result.addedCount) {
    result.import = id;
    world.version++;
    const old = world.lastImport?.id === id ? world.lastImport.count : 0;
    world.lastImport = { id, at: new Date().toISOString(), count: old + result.addedCount, left: old + result.addedCount };
  }
  json(response, 200, result);
}

function blank(world, id) {
  return { id: String(id), key: "", baseUrl: world.hosts[0], name: null, enabled: true, healthy: true, status: "ready", lastCheck: null, lastUsed: null,
    lastError: null, addedAt: new Date().toISOString(), totalRequests: 0, failedRequests: 0, totalTokens: 0, coolingUntil: null, account: null,
    cause: "none", source: null, reason: null, since: null };
}

async function events(response, list) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for await (const [event, data] of list) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  response.end();
}

async function* live(world, withLog, response) {
  let n = 20_000;
  let requests = 1_204_331;
  while (!response.closed) {
    requests += 42;
    yield ["tick", { at: new Date().toISOString(), requests: world.list.length ? requests : 0, errors: world.list.length ? 4821 : 0,
      perSecond: world.list.length ? 42 : 0, streams: world.list.length ? 117 : 0, connections: world.list.length ? 131 : 1, states: statesOf(world),
      version: world.version }];
    if (withLog && world.list.length) {
      const entry = makeEntry(++n, Date.now(), Math.random, world.list);
      world.log.unshift(entry);
      yield ["log", { entries: [entry], skipped: 0 }];
    }
    await wait(1000);
  }
}

async function* testSteps(request) {
  const { model } = await bodyOf(request);
  const steps = [["choose", model ?? "llama3.2"], ["connect", null], ["tls", null], ["sent", null], ["first_byte", "status 200"],
    ["first_token", null], ["end", null]];
  let ms = 0;
  for (const [step, detail] of steps) {
    await wait(120);
    yield ["step", { step, ms: (ms += 123), ok: true, detail }];
  }
  yield ["done", { ok: true, status: 200, model: model ?? "llama3.2", text: "Hello! How can I help?", tokens: 9, ms, error: null }];
}

function settings() {
  const rows = [["PORT", "3000", "default", "port"], ["HOST", "0.0.0.0", "default", "address to bind"], ["ADMIN_PASSWORD", "", "environment", "", true],
    ["API_TOKEN", "", ".env", "", true], ["OLLAMA_BASE_URL", "https://ollama.com", "default", ""], ["HEALTH_CHECK_INTERVAL", "60", "default", ""],
    ["MAX_RETRIES", "4", ".env", ""], ["LOG_LEVEL", "info", "default", ""], ["CA_FILE", "", "default", ""],
    ["UPSTREAM_ALLOW_CIDRS", "10.0.0.0/8,192.168.0.0/16,172.16.0.0/12,fd00::/8", "environment", ""]];
  return rows.map(([name, value, origin, help, secret]) => ({ name, value, origin, secret: !!secret, set: !!secret || value !== "", default: "", help,
    restart: name === "PORT" || name === "HOST" }));
}

function stats(key) {
  const out = {};
  for (let i = 0; i < 12; i++) out[new Date(Date.now() - i * 86400e3).toISOString().slice(0, 10)] = { [key]: { success: 40 + ((i * 37) % 90), fail: (i * 5) % 11, tokens: 40000 } };
  return out;
}

function moves(key) {
  const at = (ms) => new Date(Date.now() - ms).toISOString();
  const m = (ms, from, to, cause, reason, source = null) => ({ at: at(ms), from, to, cause, reason, source, until: null });
  if (!key.since) return [];
  const last = Date.now() - Date.parse(key.since);
  const now = { ready: ["time", "its cooling is over"], disabled: ["person", "disabled by a person"] }[key.status] ?? [key.cause, key.reason, key.source];
  const before = key.status === "ready" ? "cooling" : "ready";
  return [m(last, before, key.status, ...now),
    ...(before === "cooling" ? [m(last + 3600e3, "ready", "cooling", "limit", "limited (the upstream named the time): the upstream's rate limit is reached; try again in 3600 s", "stated")] : []),
    m(last + 18 * 3600e3, "cooling", "ready", "time", "its cooling is over"), m(last + 24 * 3600e3, "ready", "cooling", "failures", "3 failures in a row; the last: the upstream ended its answer before it was complete"),
    m(last + 68 * 3600e3, "disabled", "ready", "person", "enabled by a person")];
}

function logPage({ world, url, response }) {
  const p = Object.fromEntries(url.searchParams);
  const bad = (e) => e.status >= 400;
  const list = world.log.filter((e) => (!p.status || (p.status === "ok" ? !bad(e) : p.status === "error" ? bad(e) : e.status === Number(p.status))) &&
    (!p.model || e.model === p.model) && (!p.route || e.route === p.route) && (!p.key || String(e.keyId) === p.key) && (!p.host || e.host === p.host) &&
    (!p.before || e.id < Number(p.before)) && (!p.q || JSON.stringify(e).toLowerCase().includes(p.q.toLowerCase())));
  const limit = Number(p.limit ?? 100);
  json(response, 200, { entries: list.slice(0, limit), more: list.length > limit, kept: world.log.length, capacity: 2000 });
}

const ROUTES = [
  [/^GET \/session$/, ({ response }) => json(response, 200, { csrf: "c", chatToken: "t" })],
  [/^GET \/overview$/, ({ world, response }) => json(response, 200, {
    now: new Date().toISOString(), version: "3.0.0", startedAt: world.startedAt, states: statesOf(world), hosts: hostsOf(world), hostsTotal: hostsOf(world).length,
    problems: problemsOf(world), wellSince: problemsOf(world).length ? null : world.startedAt,
    upstream: world.list.length ? { kind: "keys", url: null, up: true } : { kind: "local", url: "http://127.0.0.1:11434", up: true },
    security: { encrypted: false, defaultPassword: false, callersNeedToken: world.list.length > 3, loopback: true }, lastImport: world.lastImport })],
  [/^GET \/series$/, ({ world, url, response }) => json(response, 200, seriesOf(world, url.searchParams.get("range")))],
  [/^GET \/live$/, ({ world, url, response }) => events(response, live(world, url.searchParams.has("log"), response))],
  [/^GET \/log$/, logPage],
  [/^GET \/log\/(\d+)$/, ({ world, match, response }) => {
    const entry = world.log.find((e) => e.id === Number(match[1])) ?? fail(404, "");
    const one = (verdict, status, text) => ({ keyId: entry.keyId, keyName: entry.keyName, keyMask: entry.keyMask, host: entry.host, status, verdict, text, ms: 431 });
    const failed = one("limited", 429, "the upstream's rate limit is reached; try again in 1800 s");
    json(response, 200, { entry, attempts: entry.attempts > 1 ? [failed, failed, one("ok", 200, null)] : [one(entry.status < 400 ? "ok" : "limited", entry.status, null)] });
  }],
  [/^GET \/settings$/, ({ response }) => json(response, 200, { settings: settings() })],
  [/^GET \/stats$/, ({ url, response }) => json(response, 200, { stats: stats(url.searchParams.get("key")) })],
  [/^GET \/keys$/, page],
  [/^POST \/keys\/batch$/, batch],
  [/^POST \/keys\/bulk$/, bulk],
  [/^POST \/keys\/check$/, ({ state, world, response }) => json(response, 202, { job: startJob(state, world.list, "check") })],
  [/^POST \/keys\/export$/, async ({ world, request, response }) => {
    const { password, ids, filter } = await bodyOf(request);
    if (password !== PASSWORD) fail(403, "the password is wrong");
    response.end((ids ? ids.map((id) => find(world, id)) : matching(world, filter ?? {})).map((k) => `${k.baseUrl}|sk-plain-${k.id}\n`).join(""));
  }],
  [/^GET \/jobs\/(\w+)$/, ({ state, match, response }) => json(response, 200, state.jobs.get(match[1]) ?? fail(404, "no such job"))],
  [/^DELETE \/jobs\/(\w+)$/, ({ state, match, response }) => { state.jobs.get(match[1]).state = "stopped"; json(response, 200, {}); }],
  [/^DELETE \/imports\/(\w+)$/, ({ world, match, response }) => {
    const before = world.list.length;
    world.list = world.list.filter((k) => k.import !== match[1]);
    world.lastImport = null;
    world.version++;
    json(response, 200, { success: true, removed: before - world.list.length });
  }],
  [/^POST \/hosts\/check$/, async ({ world, request, response }) => {
    const { host } = await bodyOf(request);
    world.hostDown = false;
    for (const k of world.list) if (k.baseUrl === host) k.status = "ready";
    json(response, 200, { success: true, host: hostsOf(world).find((h) => h.host === host) });
  }],
  [/^GET \/keys\/([^/]+)$/, ({ world, match, response }) => {
    const key = find(world, match[1]);
    json(response, 200, { key, host: hostsOf(world).find((h) => h.host === key.baseUrl), moves: moves(key) });
  }],
  [/^PATCH \/keys\/([^/]+)$/, async ({ world, match, request, response }) => {
    const key = find(world, match[1]);
    const change = await bodyOf(request);
    if (change.enabled !== undefined) act(world, key, change.enabled ? "enable" : "disable");
    if (change.name !== undefined) key.name = change.name;
    json(response, 200, { success: true, key });
  }],
  [/^DELETE \/keys\/([^/]+)$/, ({ world, match, response }) => { act(world, find(world, match[1]), "delete"); json(response, 200, { success: true }); }],
  [/^POST \/keys\/([^/]+)\/check$/, async ({ world, match, response }) => { await wait(300); const key = find(world, match[1]); act(world, key, "check"); json(response, 200, { success: true, key }); }],
  [/^POST \/keys\/([^/]+)\/test$/, ({ request, response }) => events(response, testSteps(request))],
];

const ANSWER = "Hello! A pool of keys is like a row of taps: when one runs dry, you turn the next. ".repeat(3);

async function openai(request, response, path) {
  if (path === "/v1/models") return json(response, 200, { object: "list", data: ["gpt-oss:120b", "llama3.2", "qwen3-coder:480b"].map((id) => ({ id })) });
  await bodyOf(request);
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  const send = (delta, rest = {}) => response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null, ...rest }] })}\n\n`);
  for (const word of "The user says hello. A short and friendly answer is right.".split(" ")) { send({ reasoning_content: `${word} ` }); await wait(8); }
  for (const word of ANSWER.split(" ")) { send({ content: `${word} ` }); await wait(8); }
  send({}, { finish_reason: "stop" });
  response.end(`data: ${JSON.stringify({ choices: [], usage: { completion_tokens: 61 } })}\n\ndata: [DONE]\n\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [dist, keys = "41175", mood = "", port = "3100"] = process.argv.slice(2);
  const { url } = await serve({ dist, keys: Number(keys), well: mood === "well", port: Number(port) });
  console.log(`${url}/admin (password ${PASSWORD})`);
}
