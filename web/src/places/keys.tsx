// All keys: search, filter, sort, select, act on one or on all that match.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, get, query, text } from "../lib/api";
import { hostOf, num, percent } from "../lib/format";
import { tr, trMaybe } from "../lib/i18n";
import { keysChanged, keysVersion, overview, tick, watchJob } from "../lib/live";
import { go, place, setQuery } from "../lib/router";
import { brief } from "../lib/said";
import { useShortcuts } from "../lib/shortcuts";
import { STATES, type Filter, type Key, type KeyPage, type State } from "../lib/types";
import { Ago, Button, describe, Empty, Failure, Link, Shape, Until } from "../ui/basics";
import { ask, PasswordDialog, toast } from "../ui/dialog";
import { StateBar } from "../ui/statebar";
import { useRows } from "../ui/rows";
import { useNarrow, Virtual } from "../ui/virtual";
import { AddKeys } from "./add";

const SORTS = ["added", "name", "status", "host", "requests", "failed", "tokens", "used", "until"] as const;
const DESCENDING = new Set(["requests", "failed", "tokens", "used", "added"]);
const TYPING_MS = 250;

function sortWord(name: (typeof SORTS)[number]): string {
  return tr(`sort_${name}`);
}

/** The filter that the address says. */
function useFilter(): { filter: Filter; sort: string; statuses: State[] } {
  const params = place.use().query;
  const filter: Filter = {};
  for (const name of ["q", "status", "host"] as const) {
    const value = params.get(name);
    if (value) filter[name] = value;
  }
  const statuses = (filter.status ?? "").split(",").filter((s) => STATES.includes(s as State)) as State[];
  return { filter, sort: params.get("sort") ?? "", statuses };
}

/** What is selected: single keys, or all that match the filter. */
interface Selection {
  ids: ReadonlySet<Key["id"]>;
  all: boolean;
}

const NOTHING: Selection = { ids: new Set(), all: false };

export function Keys() {
  const { filter, sort, statuses } = useFilter();
  const what = JSON.stringify([filter, sort]);
  const version = keysVersion.use();
  const narrow = useNarrow();
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const [cursor, setCursor] = useState<number | null>(null);
  const rows = useRows<Key>(what, version, async (offset, limit, signal) => {
    const page = await get<KeyPage>(`/keys${query({ ...filter, sort, offset, limit })}`, signal);
    return { rows: page.keys, total: page.total };
  });
  const total = rows.total ?? 0;
  const now = overview.use();
  const states = tick.use()?.states ?? now?.states ?? null;
  const filtered = Object.keys(filter).length > 0;

  useEffect(() => {
    setSelection(NOTHING);
    setCursor(null);
  }, [what]);

  const toggle = (key: Key) => {
    const ids = new Set(selection.all ? [] : selection.ids);
    if (!ids.delete(key.id)) ids.add(key.id);
    setSelection({ ids, all: false });
  };
  useKeyboard(rows, total, cursor, setCursor, toggle, () => setSelection(NOTHING));

  if (rows.total === 0 && !filtered && !rows.error) {
    return (
      <main class="place">
        <h1 class="offscreen">{tr("keys")}</h1>
        <Empty title={tr("noKeysTitle")}>
          <p>{now?.upstream.kind === "local" && now.upstream.up
            ? tr("noKeysLocal", now.upstream.url ?? "")
            : tr("noKeysText")}</p>
        </Empty>
        <AddKeys embedded />
      </main>
    );
  }
  return (
    <main class="place keys">
      <h1 class="offscreen">{tr("keys")}</h1>
      <div class="toolbar">
        <Search value={filter.q ?? ""} />
        <HostFilter value={filter.host ?? ""} />
        <SortMenu value={sort} />
        <span class="grow" />
        <span class="count" aria-live="polite">
          {rows.total !== null && (filtered ? tr("matching", rows.total) : tr("keyCount", rows.total))}
        </span>
        <Link to="/keys/add" class="button primary">{tr("addKeys")}</Link>
      </div>
      {states && (
        <StateBar states={states} active={statuses} to={(s) => statusLink(filter, sort, statuses, s)} />
      )}
      {rows.error && <Failure error={rows.error} again={rows.reread} />}
      {rows.total === 0 && filtered ? (
        <Empty title={tr("noMatchTitle")}>
          <p>{tr("noMatchText")}</p>
          <Button onClick={() => go("/keys")}>{tr("clearFilters")}</Button>
        </Empty>
      ) : (
        <Virtual
          label={tr("keys")}
          what={what}
          count={rows.total ?? 12}
          rowHeight={narrow ? 64 : 30}
          head={<Head sort={sort} selection={selection} total={total} onAll={(on) =>
            setSelection(on ? { ids: new Set(), all: true } : NOTHING)} />}
          row={(i) => (
            <Row key={i} index={i} row={rows.row(i)} narrow={narrow} cursor={cursor === i}
              selected={selection.all || selection.ids.has(rows.row(i)?.id ?? "")}
              onToggle={toggle} onFocus={() => setCursor(i)} first={cursor === null && i === 0} />
          )}
          onRange={rows.need}
          scrollTo={cursor}
        />
      )}
      <Actions selection={selection} total={total} filter={filter}
        onAll={() => setSelection({ ids: new Set(), all: true })}
        onClear={() => setSelection(NOTHING)} />
    </main>
  );
}

function statusLink(filter: Filter, sort: string, active: State[], state: State): string {
  const only = active.length === 1 && active[0] === state;
  return `/keys${query({ ...filter, sort, status: only ? "" : state })}`;
}

function useKeyboard(
  rows: { row(i: number): Key | undefined },
  total: number,
  cursor: number | null,
  setCursor: (i: number) => void,
  toggle: (key: Key) => void,
  clear: () => void,
) {
  const move = (by: number) => {
    if (total === 0) return;
    const next = Math.min(total - 1, Math.max(0, cursor === null ? 0 : cursor + by));
    setCursor(next);
    requestAnimationFrame(() =>
      document.querySelector<HTMLElement>(`[data-row="${next}"] a`)?.focus({ preventScroll: true }));
  };
  useShortcuts({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    x: () => {
      const key = cursor === null ? undefined : rows.row(cursor);
      if (key) toggle(key);
    },
    Enter: () => {
      const key = cursor === null ? undefined : rows.row(cursor);
      if (key) go(`/keys/${encodeURIComponent(key.id)}`);
    },
    Escape: clear,
    "/": () => document.querySelector<HTMLInputElement>(".toolbar input[type=search]")?.focus(),
  });
}

function Search({ value }: { value: string }) {
  const [typed, setTyped] = useState(value);
  const timer = useRef(0);
  useEffect(() => setTyped(value), [value]);
  const change = (next: string) => {
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ q: next.trim() }, true), TYPING_MS) as unknown as number;
  };
  return (
    <input type="search" class="search" value={typed} placeholder={tr("searchKeys")} aria-label={tr("searchKeys")}
      onInput={(e) => change(e.currentTarget.value)}
      onKeyDown={(e) => e.key === "Escape" && e.currentTarget.blur()} />
  );
}

function HostFilter({ value }: { value: string }) {
  const hosts = overview.use()?.hosts ?? [];
  const known = hosts.some((h) => h.host === value);
  if (hosts.length < 2 && !value) return null;
  return (
    <select value={value} aria-label={tr("host")} onChange={(e) => setQuery({ host: e.currentTarget.value })}>
      <option value="">{tr("allHosts")}</option>
      {value && !known && <option value={value}>{hostOf(value)}</option>}
      {hosts.map((h) => (
        <option key={h.host} value={h.host}>{hostOf(h.host)}</option>
      ))}
    </select>
  );
}

function SortMenu({ value }: { value: string }) {
  return (
    <select class="narrow-only" value={value} aria-label={tr("sortBy")}
      onChange={(e) => setQuery({ sort: e.currentTarget.value })}>
      <option value="">{tr("sortBy")}</option>
      {SORTS.map((name) => {
        const sort = DESCENDING.has(name) ? `-${name}` : name;
        return <option key={name} value={sort}>{sortWord(name)}</option>;
      })}
    </select>
  );
}

function SortHead(props: { name: (typeof SORTS)[number]; sort: string; class?: string; word?: string }) {
  const up = props.sort === props.name;
  const down = props.sort === `-${props.name}`;
  const first = DESCENDING.has(props.name) ? `-${props.name}` : props.name;
  const second = DESCENDING.has(props.name) ? props.name : `-${props.name}`;
  const next = props.sort === first ? second : props.sort === second ? "" : first;
  return (
    <div role="columnheader" class={props.class} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      <button type="button" class="sort" onClick={() => setQuery({ sort: next })}>
        {props.word ?? sortWord(props.name)}
        <span class="arrow" aria-hidden="true">{up ? "↑" : down ? "↓" : ""}</span>
      </button>
    </div>
  );
}

function Head(props: { sort: string; selection: Selection; total: number; onAll: (on: boolean) => void }) {
  return (
    <div class="vrow head" role="row" aria-rowindex={1}>
      <div role="columnheader" class="c-check">
        <input type="checkbox" aria-label={tr("selectAll", props.total)} checked={props.selection.all}
          onChange={(e) => props.onAll(e.currentTarget.checked)} />
      </div>
      <SortHead name="name" sort={props.sort} class="c-key" word={tr("key")} />
      <SortHead name="status" sort={props.sort} class="c-state" />
      <SortHead name="host" sort={props.sort} class="c-host" />
      <div role="columnheader" class="c-why">{tr("why")}</div>
      <SortHead name="requests" sort={props.sort} class="c-num" />
      <SortHead name="failed" sort={props.sort} class="c-num c-failed" />
      <SortHead name="used" sort={props.sort} class="c-used" />
    </div>
  );
}

function Row(props: {
  index: number;
  row: Key | undefined;
  narrow: boolean;
  cursor: boolean;
  first: boolean;
  selected: boolean;
  onToggle: (key: Key) => void;
  onFocus: () => void;
}) {
  const key = props.row;
  const common = { role: "row" as const, "aria-rowindex": props.index + 2, "data-row": props.index };
  if (!key) {
    return <div class="vrow loading" {...common}><div role="cell"><span class="ghost" /></div></div>;
  }
  const label = key.name || key.key;
  const check = (
    <div role="cell" class="c-check">
      <input type="checkbox" checked={props.selected} aria-label={tr("selectKey", label)} tabIndex={-1}
        onChange={() => props.onToggle(key)} />
    </div>
  );
  return (
    <div class={`vrow ${props.selected ? "selected" : ""} ${props.cursor ? "cursor" : ""}`} {...common}
      aria-selected={undefined} onClick={(e) => openOnClick(e, key)}>
      {check}
      <div role="cell" class="c-key">
        <span onFocusIn={props.onFocus}>
          <Link to={`/keys/${encodeURIComponent(key.id)}`} tabIndex={props.cursor || props.first ? 0 : -1}>
            {key.name && <span class="name">{key.name}</span>}
            <span class={`mono ${key.name ? "faint" : ""}`}>{key.key || tr("noKey")}</span>
          </Link>
        </span>
      </div>
      <div role="cell" class="c-state">
        <span class={`state ${key.status}`}>
          <Shape state={key.status} />
          <span>{tr(key.status)}</span>
          {key.status === "cooling" && key.coolingUntil && <Until word="" over="" to={key.coolingUntil} />}
        </span>
      </div>
      <div role="cell" class="c-host" title={key.baseUrl}>
        {hostOf(key.baseUrl)}
        {key.account && <span class="faint"> {key.account}</span>}
      </div>
      <div role="cell" class="c-why" title={whyOf(key)}>{props.narrow ? narrowLine(key) : whyOf(key)}</div>
      <div role="cell" class="c-num">
        {num(key.totalRequests)}
      </div>
      <div role="cell" class="c-num c-failed">
        {key.totalRequests > 0 ? percent(key.failedRequests, key.totalRequests) : ""}
      </div>
      <div role="cell" class="c-used"><Ago at={key.lastUsed} /></div>
    </div>
  );
}

/** A phone's second line: why, or else where and how much. */
function narrowLine(key: Key): string {
  return whyOf(key) || `${hostOf(key.baseUrl)} · ${num(key.totalRequests)} ${tr("requestsWord", key.totalRequests)}`;
}

function openOnClick(event: MouseEvent, key: Key): void {
  const target = event.target as HTMLElement;
  if (target.closest("a, input, button") || getSelection()?.toString()) return;
  go(`/keys/${encodeURIComponent(key.id)}`);
}

/** A reason in few words: of a limit the table shows already for how long. */
export function reasonOf(cause: string | null | undefined, reason: string | null | undefined): string {
  if (cause !== "limit") return brief(reason ?? "");
  const named = /have reached your (\w+) usage limit/i.exec(reason ?? "")?.[1]?.toLowerCase();
  return (named && trMaybe(`limit_${named}`)) || tr("cause_limit");
}

/** Why a key is not ready, in few words. */
export function whyOf(key: Key): string {
  if (key.status === "ready") return "";
  if (key.status === "disabled") return tr("disabledByPerson");
  const text = reasonOf(key.cause, key.reason || key.lastError);
  if (key.status !== "cooling" || !key.source) return text;
  const source = trMaybe(`until_${key.source}`) ?? key.source;
  return text ? tr("withSource", text, source) : source;
}

// ---- acting on what is selected ----

type Action = "enable" | "disable" | "check" | "reset" | "delete";

function Actions(props: {
  selection: Selection;
  total: number;
  filter: Filter;
  onAll: () => void;
  onClear: () => void;
}) {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState("");
  const [exporting, setExporting] = useState(false);
  const count = props.selection.all ? props.total : props.selection.ids.size;
  if (count === 0) return null;
  const target = props.selection.all ? { filter: props.filter } : { ids: [...props.selection.ids] };

  const act = async (action: Action) => {
    if (action === "delete" && !(await ask(tr("deleteTitle", count), tr("deleteText"), tr("deleteYes", count)))) return;
    if (action === "disable" && count > 1 &&
      !(await ask(tr("disableTitle", count), tr("disableText"), tr("disable")))) return;
    setBusy(action);
    setError("");
    try {
      const answer = await api<{ count?: number; job?: string | number | { id: string | number } }>(
        "POST", "/keys/bulk", { body: { ...target, action } });
      if (answer.job !== undefined) void watchJob(jobId(answer.job), action);
      else done(action, answer.count ?? count);
      if (action === "delete") props.onClear();
      keysChanged();
    } catch (e) {
      setError(describe(e));
    }
    setBusy("");
  };
  const button = (action: Action, kind: "plain" | "danger" = "plain") => (
    <Button kind={kind} busy={busy === action} disabled={busy !== ""} onClick={() => act(action)}>
      {tr(action)}
    </Button>
  );
  return (
    <div class="actionbar" role="region" aria-label={tr("selectionActions")}>
      <span class="selected-count" aria-live="polite">{tr("selectedOf", count, props.total)}</span>
      {!props.selection.all && count < props.total && (
        <Button kind="quiet" onClick={props.onAll}>{tr("selectAll", props.total)}</Button>
      )}
      <Button kind="quiet" onClick={props.onClear}>{tr("clearSelection")}</Button>
      <span class="grow" />
      {error && <span class="bad" role="alert">{error}</span>}
      {button("check")}
      {button("enable")}
      {button("disable")}
      {button("reset")}
      <Button disabled={busy !== ""} onClick={() => setExporting(true)}>{tr("export")}</Button>
      {button("delete", "danger")}
      {exporting && (
        <PasswordDialog title={tr("exportTitle", count)} text={tr("exportText")} yes={tr("export")}
          onClose={() => setExporting(false)}
          onPassword={(password) => download(password, target)} />
      )}
    </div>
  );
}

export function jobId(job: string | number | { id: string | number }): string {
  return String(typeof job === "object" ? job.id : job);
}

function done(action: Action, count: number): void {
  const words = { enable: tr("didEnable", count), disable: tr("didDisable", count), check: tr("didCheck", count),
    reset: tr("didReset", count), delete: tr("didDelete", count) };
  toast(words[action]);
}

async function download(password: string, target: { filter: Filter } | { ids: Key["id"][] }): Promise<string | null> {
  try {
    const lines = await text("POST", "/keys/export", { password, ...target });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines], { type: "text/plain" }));
    link.download = "keys.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    toast(tr("didExport", lines.split("\n").filter(Boolean).length));
    return null;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return tr("wrongPassword");
    return describe(error);
  }
}

