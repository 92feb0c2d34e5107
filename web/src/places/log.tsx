// The last requests, live; and one request with its attempts. Never a prompt.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, query } from "../lib/api";
import { clock, exact, hostOf, ms, num } from "../lib/format";
import { tr, trMaybe } from "../lib/i18n";
import { listenLog, overview, useLoad } from "../lib/live";
import { back, go, place, setQuery } from "../lib/router";
import { said } from "../lib/said";
import { useShortcuts } from "../lib/shortcuts";
import type { Attempt, LogEntry, LogPage } from "../lib/types";
import { Ago, BackLink, Button, Empty, Failure, Link, Shape, Skeleton } from "../ui/basics";

const PAGE = 100;
const KEPT = 2000;
const FIELDS = ["status", "route", "model", "key", "host", "q"] as const;
const ROUTES = ["chat", "completions", "embeddings", "models", "model"];

type LogFilter = Partial<Record<(typeof FIELDS)[number], string>>;

function useLogFilter(): LogFilter {
  const params = place.use().query;
  const filter: LogFilter = {};
  for (const name of FIELDS) {
    const value = params.get(name);
    if (value) filter[name] = value;
  }
  return filter;
}

function isError(entry: LogEntry): boolean {
  return entry.status >= 400 || (entry.end !== "done" && entry.end !== "gone");
}

/** As the server filters, for entries that come live. */
function fits(e: LogEntry, f: LogFilter): boolean {
  const s = f.status;
  if (s === "ok" && isError(e)) return false;
  if (s === "error" && !isError(e)) return false;
  if (s && /^\d+$/.test(s) && e.status !== Number(s)) return false;
  if (f.route && e.route !== f.route) return false;
  if (f.model && e.model !== f.model) return false;
  if (f.key && String(e.keyId) !== f.key) return false;
  if (f.host && e.host !== f.host) return false;
  const text = [e.model, e.keyName, e.host, e.end].join(" ").toLowerCase();
  return !f.q || text.includes(f.q.toLowerCase());
}

interface List {
  entries: LogEntry[];
  more: boolean;
  kept: number;
}

export function Log() {
  const filter = useLogFilter();
  const what = JSON.stringify(filter);
  const [list, setList] = useState<List | null>(null);
  const [waiting, setWaiting] = useState<LogEntry[]>([]);
  const [error, setError] = useState<ApiError | null>(null);
  const [reading, setReading] = useState(false);
  const [cursor, setCursor] = useState<number | null>(null);
  const [retry, setRetry] = useState(0);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const controller = new AbortController();
    setWaiting([]);
    setCursor(null);
    get<LogPage>(`/log${query({ ...filter, limit: PAGE })}`, controller.signal).then(
      (page) => { setError(null); setList(page); },
      (e: unknown) => { if (!controller.signal.aborted) setError(e as ApiError); },
    );
    return () => controller.abort();
  }, [what, retry]);

  useEffect(() => listenLog((entries) => {
    const fitting = entries.filter((e) => fits(e, filter));
    if (fitting.length > 0) setWaiting((old) => [...fitting, ...old].slice(0, KEPT));
  }), [what]);

  // At the very top new ones simply appear; elsewhere nothing moves, and a button says how many.
  const atTop = () => (box.current?.scrollTop ?? 0) < 4 && cursor === null && !box.current?.matches(":hover");
  const take = () => {
    setList((old) => old && { ...old, entries: merge(waiting, old.entries) });
    setWaiting([]);
  };
  useEffect(() => {
    if (waiting.length > 0 && list && atTop()) take();
  }, [waiting, list]);

  const older = async () => {
    const oldest = list?.entries[list.entries.length - 1];
    if (!oldest || reading) return;
    setReading(true);
    try {
      const page = await get<LogPage>(`/log${query({ ...filter, before: oldest.id, limit: PAGE })}`);
      setList((old) => old && { entries: [...old.entries, ...page.entries], more: page.more, kept: page.kept });
    } catch (e) {
      setError(e as ApiError);
    }
    setReading(false);
  };

  const entries = list?.entries ?? [];
  const move = (by: number) => {
    const next = Math.min(entries.length - 1, Math.max(0, cursor === null ? 0 : cursor + by));
    if (next < 0) return;
    setCursor(next);
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-row="${next}"] a`)?.focus());
  };
  useShortcuts({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => {
      const entry = cursor === null ? undefined : entries[cursor];
      if (entry) go(`/log/${entry.id}`);
    },
    "/": () => document.querySelector<HTMLInputElement>(".toolbar input[type=search]")?.focus(),
    Escape: () => setCursor(null),
  });
  const filtered = Object.keys(filter).length > 0;
  return (
    <main class="place log">
      <h1 class="offscreen">{tr("log")}</h1>
      <Filters filter={filter}>
        {waiting.length > 0 && (
          <button type="button" class="newer" onClick={() => { take(); box.current?.scrollTo(0, 0); }}>
            {tr("newer", waiting.length)}
          </button>
        )}
      </Filters>
      {error && <Failure error={error} again={() => setRetry((n) => n + 1)} />}
      {!list && !error && <Skeleton rows={12} />}
      {list && entries.length === 0 && (filtered ? (
        <Empty title={tr("noLogMatchTitle")}>
          <p>{tr("noLogMatchText")}</p>
          <Button onClick={() => go("/log")}>{tr("clearFilters")}</Button>
        </Empty>
      ) : (
        <Empty title={tr("noLogTitle")}>
          <p>{tr("noLogText")}</p>
          <Link to="/chat" class="button primary">{tr("tryChat")}</Link>
        </Empty>
      ))}
      {entries.length > 0 && (
        <div class="logbox" ref={box} tabIndex={0} role="region" aria-label={tr("log")}>
          <table class="rows">
            <thead>
              <tr>
                <th>{tr("time")}</th><th>{tr("status")}</th><th>{tr("route")}</th><th>{tr("model")}</th>
                <th>{tr("key")}</th><th class="num" title={tr("timeToFirst")}>{tr("firstShort")}</th>
                <th class="num">{tr("took")}</th><th class="num">{tr("tokens")}</th><th>{tr("endWord")}</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((e, i) => <Row key={e.id} entry={e} index={i} cursor={cursor === i} />)}
            </tbody>
          </table>
          {list?.more
            ? <Button kind="quiet" busy={reading} onClick={older}>{tr("older")}</Button>
            : <p class="faint center">{tr("logEnd", list?.kept ?? 0)}</p>}
        </div>
      )}
    </main>
  );
}

function merge(newer: LogEntry[], old: LogEntry[]): LogEntry[] {
  const known = new Set(old.map((e) => e.id));
  return [...newer.filter((e) => !known.has(e.id)), ...old].slice(0, KEPT);
}

function Filters({ filter, children }: { filter: LogFilter; children: ComponentChildren }) {
  const [typed, setTyped] = useState(filter.q ?? "");
  const timer = useRef(0);
  useEffect(() => setTyped(filter.q ?? ""), [filter.q]);
  const change = (value: string) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ q: value.trim() }, true), 250) as unknown as number;
  };
  const hosts = overview.use()?.hosts ?? [];
  const chips = (["model", "key", "host"] as const).filter((n) => filter[n] && !(n === "host" && hosts.length > 1));
  const custom = filter.status && /^\d+$/.test(filter.status) ? filter.status : null;
  return (
    <div class="toolbar">
      <input type="search" class="search" value={typed} placeholder={tr("searchLog")} aria-label={tr("searchLog")}
        onInput={(e) => change(e.currentTarget.value)} onKeyDown={(e) => e.key === "Escape" && e.currentTarget.blur()} />
      <select value={filter.status ?? ""} aria-label={tr("status")} onChange={(e) => setQuery({ status: e.currentTarget.value })}>
        <option value="">{tr("anyStatus")}</option>
        <option value="ok">{tr("onlyGood")}</option>
        <option value="error">{tr("onlyFailed")}</option>
        {["400", "401", "404", "429", "500", "502", "503", "504"].map((s) => <option key={s} value={s}>{s}</option>)}
        {custom && !["400", "401", "404", "429", "500", "502", "503", "504"].includes(custom) && <option value={custom}>{custom}</option>}
      </select>
      <select value={filter.route ?? ""} aria-label={tr("route")} onChange={(e) => setQuery({ route: e.currentTarget.value })}>
        <option value="">{tr("anyRoute")}</option>
        {ROUTES.map((r) => <option key={r} value={r}>{r}</option>)}
      </select>
      {hosts.length > 1 && (
        <select value={filter.host ?? ""} aria-label={tr("host")} onChange={(e) => setQuery({ host: e.currentTarget.value })}>
          <option value="">{tr("allHosts")}</option>
          {hosts.map((h) => <option key={h.host} value={h.host}>{hostOf(h.host)}</option>)}
        </select>
      )}
      {chips.map((name) => (
        <button type="button" class="chip" key={name} onClick={() => setQuery({ [name]: "" })}
          aria-label={tr("removeFilter", `${tr(name)} ${filter[name]}`)}>
          {tr(name)}: {filter[name]} ✕
        </button>
      ))}
      <span class="grow" />
      {children}
    </div>
  );
}

function StatusMark({ entry }: { entry: LogEntry }) {
  const bad = isError(entry);
  const state = bad ? "dead" : entry.end === "gone" ? "disabled" : "ready";
  return <span class={`state ${state}`}><Shape state={state} /><span>{entry.status}</span></span>;
}

function Row({ entry: e, index, cursor }: { entry: LogEntry; index: number; cursor: boolean }) {
  const tokens = e.tokensIn === null && e.tokensOut === null ? "" : `${num(e.tokensIn ?? 0)} / ${num(e.tokensOut ?? 0)}`;
  return (
    <tr data-row={index} class={cursor ? "cursor" : ""} onClick={(event) => {
      if (!(event.target as HTMLElement).closest("a") && !getSelection()?.toString()) go(`/log/${e.id}`);
    }}>
      <td class="l-time"><Link to={`/log/${e.id}`} title={exact(e.at)} label={tr("requestAt", exact(e.at))}>{clock(e.at)}</Link></td>
      <td class="l-status"><StatusMark entry={e} /></td>
      <td class="l-route">{e.route}</td>
      <td class="l-model clip">{e.model || <span class="narrow-only faint">{e.route}</span>}</td>
      <td class="l-key clip">{e.keyName || <span class="mono">{e.keyMask}</span>}
        {e.attempts > 1 && <span class="faint"> ×{e.attempts}</span>}</td>
      <td class="l-first num">{e.firstMs === null ? "" : ms(e.firstMs)}</td>
      <td class="l-took num">{ms(e.ms)}</td>
      <td class="l-tokens num">{tokens}</td>
      <td class="l-end clip">{trMaybe(`end_${e.end}`) ?? e.end}</td>
    </tr>
  );
}

export function LogDetail({ id }: { id: string }) {
  const { data, error, reload } = useLoad<{ entry: LogEntry; attempts: Attempt[] }>(`/log/${encodeURIComponent(id)}`);
  useShortcuts({ Escape: () => back("/log") });
  return (
    <main class="place">
      <BackLink to="/log">{tr("log")}</BackLink>
      {error && <Failure error={error.status === 404 ? new ApiError(404, tr("logGone")) : error} again={reload} />}
      {!data && !error && <Skeleton rows={6} />}
      {data && <Detail entry={data.entry} attempts={data.attempts} />}
    </main>
  );
}

function Detail({ entry: e, attempts }: { entry: LogEntry; attempts: Attempt[] }) {
  const facts: [string, ComponentChildren][] = [
    [tr("time"), <>{exact(e.at)} <span class="faint nowrap"><Ago at={e.at} /></span></>],
    [tr("route"), e.route + (e.stream ? ` · ${tr("streamed")}` : "")],
    [tr("model"), e.model],
    [tr("key"), e.keyId === null ? null :
      <Link to={`/keys/${encodeURIComponent(e.keyId)}`}>{e.keyName || <span class="mono">{e.keyMask}</span>}</Link>],
    [tr("host"), e.host],
    [tr("timeToFirst"), e.firstMs === null ? null : ms(e.firstMs)],
    [tr("took"), ms(e.ms)],
    [tr("tokensIn"), e.tokensIn === null ? null : num(e.tokensIn)],
    [tr("tokensOut"), e.tokensOut === null ? null : num(e.tokensOut)],
    [tr("endWord"), trMaybe(`end_${e.end}`) ?? e.end],
    [tr("caller"), e.caller],
  ];
  return (
    <>
      <div class="title"><h1>{tr("request")} <StatusMark entry={e} /></h1></div>
      <section>
        <dl class="facts">
          {facts.filter(([, value]) => value !== null && value !== "").map(([word, value]) => (
            <><dt>{word}</dt><dd>{value}</dd></>
          ))}
        </dl>
      </section>
      <section>
        <h2>{tr("attempts")}</h2>
        {attempts.length === 0 ? <p class="faint">{tr("noAttempts")}</p> : (
          <ol class="attempts">
            {attempts.map((a, i) => (
              <li key={i}>
                <Shape state={a.verdict === "ok" || a.verdict === "success" ? "ready" : "dead"} />
                <div>
                  <p>
                    {a.keyId === null ? tr("noKey") :
                      <Link to={`/keys/${encodeURIComponent(a.keyId)}`}>{a.keyName || <span class="mono">{a.keyMask}</span>}</Link>}
                    {a.host && <span class="faint"> {hostOf(a.host)}</span>}
                  </p>
                  <p class="faint">{a.status !== null && `${a.status} · `}{trMaybe(`end_${a.verdict}`) ?? a.verdict} · {ms(a.ms)}</p>
                  {a.text && <p class="reason">{said(a.text)}</p>}
                </div>
              </li>
            ))}
          </ol>
        )}
      </section>
    </>
  );
}

