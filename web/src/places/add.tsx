// Adding keys: paste or drop, a verdict before anything is stored, then progress, stop and undo.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, query } from "../lib/api";
import { num } from "../lib/format";
import { tr } from "../lib/i18n";
import { cut, countLines, without } from "../lib/keytext";
import { keysChanged, overview, watchJob } from "../lib/live";
import { go } from "../lib/router";
import { said } from "../lib/said";
import type { BatchFault, BatchResult } from "../lib/types";
import { Ago, BackLink, Button, Code, describe, Progress, Tabs } from "../ui/basics";
import { ask, tell, toast } from "../ui/dialog";
import { jobId } from "./keys";

const LOOK_MS = 400;
const LOOK_CHARS = 12 * 1024 * 1024; // of one request; the server takes 16 MiB
const LOOK_LINES = 200_000;
const IMPORT_LINES = 5000; // a piece is done at once, so that stopping is, too
const FILE_MAX = 64 * 1024 * 1024;
const SHOWN = 500;
const LARGE_CHARS = 100_000; // more is slow to show, and nobody reads it

const EXAMPLES = `sk-xxxxxxxxxxxxxxxx
https://example.com|sk-xxxxxxxx
https://example.com#sk-xxxxxxxx
https://example.com/sk-xxxxxxxxxxxxxxxxxxxx
http://192.168.1.5:11434`;

interface Verdict {
  added: number;
  newLines: NewLine[]; // the first ones
  known: NewLine[]; // likewise
  duplicates: number;
  errors: BatchFault[]; // the first ones
  errorCount: number;
  notes: string[];
}

interface NewLine {
  line: number | null;
  key: string;
  baseUrl: string;
}

interface Run {
  done: number; // lines sent
  total: number;
  added: number;
  duplicates: number;
  errors: number;
  import: string | number | null;
  state: "running" | "stopped" | "done" | "failed";
  error: string;
}

export function AddPlace() {
  return (
    <main class="place">
      <BackLink to="/keys">{tr("keys")}</BackLink>
      <h1>{tr("addKeys")}</h1>
      <AddKeys />
    </main>
  );
}

export function AddKeys({ embedded }: { embedded?: boolean }) {
  const [text, setText] = useState("");
  const [baseUrl, setBaseUrl] = useState("");
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [looking, setLooking] = useState(false);
  const [error, setError] = useState("");
  const [left, setLeft] = useState<ReadonlySet<number>>(new Set());
  const [run, setRun] = useState<Run | null>(null);
  const stop = useRef(false);
  useEffect(() => () => { stop.current = true; }, []);

  useEffect(() => {
    setLeft(new Set());
    setVerdict(null);
    setError("");
    if (!text.trim() || run?.state === "running") return;
    const controller = new AbortController();
    setLooking(true);
    const timer = setTimeout(() => {
      look(text, baseUrl, controller.signal).then(
        (v) => { setVerdict(v); setLooking(false); },
        (e: unknown) => {
          if (controller.signal.aborted) return;
          setLooking(false);
          setError(describe(e));
        },
      );
    }, LOOK_MS);
    return () => { clearTimeout(timer); controller.abort(); setLooking(false); };
  }, [text, baseUrl]);

  const start = async () => {
    stop.current = false;
    const end = await send(without(text, left), baseUrl, setRun, () => stop.current);
    keysChanged();
    if (end.state === "done") {
      setText("");
      if (end.added > 0) announce(end);
    }
  };
  const chosen = verdict ? verdict.added - left.size : 0;

  if (run) return <RunView run={run} onStop={() => { stop.current = true; }} onClose={() => setRun(null)} />;
  return (
    <div class="add">
      {!embedded && <LastImport />}
      <Paste value={text} onChange={setText} onError={setError} />
      <label class="field">
        <span>{tr("defaultHost")}</span>
        <input value={baseUrl} placeholder="https://ollama.com" onInput={(e) => setBaseUrl(e.currentTarget.value)}
          spellcheck={false} />
      </label>
      {!text.trim() && <Forms />}
      {looking && <p class="faint" role="status">{tr("looking")}</p>}
      {error && <p class="bad" role="alert">{error}</p>}
      {verdict && (
        <>
          <VerdictView verdict={verdict} left={left} setLeft={setLeft} />
          <div class="actions left">
            <Button kind="primary" disabled={chosen <= 0} onClick={start}>{tr("addCount", Math.max(0, chosen))}</Button>
            <Button onClick={() => setText("")}>{tr("cancel")}</Button>
          </div>
        </>
      )}
    </div>
  );
}

function announce(run: Run): void {
  const id = run.import;
  toast(tr("didAdd", run.added), id === null ? undefined : { word: tr("undo"), run: () => void undo(id, run.added) });
}

export async function undo(id: string | number, count: number): Promise<void> {
  if (!(await ask(tr("undoTitle", count), tr("undoText"), tr("undo")))) return;
  try {
    const answer = await api<{ removed: number }>("DELETE", `/imports/${encodeURIComponent(id)}`);
    toast(tr("didDelete", answer.removed));
  } catch (error) {
    void tell(tr("undo"), describe(error));
  }
  keysChanged();
}

/** Asks what the text would do. A text beyond one request's size is asked for in pieces. */
async function look(text: string, baseUrl: string, signal: AbortSignal): Promise<Verdict> {
  const all: Verdict = { added: 0, newLines: [], known: [], duplicates: 0, errors: [], errorCount: 0, notes: [] };
  for (const piece of cut(text, LOOK_LINES, LOOK_CHARS)) {
    const answer = await api<BatchResult>("POST", "/keys/batch?dryRun=1", {
      body: bodyOf(piece.text, baseUrl), signal });
    const shift = piece.firstLine - 1;
    all.added += answer.addedCount;
    all.duplicates += answer.duplicateCount;
    all.errorCount += answer.errorCount;
    all.notes.push(...answer.notes);
    all.errors.push(...answer.errors.map((e) => ({ ...e, line: e.line === 0 ? 0 : e.line + shift })));
    for (const item of answer.added) {
      if (all.newLines.length < SHOWN) all.newLines.push(newLine(item, shift));
    }
    for (const item of answer.duplicates) {
      if (all.known.length < SHOWN) all.known.push(newLine(item, shift));
    }
  }
  return all;
}

function newLine(item: unknown, shift: number): NewLine {
  const o = (item ?? {}) as { line?: unknown; key?: unknown; baseUrl?: unknown };
  return {
    line: typeof o.line === "number" ? o.line + shift : null,
    key: typeof o.key === "string" ? o.key : "",
    baseUrl: typeof o.baseUrl === "string" ? o.baseUrl : "",
  };
}

function bodyOf(keys: string, baseUrl: string): object {
  return baseUrl.trim() ? { keys, baseUrl: baseUrl.trim() } : { keys };
}

async function send(
  text: string,
  baseUrl: string,
  show: (run: Run) => void,
  stopped: () => boolean,
): Promise<Run> {
  let run: Run = { done: 0, total: countLines(text), added: 0, duplicates: 0, errors: 0, import: null,
    state: "running", error: "" };
  show(run);
  try {
    for (const piece of cut(text, IMPORT_LINES, LOOK_CHARS)) {
      if (stopped()) {
        run = { ...run, state: "stopped" };
        break;
      }
      const path = `/keys/batch${query({ import: run.import ?? undefined })}`;
      const answer = await api<BatchResult>("POST", path, { body: bodyOf(piece.text, baseUrl) });
      run = {
        ...run,
        done: run.done + countLines(piece.text),
        added: run.added + answer.addedCount,
        duplicates: run.duplicates + answer.duplicateCount,
        errors: run.errors + answer.errorCount,
        import: run.import ?? answer.import ?? null,
      };
      show(run);
    }
    if (run.state === "running") run = { ...run, state: "done" };
  } catch (e) {
    run = { ...run, state: "failed", error: describe(e) };
  }
  show(run);
  return run;
}

function Paste(props: { value: string; onChange: (text: string) => void; onError: (text: string) => void }) {
  const [over, setOver] = useState(false);
  const read = async (file: File | undefined) => {
    setOver(false);
    if (!file) return;
    if (file.size > FILE_MAX) return props.onError(tr("fileTooLarge", FILE_MAX / 1048576));
    props.onChange(await file.text());
  };
  // The browser's own way of pasting many lines takes it minutes.
  const paste = (event: ClipboardEvent) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const field = event.currentTarget as HTMLTextAreaElement;
    if (text.length < LARGE_CHARS / 10) return;
    event.preventDefault();
    props.onChange(props.value.slice(0, field.selectionStart) + text + props.value.slice(field.selectionEnd));
  };
  if (props.value.length > LARGE_CHARS) {
    return (
      <p class="large">
        {tr("largeText", countLines(props.value))} <Button onClick={() => props.onChange("")}>{tr("clear")}</Button>
      </p>
    );
  }
  return (
    <div class={`paste ${over ? "over" : ""}`}
      onDragOver={(e) => { e.preventDefault(); setOver(true); }}
      onDragLeave={() => setOver(false)}
      onDrop={(e) => { e.preventDefault(); void read(e.dataTransfer?.files[0]); }}>
      <textarea aria-label={tr("pasteKeys")} placeholder={tr("pasteKeys")} rows={7} spellcheck={false}
        value={props.value} onPaste={paste} onInput={(e) => props.onChange(e.currentTarget.value)} />
      <label class="file">
        <input type="file" accept=".txt,.csv,.json,text/plain" class="offscreen"
          onChange={(e) => { void read(e.currentTarget.files?.[0]); e.currentTarget.value = ""; }} />
        <span class="button plain">{tr("chooseFile")}</span>
      </label>
    </div>
  );
}

function Forms() {
  return (
    <section class="forms">
      <h2>{tr("formsTitle")}</h2>
      <p class="faint">{tr("formsText")}</p>
      <Code text={EXAMPLES} label={tr("formsTitle")} />
    </section>
  );
}

type Part = "new" | "known" | "errors";

function VerdictView(props: {
  verdict: Verdict;
  left: ReadonlySet<number>;
  setLeft: (lines: ReadonlySet<number>) => void;
}) {
  const { verdict, left } = props;
  const [part, setPart] = useState<Part>(verdict.errors.length > 0 ? "errors" : "new");
  const choose = (line: number, on: boolean) => {
    const next = new Set(left);
    if (on) next.delete(line);
    else next.add(line);
    props.setLeft(next);
  };
  return (
    <section class="verdicts">
      <p class="sum" role="status">
        <strong>{tr("newCount", verdict.added)}</strong> · {tr("duplicateCount", verdict.duplicates)} ·{" "}
        <span class={verdict.errorCount > 0 ? "bad" : ""}>{tr("errorCount", verdict.errorCount)}</span>
      </p>
      {verdict.notes.map((note) => <p key={note} class="faint">{said(note)}</p>)}
      <Tabs label={tr("verdict")} value={part} onChange={setPart}
        options={[["new", tr("newLines")], ["known", tr("knownLines")], ["errors", tr("faultyLines")]]} />
      {part === "known" ? <KnownLines lines={verdict.known} count={verdict.duplicates} /> : part === "errors" ? <Faults faults={verdict.errors} count={verdict.errorCount} /> : (
        <NewLines verdict={verdict} left={left} choose={choose} />
      )}
    </section>
  );
}

function Faults({ faults, count }: { faults: BatchFault[]; count: number }) {
  if (faults.length === 0) return <p class="faint">{tr("noFaults")}</p>;
  return (
    <table class="plain faults">
      <thead><tr><th class="num">{tr("line")}</th><th>{tr("text")}</th><th>{tr("why")}</th></tr></thead>
      <tbody>
        {faults.slice(0, SHOWN).map((f, i) => (
          <tr key={i}><td class="num">{f.line === 0 ? said(f.place) : num(f.line)}</td><td class="mono clip">{f.input}</td><td>{said(f.error)}</td></tr>
        ))}
      </tbody>
      {count > SHOWN && <caption>{tr("moreLines", count - SHOWN)}</caption>}
    </table>
  );
}

function KnownLines({ lines, count }: { lines: NewLine[]; count: number }) {
  if (lines.length === 0) return <p class="faint">{tr("noKnownLines")}</p>;
  return (
    <>
      <p class="faint">{tr("knownText")}</p>
      <table class="plain">
        <thead><tr><th class="num">{tr("line")}</th><th>{tr("key")}</th><th>{tr("host")}</th></tr></thead>
        <tbody>
          {lines.map((n, i) => (
            <tr key={i}><td class="num">{n.line === null ? "" : num(n.line)}</td><td class="mono clip">{n.key || tr("noKey")}</td><td class="clip">{n.baseUrl}</td></tr>
          ))}
        </tbody>
        {count > lines.length && <caption>{tr("moreLines", count - lines.length)}</caption>}
      </table>
    </>
  );
}

function NewLines(props: {
  verdict: Verdict;
  left: ReadonlySet<number>;
  choose: (line: number, on: boolean) => void;
}) {
  const { added, newLines } = props.verdict;
  if (newLines.length === 0) return <p class="faint">{tr("noNewLines")}</p>;
  return (
    <table class="plain">
      <thead>
        <tr><th><span class="offscreen">{tr("take")}</span></th><th class="num">{tr("line")}</th><th>{tr("key")}</th>
          <th>{tr("host")}</th></tr>
      </thead>
      <tbody>
        {newLines.map((n, i) => (
          <tr key={i}>
            <td>
              {n.line !== null && (
                <input type="checkbox" checked={!props.left.has(n.line)} aria-label={tr("takeLine", n.line)}
                  onChange={(e) => props.choose(n.line!, e.currentTarget.checked)} />
              )}
            </td>
            <td class="num">{n.line === null ? "" : num(n.line)}</td>
            <td class="mono clip">{n.key || tr("noKey")}</td>
            <td class="clip">{n.baseUrl}</td>
          </tr>
        ))}
      </tbody>
      {added > newLines.length && <caption>{tr("moreLines", added - newLines.length)}</caption>}
    </table>
  );
}

function RunView(props: { run: Run; onStop: () => void; onClose: () => void }) {
  const { run } = props;
  const [checking, setChecking] = useState(false);
  const check = async () => {
    setChecking(true);
    try {
      const answer = await api<{ job?: string | number | { id: string | number } }>("POST", "/keys/check");
      if (answer.job !== undefined) void watchJob(jobId(answer.job), "check");
    } catch (e) {
      setChecking(false);
      void tell(tr("check"), describe(e));
      return;
    }
    go("/keys");
  };
  const words = { running: tr("importing", run.done, run.total), stopped: tr("importStopped", run.done, run.total),
    done: tr("imported", run.added), failed: tr("importFailed", run.done, run.total) };
  return (
    <section class="run" aria-live="polite">
      <h2>{words[run.state]}</h2>
      <Progress value={run.done} max={run.total} label={tr("importing", run.done, run.total)} />
      <p>{tr("newCount", run.added)} · {tr("duplicateCount", run.duplicates)} · {tr("errorCount", run.errors)}</p>
      {run.error && <p class="bad" role="alert">{run.error}</p>}
      <div class="actions left">
        {run.state === "running" ? <Button onClick={props.onStop}>{tr("stop")}</Button> : (
          <>
            <Button kind="primary" onClick={() => go("/keys")}>{tr("showKeys")}</Button>
            {run.added > 0 && <Button busy={checking} onClick={check}>{tr("checkNow")}</Button>}
            {run.added > 0 && run.import !== null &&
              <Button onClick={() => void undo(run.import!, run.added)}>{tr("undo")}</Button>}
            <Button onClick={props.onClose}>{tr("addMore")}</Button>
          </>
        )}
      </div>
    </section>
  );
}

function LastImport() {
  const last = overview.use()?.lastImport;
  if (!last || last.left === 0) return null;
  return (
    <p class="lastimport">
      {tr("lastImport", last.count)}<Ago at={last.at} />{tr("fullStop")}{" "}
      <Button kind="quiet" onClick={() => void undo(last.id, last.left)}>{tr("undo")}</Button>
    </p>
  );
}
