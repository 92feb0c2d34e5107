// said(text): a sentence that the server wrote, in the page's language. See sentences.ts.
import { lang } from "./prefs";
import { SENTENCES } from "./sentences";

interface Pattern {
  match: RegExp;
  deep: boolean[]; // of each part: it is a sentence itself
  zh: string;
}

const DEPTH = 4;
const LONGEST = 2048; // more is no sentence of the server's

let exact: Map<string, string> | null = null;
let patterns: Pattern[] = [];

/** Made when first asked for: a page in English never needs it. */
function prepare(): Map<string, string> {
  const whole = new Map<string, string>();
  const parts = SENTENCES.filter(([en]) => en.includes("{"));
  for (const [en, zh] of SENTENCES) if (!en.includes("{")) whole.set(en, zh);
  // The one that says most is tried first.
  const literal = (en: string) => en.replace(/\{~?\}/g, "").length;
  parts.sort((a, b) => literal(b[0]) - literal(a[0]));
  patterns = parts.map(([en, zh]) => ({
    match: new RegExp(`^${en.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{~?\}/g, "([^]*?)")}$`),
    deep: (en.match(/\{~?\}/g) ?? []).map((hole) => hole === "{~}"),
    zh,
  }));
  return whole;
}

function chinese(text: string, depth: number): string | null {
  exact ??= prepare();
  const known = exact.get(text);
  if (known !== undefined) return known;
  if (depth === 0 || text.length > LONGEST) return null;
  for (const p of patterns) {
    const found = p.match.exec(text);
    if (!found) continue;
    const holes = found.slice(1).map((part, i) => (p.deep[i] ? inner(part, depth - 1) : part));
    return p.zh.replace(/\{(\d)\}/g, (_all, n: string) => holes[Number(n)] ?? "");
  }
  return withTail(text, depth);
}

/** "ours: theirs", or ours of two sentences. */
function withTail(text: string, depth: number): string | null {
  for (let at = text.indexOf(": "); at >= 0; at = text.indexOf(": ", at + 1)) {
    const head = chinese(text.slice(0, at), 0) ?? lineOf(text.slice(0, at));
    if (head !== null) return `${head}：${inner(text.slice(at + 2), depth - 1)}`;
  }
  return null;
}

function lineOf(text: string): string | null {
  const found = /^line (\d+)$/.exec(text);
  return found ? `第 ${found[1]} 行` : null;
}

/** Within a sentence of ours: what is not ours is quoted. */
function inner(text: string, depth: number): string {
  if (text === "") return "";
  return chinese(text, depth) ?? `“${text}”`;
}

/** Heads of sentences that say once more what stands beside them: the host, or that a key is dead. */
const HEADS = /^(?:refused: (?=the upstream refused)|(?:cannot connect to the upstream: )?cannot connect to '[^']*'(?: \([^)]*\))?: (?=.))/;

/** What is left to say in a row or a sentence that names host and state. */
export function brief(text: string): string {
  return said(text.replace(HEADS, ""));
}

export function said(text: string): string {
  return lang.get() === "zh" ? (chinese(text, DEPTH) ?? text) : text;
}
