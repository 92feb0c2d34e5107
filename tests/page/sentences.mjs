// What the server says and the page shows has a Chinese sentence: node sentences.mjs
// Reads the C source for texts, and web/src/lib/sentences.ts for what is known of them.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { check } from "./browser.mjs";

const TREE = new URL("../../", import.meta.url);
const web = createRequire(new URL("web/package.json", TREE));
const read = (path) => readFileSync(new URL(path, TREE), "utf8");

/** A module of the page, without its imports of others but types. */
async function load(path) {
  const built = await web("esbuild").build({ entryPoints: [new URL(path, TREE).pathname], bundle: true, format: "esm", write: false,
    define: { localStorage: "undefined", navigator: '{"languages":["zh-CN"]}', document: "{}" } });
  return import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].text).toString("base64")}`);
}

const FILES = [
  ...readdirSync(new URL("src/app", TREE)).filter((name) => /^admin.*\.c$/.test(name)).map((name) => `src/app/${name}`),
  ...["keeper", "health", "fetch", "upstream", "relay_answer"].map((name) => `src/app/${name}.c`),
  ...["admin_query", "admin_request", "keytext", "keyfile", "keyfile_rows", "ollama_line", "ollama_models"].map((name) => `src/codec/${name}.c`),
  ...["address", "attempts", "classify", "keypool", "keypool_health", "keypool_judge", "keypool_states"].map((name) => `src/core/${name}.c`),
  ...["client_conn", "client_dial", "resolve", "stream"].map((name) => `src/net/${name}.c`),
  "src/base/url.c", "src/store/sqlite.c",
];

/** Texts that are for the log, for callers of other routes, for the model, or put together with others. */
const NOT_SHOWN = [
  /^this route is not here|^there (is|are) no (channels|cache|caller tokens)/, // paths that the page does not ask for
  /^somebody logs in over plain HTTP/, // the log
  /^(before an answer|inside the answer|the proxy )$/, /^, each maybe with/, /^Bearer /, /^CONNECT /, /^Basic /, // parts
  /^the connection to '\{\}' ended \{\}: \{\}$|^cannot connect to \{\}'\{\}' \(\{\}\): \{\}$/, // both forms are there
  /^(callers' tokens|write to$|JSON list of strings|channels of |text, one key per line|table of keys|export of one key|model mapping)/, // names of formats
  /^\{\} ?#?\{\}$|^\{\}, key \{\}$|^\{\} (of \{\} )?\{\}$|^\{\} keys in /, // places and counts
  /^"?Say hello|^does not support thinking$|^; stored it is/, // for the model; of an upstream; half a sentence
  /is not an address or an address range|has no prefix length|^too many address ranges/, // settings, at the start
  /@\{\}|, \{\} more$|^cannot (start|listen)|is damaged \(SQLite|max-age|; Path=|^attachment|^text\/event|charset=|filename=/,
  /^(model $|try pulling it|\{\}: \{\}$|you \(|usage limit|session usage|hourly usage|weekly usage|concurrent request)/, // what upstreams say
  /^\{\} [A-Z]|^(PRAGMA|SELECT|INSERT|UPDATE|DELETE|CREATE|BEGIN|ATTACH|VACUUM) ?/,
];

/** Every text of a C file with its parts joined: literals that stand beside each other are one. */
function textsOf(path) {
  let source = read(path).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "").replace(/^#.*$/gm, "");
  if (path.endsWith("classify.c")) source = source.replace(/} TEXTS\[\] = \{[^]*?\n\};/, "").replace(/} LINES\[\] = \{[^]*?\n\};/, "");
  const literal = /"((?:[^"\\\n]|\\.)*)"(?:\s*"((?:[^"\\\n]|\\.)*)")*/g;
  return [...source.matchAll(literal)].map(([all]) => [...all.matchAll(/"((?:[^"\\\n]|\\.)*)"/g)].map((m) => m[1]).join("")
    .replace(/\\"/g, '"').replace(/%\.\*s|%\.\d+s|%s|%zu|%u|%d|%c|%llu|%lu/g, "{}"));
}

const { SENTENCES } = await load("web/src/lib/sentences.ts");
const { said } = await load("web/src/lib/said.ts");
const known = new Set(SENTENCES.map(([en]) => en.replaceAll("{~}", "{}")));
check(known.size === SENTENCES.length, "no sentence stands there twice");

const missing = [];
for (const path of FILES) {
  for (const text of textsOf(path)) {
    const sentence = /^[a-z'{]/.test(text) && / /.test(text) && !/[<>=\\]|&ignored/.test(text);
    if (sentence && !known.has(text) && !NOT_SHOWN.some((pattern) => pattern.test(text))) missing.push(`${path}: ${text}`);
  }
}
check(missing.length === 0, `each of these has a row in sentences.ts:\n${missing.join("\n")}`);

for (const [en, zh] of SENTENCES) {
  const holes = en.match(/\{~?\}/g)?.length ?? 0;
  for (const [, n] of zh.matchAll(/\{(\d)\}/g)) check(Number(n) < holes, `${zh} has no more parts than ${en}`);
}

/** What is ours is Chinese, what is theirs is quoted. */
const EXAMPLES = [
  ["the key holds a blank", "密钥含有空格"],
  ["3 failures in a row; the last: cannot connect to the upstream: cannot connect to 'h:1' (10.0.0.1): connection refused",
    "连续失败 3 次，最近一次：无法连接上游：无法连接“h:1”（10.0.0.1）：连接被拒绝"],
  ["limited (the upstream named the time): the upstream's rate limit is reached; try again in 300 s", "受限（时间由上游给出）：达到上游的用量限制；请在 300 秒后重试"],
  ["the upstream is overloaded: server busy: later", "上游过载：“server busy: later”"],
  ["upstreams may not be at '169.254.169.254': a cloud metadata address", "上游不能位于“169.254.169.254”：云平台元数据地址"],
  ["CUDA error: out of memory", "CUDA error: out of memory"],
  ["<img src=x>: it answers again", "<img src=x>: it answers again"],
  ["x".repeat(5000), "x".repeat(5000)],
];
for (const [en, zh] of EXAMPLES) check(said(en) === zh, `${en}\n is said as ${said(en)}\n and not as ${zh}`);

// Words of the API that are shown: each has a message in both languages, by its name.
const { messages } = await load("web/src/lib/messages.ts");
const words = (path, pattern) => [...read(path).matchAll(pattern)].map((m) => m[1]);
const faults = words("src/core/classify.c", /\[FAULT_\w+\] = \{"(\w+)"/g);
check(faults.length > 15, "the faults are found");
const ends = [...new Set([...faults, ...words("src/app/request.c", /(?:return|\?|:|why =) "(\w+)"/g), ...words("src/app/models.c", /why = "(\w+)"/g),
  ...words("src/app/relay.c", /why = "(\w+)"/g), ...words("src/app/relay_attempt.c", /"(no_upstream|no_key)"/g), "ok", "shutdown"])];
const wanted = [
  ...ends.map((word) => `end_${word}`),
  ...words("src/core/keypool.c", /\[CAUSE_\w+\] = "(\w+)"/g).filter((w) => w !== "none").map((word) => `cause_${word}`),
  ...words("src/core/config_table.c", /^    \{STR_C\("([A-Z][A-Z_]+)"\)/gm).map((name) => `help_${name}`),
  ...words("src/core/config.c", /\[CONFIG_(?:DEFAULT|DOTENV|ENVIRONMENT|FILE)\] = (?:STR_C\()?"([.\w]+)"/g).map((word) => `origin_${word}`),
  ...words("src/app/admin_test.c", /tell_step\(t, "(\w+)"/g).map((word) => `step_${word}`),
];
for (const kind of ["end_", "cause_", "help_", "origin_", "step_"]) check(wanted.some((name) => name.startsWith(kind)), `names of ${kind} are found`);
const wordless = wanted.filter((name) => !Object.hasOwn(messages, name));
check(wordless.length === 0, `each of these has a message: ${wordless.join(", ")}`);
