// One key: how it is and why, its history, its traffic, and a test request step by step.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, events, query } from "../lib/api";
import { day, exact, hostOf, ms, num, percent } from "../lib/format";
import { tr, trMaybe } from "../lib/i18n";
import { keysChanged, keysVersion, useLoad, useNow } from "../lib/live";
import { back, go } from "../lib/router";
import { said } from "../lib/said";
import { useShortcuts } from "../lib/shortcuts";
import type { DayCounts, Key, KeyDetail, Move, State, Stats, TestDone, TestStep } from "../lib/types";
import { Ago, BackLink, Button, describe, Failure, For, Shape, Skeleton, Until } from "../ui/basics";
import { ask, toast } from "../ui/dialog";
import { reasonOf } from "./keys";

const HISTORY_DAYS = 30;

export function KeyPlace({ id }: { id: string }) {
  const version = keysVersion.use();
  useShortcuts({ Escape: () => back("/keys") });
  const path = encodeURIComponent(id);
  const { data, error, reload } = useLoad<KeyDetail>(`/keys/${path}`, [version]);
  const stats = useLoad<Stats>(`/stats${query({ days: HISTORY_DAYS, key: id })}`, [data?.key.totalRequests]);
  if (error && !data) {
    return (
      <main class="place">
        <Back />
        <Failure error={error.status === 404 ? new ApiError(404, tr("keyGone")) : error} again={reload} />
      </main>
    );
  }
  if (!data) return <main class="place"><Back /><Skeleton rows={6} /></main>;
  const key = data.key;
  return (
    <main class="place key">
      <Back />
      <Title keyOf={key} />
      <Why detail={data} />
      <KeyActions keyOf={key} />
      <div class="columns">
        <Facts keyOf={key} />
        <TestRequest id={path} />
      </div>
      <History moves={data.moves} keyOf={key} />
      <Days stats={stats.data?.stats ?? null} id={String(key.id)} />
      {key.lastError && (
        <section>
          <h2>{tr("lastError")}</h2>
          <pre class="text" tabIndex={0}>{said(key.lastError)}</pre>
        </section>
      )}
    </main>
  );
}

function Back() {
  return <BackLink to="/keys">{tr("keys")}</BackLink>;
}

function Title({ keyOf }: { keyOf: Key }) {
  const [name, setName] = useState<string | null>(null);
  const [error, setError] = useState("");
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await api("PATCH", `/keys/${encodeURIComponent(keyOf.id)}`, { body: { name: (name ?? "").trim() } });
      setName(null);
      setError("");
      keysChanged();
    } catch (e) {
      setError(describe(e));
    }
  };
  if (name !== null) {
    return (
      <form class="rename" onSubmit={save}>
        <input value={name} maxLength={256} aria-label={tr("name")} autofocus
          onInput={(e) => setName(e.currentTarget.value)}
          onKeyDown={(e) => e.key === "Escape" && setName(null)} />
        <Button kind="primary" type="submit">{tr("save")}</Button>
        <Button onClick={() => setName(null)}>{tr("cancel")}</Button>
        {error && <span class="bad" role="alert">{error}</span>}
      </form>
    );
  }
  return (
    <div class="title">
      <h1>
        {keyOf.name && <span>{keyOf.name} </span>}
        <span class={`mono ${keyOf.name ? "faint" : ""}`}>{keyOf.key || tr("noKey")}</span>
      </h1>
      <Button kind="quiet" onClick={() => setName(keyOf.name ?? "")}>{keyOf.name ? tr("rename") : tr("giveName")}</Button>
    </div>
  );
}

/** The state in a sentence. */
function Why({ detail }: { detail: KeyDetail }) {
  const { key, host } = detail;
  const reason = key.reason || key.lastError;
  const sentence = {
    ready: tr("isReady"),
    cooling: host?.cooling ? tr("isCoolingHost", hostOf(key.baseUrl)) : tr("isCooling"),
    dead: tr("isDead"),
    disabled: tr("isDisabled"),
  }[key.status];
  return (
    <div class={`verdict ${key.status}`}>
      <Shape state={key.status} />
      <div>
        <p>
          <strong>{sentence}</strong>{" "}
          {key.status === "cooling" && key.coolingUntil && (
            <span><Until word={tr("triedAgainIn")} over={tr("triedAgainSoon")} to={key.coolingUntil} />{key.source && tr("withSource", "", trMaybe(key.source) ?? key.source)}</span>
          )}
        </p>
        {reason && key.status !== "ready" && key.status !== "disabled" && <p class="reason">{reasonOf(key.cause, reason)}</p>}
        {key.since && <p class="faint"><For since={key.since} /></p>}
      </div>
    </div>
  );
}

function KeyActions({ keyOf }: { keyOf: Key }) {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState("");
  const path = `/keys/${encodeURIComponent(keyOf.id)}`;
  const act = async (name: string, run: () => Promise<unknown>) => {
    setBusy(name);
    setError("");
    try {
      await run();
      keysChanged();
    } catch (e) {
      setError(describe(e));
    }
    setBusy("");
  };
  const remove = async () => {
    if (!(await ask(tr("deleteTitle", 1), tr("deleteText"), tr("deleteYes", 1)))) return;
    await act("delete", async () => {
      await api("DELETE", path);
      toast(tr("didDelete", 1));
      go("/keys", true);
    });
  };
  return (
    <div class="actions left">
      <Button busy={busy === "check"} onClick={() => act("check", () => api("POST", `${path}/check`))}>
        {tr("check")}
      </Button>
      <Button busy={busy === "toggle"} onClick={() => act("toggle", () =>
        api("PATCH", path, { body: { enabled: !keyOf.enabled } }))}>
        {keyOf.enabled ? tr("disable") : tr("enable")}
      </Button>
      {(keyOf.status === "cooling" || keyOf.status === "dead") && (
        <Button busy={busy === "reset"} onClick={() => act("reset", () =>
          api("POST", "/keys/bulk", { body: { ids: [keyOf.id], action: "reset" } }))}>
          {tr("reset")}
        </Button>
      )}
      <Button kind="danger" busy={busy === "delete"} onClick={remove}>{tr("delete")}</Button>
      {error && <span class="bad" role="alert">{error}</span>}
    </div>
  );
}

function Facts({ keyOf }: { keyOf: Key }) {
  return (
    <section>
      <h2>{tr("facts")}</h2>
      <dl class="facts">
        <dt>{tr("host")}</dt>
        <dd class="mono">{keyOf.baseUrl}</dd>
        {keyOf.account && <><dt>{tr("account")}</dt><dd>{keyOf.account}</dd></>}
        <dt>{tr("requests")}</dt>
        <dd>{num(keyOf.totalRequests)}{keyOf.failedRequests > 0 &&
          ` · ${tr("failedShare", percent(keyOf.failedRequests, keyOf.totalRequests))}`}</dd>
        <dt>{tr("tokens")}</dt>
        <dd>{num(keyOf.totalTokens)}</dd>
        <dt>{tr("lastUsed")}</dt>
        <dd><Ago at={keyOf.lastUsed} /></dd>
        <dt>{tr("lastCheck")}</dt>
        <dd><Ago at={keyOf.lastCheck} /></dd>
        <dt>{tr("added")}</dt>
        <dd><Ago at={keyOf.addedAt} /></dd>
      </dl>
    </section>
  );
}

// ---- history ----

interface Piece {
  state: State;
  from: number;
  to: number;
}

/** The moves as pieces of time, oldest first. */
function pieces(moves: Move[], now: State, start: number, end: number): Piece[] {
  const times = [...moves].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const out: Piece[] = [];
  let at = start;
  for (const move of times) {
    const t = Math.max(start, Date.parse(move.at));
    if (t > at) out.push({ state: move.from, from: at, to: t });
    at = t;
  }
  const last = times[times.length - 1];
  if (end > at) out.push({ state: last ? last.to : now, from: at, to: end });
  return out;
}

function moveWhy(m: Move): string {
  const why = reasonOf(m.cause, m.reason) || trMaybe(`cause_${m.cause}`) || "";
  return m.source ? tr("withSource", why, trMaybe(`until_${m.source}`) ?? m.source) : why;
}

function History({ moves, keyOf }: { moves: Move[]; keyOf: Key }) {
  const now = useNow();
  const first = moves.reduce((min, m) => Math.min(min, Date.parse(m.at)), now);
  const added = keyOf.addedAt ? Date.parse(keyOf.addedAt) : first;
  const start = Math.max(added, Math.min(first, now - 3600e3) - 60e3, now - HISTORY_DAYS * 86400e3);
  return (
    <section>
      <h2>{tr("history")}</h2>
      {moves.length === 0 ? <p class="faint">{tr("noHistory")}</p> : (
        <>
          <div class="strip" aria-hidden="true">
            {pieces(moves, keyOf.status, start, now).map((p) => (
              <span key={p.from} class={`fill ${p.state}`} style={{ flexGrow: String(p.to - p.from) }}
                title={`${tr(p.state)} · ${exact(p.from)}`} />
            ))}
          </div>
          <div class="strip-ends faint"><Ago at={new Date(start).toISOString()} /><span>{tr("now")}</span></div>
          <ol class="moves" tabIndex={0} aria-label={tr("history")}>
            {moves.map((m, i) => (
              <li key={i}>
                <Ago at={m.at} />
                <span class={`state ${m.to}`}><Shape state={m.to} />{tr(m.to)}</span>
                <span>{moveWhy(m)}</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Days({ stats, id }: { stats: Stats["stats"] | null; id: string }) {
  if (!stats) return null;
  const rows: [string, DayCounts][] = Object.entries(stats)
    .map(([date, keys]) => [date, keys[id]] as [string, DayCounts | undefined])
    .filter((row): row is [string, DayCounts] => row[1] !== undefined)
    .sort((a, b) => (a[0] < b[0] ? 1 : -1));
  const most = rows.reduce((max, [, c]) => Math.max(max, c.success + c.fail), 1);
  return (
    <section>
      <h2>{tr("byDay")}</h2>
      {rows.length === 0 ? <p class="faint">{tr("noTraffic")}</p> : (
        <table class="plain">
          <thead>
            <tr><th>{tr("dayWord")}</th><th class="num">{tr("requests")}</th><th class="num">{tr("failed")}</th>
              <th class="num">{tr("tokens")}</th><th class="wide"><span class="offscreen">{tr("requests")}</span></th></tr>
          </thead>
          <tbody>
            {rows.map(([date, c]) => (
              <tr key={date}>
                <td>{day(date)}</td>
                <td class="num">{num(c.success + c.fail)}</td>
                <td class="num">{num(c.fail)}</td>
                <td class="num">{num(c.tokens)}</td>
                <td class="wide" aria-hidden="true">
                  <span class="meter"><span class="fill ready" style={{ width: `${(c.success / most) * 100}%` }} />
                    <span class="fill dead" style={{ width: `${(c.fail / most) * 100}%` }} /></span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

// ---- a test request ----

function TestRequest({ id }: { id: string }) {
  const [model, setModel] = useState("");
  const [steps, setSteps] = useState<TestStep[]>([]);
  const [end, setEnd] = useState<TestDone | null>(null);
  const [error, setError] = useState("");
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => () => running.current?.abort(), []);

  const start = async (event?: Event) => {
    event?.preventDefault();
    const controller = (running.current = new AbortController());
    setSteps([]);
    setEnd(null);
    setError("");
    setBusy(true);
    let finished = false;
    try {
      const body = model.trim() ? { model: model.trim() } : {};
      for await (const e of events("POST", `/keys/${id}/test`, { body, signal: controller.signal })) {
        if (e.event === "step") setSteps((old) => [...old, JSON.parse(e.data) as TestStep]);
        else if (e.event === "done") {
          finished = true;
          setEnd(JSON.parse(e.data) as TestDone);
        }
      }
      if (!finished) setError(tr("testCut"));
    } catch (e) {
      if (!controller.signal.aborted) setError(describe(e));
    }
    setBusy(false);
    keysChanged();
  };
  return (
    <section>
      <h2>{tr("test")}</h2>
      <p class="faint">{tr("testText")}</p>
      <form class="inline" onSubmit={start}>
        <input value={model} placeholder={tr("testModel")} aria-label={tr("testModel")}
          onInput={(e) => setModel(e.currentTarget.value)} />
        {busy
          ? <Button onClick={() => { running.current?.abort(); setError(tr("testStopped")); }}>{tr("stop")}</Button>
          : <Button type="submit">{tr("sendTest")}</Button>}
      </form>
      <ol class="steps" aria-live="polite">
        {steps.map((s, i) => (
          <li key={i} class={s.ok ? "good" : "bad"}>
            <Shape state={s.ok ? "ready" : "dead"} />
            <span>{trMaybe(`step_${s.step}`) ?? s.step}</span>
            <span class="faint detail">{said(s.detail ?? "")}</span>
            <span class="num">{ms(s.ms)}</span>
          </li>
        ))}
      </ol>
      {end && (
        <div class={`verdict ${end.ok ? "ready" : "dead"}`}>
          <Shape state={end.ok ? "ready" : "dead"} />
          <div>
            <p><strong>{end.ok ? tr("testGood", ms(end.ms)) : tr("testBad")}</strong></p>
            {end.error && <p class="reason">{said(end.error)}</p>}
            {end.text && <p class="quote">{end.text}</p>}
          </div>
        </div>
      )}
      {error && <p class="bad" role="alert">{error}</p>}
    </section>
  );
}
