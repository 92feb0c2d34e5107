// A made-up pool for working on the page: many keys in all states, traffic, problems.

const CAUSES = {
  cooling: ["limited (the upstream named the time): the upstream's rate limit is reached: you (ann) have reached your weekly usage limit", "stated"],
  dead: ["refused: the upstream refused our credentials", null],
};

const REFUSED = "cannot connect to '192.168.1.5:11434' (192.168.1.5): connection refused";

function random(seed) {
  let x = seed >>> 0;
  return () => ((x = (Math.imul(x, 1664525) + 1013904223) >>> 0) / 2 ** 32);
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

export function makeWorld({ keys = 41175, well = false, hostDown = !well } = {}) {
  const rnd = random(7);
  const word = (n) => Array.from({ length: n }, () => ALPHABET[Math.floor(rnd() * 36)]).join("");
  const now = Date.now();
  const hosts = ["https://ollama.com/api", "http://192.168.1.5:11434", "https://gpu.example.org:8443"];
  const list = [];
  for (let i = 1; i <= keys; i++) {
    const r = rnd();
    const status = well || keys < 10 ? "ready" : r < 0.69 ? "ready" : r < 0.85 ? "cooling" : r < 0.995 ? "dead" : "disabled";
    const host = keys < 10 ? hosts[i % 2] : r < 0.002 ? hosts[1] : r < 0.01 ? hosts[2] : hosts[0];
    list.push(makeKey(i, status, host, { rnd, word, now }));
  }
  if (hostDown && list[1]) {
    const key = list[1];
    Object.assign(key, { status: "cooling", healthy: false, baseUrl: hosts[1], reason: REFUSED, cause: "connect",
      coolingUntil: new Date(now + 95e3).toISOString() });
  }
  return { list, hosts, hostDown: hostDown && keys > 0, startedAt: new Date(now - 3 * 86400e3).toISOString(), log: makeLog(rnd, list, now), version: 1,
    lastImport: null, nextId: keys + 1 };
}

function makeKey(id, status, host, { rnd, word, now }) {
  const requests = Math.floor(rnd() ** 3 * 4000);
  const [reason, source] = CAUSES[status] ?? [null, null];
  const time = (ms) => new Date(now - ms).toISOString();
  const keyless = host.startsWith("http://192");
  return {
    id: String(id), key: keyless ? "" : `sk-${word(1)}…${word(4)}`, baseUrl: host,
    name: keyless ? "workshop" : id % 9 === 0 ? `team ${word(3)}` : null,
    enabled: status !== "disabled", healthy: status === "ready", status,
    lastCheck: time(rnd() * 3600e3), lastUsed: requests ? time(rnd() * 7200e3) : null,
    lastError: reason, addedAt: time(86400e3 * (1 + rnd() * 30)),
    totalRequests: requests, failedRequests: Math.floor(requests * rnd() ** 4 * 0.3), totalTokens: requests * 812,
    coolingUntil: status === "cooling" ? new Date(now + rnd() * 3 * 86400e3 + 5e3).toISOString() : null,
    account: host.includes("ollama.com") && id % 4 === 0 ? "ann" : null,
    cause: status === "cooling" ? "limit" : status === "dead" ? "refused" : "none", source, reason, since: time(rnd() * 90000e3),
  };
}

const MODELS = ["gpt-oss:120b", "qwen3-coder:480b", "deepseek-v3.1:671b", "llama3.2", "nomic-embed-text"];

function makeLog(rnd, keys, now) {
  const out = [];
  for (let i = 0; i < 400; i++) out.push(makeEntry(10_000 - i, now - i * 1700, rnd, keys));
  return keys.length ? out : [];
}

export function makeEntry(id, at, rnd, keys) {
  const r = rnd();
  const key = keys[Math.floor(rnd() * keys.length)];
  const status = r < 0.94 ? 200 : r < 0.96 ? 429 : r < 0.98 ? 502 : 400;
  const model = MODELS[Math.floor(rnd() ** 2 * MODELS.length)];
  const embed = model.startsWith("nomic");
  const first = 120 + rnd() ** 3 * 4000;
  return {
    id, at: new Date(at).toISOString(), route: embed ? "embeddings" : "chat", model, keyId: key?.id ?? null,
    keyName: key?.name ?? null, keyMask: key?.key ?? null, host: key?.baseUrl ?? null, status, stream: !embed,
    firstMs: status === 200 ? Math.round(first) : null, ms: Math.round(first + rnd() * 9000),
    tokensIn: status === 200 ? Math.floor(rnd() * 3000) : null, tokensOut: status === 200 && !embed ? Math.floor(rnd() * 900) : null,
    end: status === 200 ? (rnd() < 0.02 ? "gone" : "done") : "error", attempts: rnd() < 0.1 ? 3 : 1, caller: "10.0.0.7",
  };
}

export function statesOf(world) {
  const s = { ready: 0, cooling: 0, dead: 0, disabled: 0 };
  for (const k of world.list) s[k.status]++;
  return s;
}

export function hostsOf(world) {
  const all = new Map();
  for (const k of world.list) {
    const h = all.get(k.baseUrl) ?? { host: k.baseUrl, keyed: k.key !== "", states: { ready: 0, cooling: 0, dead: 0, disabled: 0 },
      cooling: false, cause: "none", reason: null, until: null, since: null, models: 31 };
    h.states[k.status]++;
    if (world.hostDown && k.baseUrl === world.hosts[1])
      Object.assign(h, { cooling: true, cause: "connect", reason: REFUSED, models: null,
        until: new Date(Date.now() + 95e3).toISOString(), since: new Date(Date.now() - 125e3).toISOString() });
    all.set(k.baseUrl, h);
  }
  return [...all.values()].sort((a, b) => total(b) - total(a));
}

const total = (h) => Object.values(h.states).reduce((a, b) => a + b, 0);

export function problemsOf(world) {
  const s = statesOf(world);
  const out = [];
  const add = (kind, rest) => out.push({ kind, host: null, count: 0, cause: null, source: null, since: null, until: null, text: "", ...rest });
  if (world.hostDown) add("host", { host: world.hosts[1], count: 1, cause: "connect", text: REFUSED, since: new Date(Date.now() - 125e3).toISOString(),
    until: new Date(Date.now() + 95e3).toISOString() });
  if (s.dead > 0) add("dead", { host: world.hosts[0], count: s.dead });
  if (s.cooling > 1) add("limit", { host: world.hosts[0], count: s.cooling, source: "stated", limit: "weekly", until: new Date(Date.now() + 3.2 * 86400e3).toISOString() });
  return out;
}

export function seriesOf(world, range) {
  const [n, step] = { "1h": [60, 60], "24h": [144, 600], "30d": [720, 3600] }[range];
  const rnd = random(3);
  const quiet = world.list.length === 0;
  const start = Math.floor(Date.now() / 1000 / step - n + 1) * step;
  const wave = (i) => 0.6 + 0.4 * Math.sin((i / n) * 12);
  const list = (f) => Array.from({ length: n }, (_, i) => (quiet ? 0 : f(i)));
  const requests = list((i) => Math.round(step * 0.7 * wave(i) * (0.8 + rnd() * 0.4)));
  const p50 = list((i) => Math.round(340 * (0.9 + rnd() * 0.3) + 80 * wave(i)));
  return {
    range, stepSeconds: step, start, requests, errors: requests.map((r) => Math.round(r * 0.02 * rnd() ** 3 * 4)),
    p50: quiet ? p50.map(() => null) : p50, p95: quiet ? p50.map(() => null) : p50.map((v) => Math.round(v * (2.4 + rnd()))),
    tokensIn: requests.map((r) => r * 900), tokensOut: requests.map((r) => Math.round(r * 420 * (0.8 + rnd() * 0.4))),
    top: quiet ? { models: [], errors: [], hosts: [] } : {
      models: MODELS.map((model, i) => ({ model, requests: Math.round(30211 / (i + 1) ** 2), errors: 31 >> i, tokens: 100 })),
      errors: [{ status: 429, end: "error", count: 211 }, { status: 502, end: "error", count: 37 }],
      hosts: world.hosts.map((host, i) => ({ host, requests: Math.round(40000 / (i + 1) ** 3), errors: 40 >> i })),
    },
  };
}
