// How things are: first what is wrong, worst first, each with its action; then the numbers.
import { useState } from "preact/hooks";
import { api, query } from "../lib/api";
import { hostOf, ms, num, percent, rate, short, span, when } from "../lib/format";
import { tr, trMaybe } from "../lib/i18n";
import { keysChanged, overview, overviewError, refreshOverview, tick, useLoad, useNow } from "../lib/live";
import { place, setQuery } from "../lib/router";
import { brief, said } from "../lib/said";
import { STATES, type Host, type Overview as Data, type Problem, type Range, type Series, type State } from "../lib/types";
import { Ago, Button, describe, Failure, Link, Shape, Skeleton, Tabs, Until } from "../ui/basics";
import { Chart } from "../ui/chart";
import { toast } from "../ui/dialog";
import { StateBar } from "../ui/statebar";
import { AddKeys } from "./add";

export function Overview() {
  const data = overview.use();
  const live = tick.use();
  const chosen = place.use().query.get("range");
  const range: Range = chosen === "1h" || chosen === "30d" ? chosen : "24h";
  const error = overviewError.use();
  if (!data) {
    return (
      <main class="place">
        <h1 class="offscreen">{tr("overview")}</h1>
        {error ? <Failure error={error} again={() => void refreshOverview()} /> : <Skeleton rows={8} tall />}
      </main>
    );
  }
  const states = live?.states ?? data.states;
  const total = states.ready + states.cooling + states.dead + states.disabled;
  return (
    <main class="place overview">
      <h1 class="offscreen">{tr("overview")}</h1>
      <Problems data={data} />
      {total > 0 ? (
        <section class="card keystates">
          <h2>{tr("keyCount", total)}</h2>
          <StateBar states={states} to={(s) => `/keys?status=${s}`} />
        </section>
      ) : <FirstSteps data={data} />}
      <LiveNumbers />
      <Traffic range={range} />
      {data.hosts.length > 0 && total > 0 && <Hosts hosts={data.hosts} total={data.hostsTotal} />}
    </main>
  );
}

// ---- what is wrong ----

type Level = "bad" | "warn" | "note";

interface Sentence {
  level: Level;
  text: string;
  to?: string;
  tryHost?: string;
}

function withUntil(problem: Problem): string {
  return problem.until ? when(problem.until) : "";
}

function sentence(p: Problem): Sentence {
  const host = p.host ? hostOf(p.host) : "";
  const filter = (status: string) => `/keys${query({ status, host: p.host ?? undefined })}`;
  switch (p.kind) {
    case "no_upstream":
      return { level: "bad", text: tr("problemNoUpstream", said(p.text)), to: "/keys/add" };
    case "none_ready":
      return { level: "bad", text: tr("problemNoneReady", withUntil(p)), to: "/keys?sort=until" };
    case "store":
      return { level: "bad", text: tr("problemStore", said(p.text)) };
    case "host":
      return { level: "bad", text: tr(p.cause === "connect" ? "problemHostSilent" : "problemHost", host, brief(p.text)), to: filter(""), ...(p.host ? { tryHost: p.host } : {}) };
    case "errors":
      return { level: "bad", text: tr("problemErrors", p.count), to: "/log?status=error" };
    case "dead":
      return { level: "warn", text: tr("problemDead", p.count, host), to: filter("dead") };
    case "limit":
      return { level: "note", text: tr("problemLimit", p.count, host, withUntil(p), (p.limit && trMaybe(`limit_${p.limit}`)) ?? ""), to: filter("cooling") };
    case "failing":
      return { level: "warn", text: tr("problemFailing", p.count, host), to: filter("cooling") };
    case "all_disabled":
      return { level: "bad", text: tr("problemAllDisabled"), to: "/keys" };
    default:
      return { level: "warn", text: said(p.text) };
  }
}

/** The shape of the state that it is about, which is the same everywhere. */
function shapeOf(p: Problem): State {
  if (p.kind === "all_disabled") return "disabled";
  return p.kind === "limit" || p.kind === "failing" ? "cooling" : "dead";
}

function Problems({ data }: { data: Data }) {
  const now = useNow();
  const notes = securityNotes(data);
  if (data.problems.length === 0) {
    return (
      <section class="problems">
        <div class="problem well">
          <Shape state="ready" />
          <p>{wellText(data, now)}</p>
        </div>
        {notes}
      </section>
    );
  }
  return (
    <section class="problems" aria-label={tr("problems")}>
      {data.problems.map((p, i) => <ProblemView key={i} problem={p} />)}
      {notes}
    </section>
  );
}

function wellText(data: Data, now: number): string {
  if (data.states.ready + data.states.cooling + data.states.dead + data.states.disabled === 0) {
    return data.upstream.up ? tr("wellNoKeys", data.upstream.url ?? "") : tr("wellStarting");
  }
  if (!data.wellSince) return tr("well");
  return tr("wellSince", span((now - Date.parse(data.wellSince)) / 1000));
}

function ProblemView({ problem }: { problem: Problem }) {
  const s = sentence(problem);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState("");
  const tryNow = async (host: string) => {
    setBusy(true);
    setFailed("");
    try {
      const answer = await api<{ host: Host }>("POST", "/hosts/check", { body: { host } });
      if (answer.host.cooling) setFailed(tr("hostStillDown", hostOf(host), brief(answer.host.reason ?? "")));
      else toast(tr("hostIsBack", hostOf(host)));
      keysChanged();
    } catch (e) {
      setFailed(describe(e));
    }
    setBusy(false);
  };
  return (
    <div class={`problem ${s.level}`}>
      <Shape state={shapeOf(problem)} />
      <p>
        {s.text}
        {problem.since && <span class="faint"> <Ago at={problem.since} /></span>}
        {problem.kind === "host" && problem.until && (
          <span class="faint"> · <span class="nowrap"><Until word={tr("nextTry")} over={tr("nextTrySoon")} to={problem.until} /></span></span>
        )}
        {failed && <span class="bad again" role="alert">{failed}</span>}
      </p>
      <span class="do">
        {s.tryHost && <Button busy={busy} onClick={() => tryNow(s.tryHost!)}>{tr("tryNow")}</Button>}
        {s.to && <Link to={s.to} class="button plain">{problem.kind === "no_upstream" ? tr("addKeys") : tr("showThem")}</Link>}
      </span>
    </div>
  );
}

function securityNotes(data: Data) {
  const s = data.security;
  const notes: string[] = [];
  if (s.defaultPassword) notes.push(tr("noteDefaultPassword"));
  if (!s.callersNeedToken && !s.loopback) notes.push(tr("noteNoToken"));
  if (!s.encrypted && !s.loopback) notes.push(tr("notePlain"));
  return notes.map((text) => (
    <div class="problem note" key={text}>
      <Shape state="disabled" />
      <p>{text}</p>
      <span class="do"><Link to="/settings" class="button plain">{tr("settings")}</Link></span>
    </div>
  ));
}

function FirstSteps({ data }: { data: Data }) {
  const local = data.upstream.kind !== "none" && data.upstream.up;
  return (
    <section class="card first">
      <h2>{tr("noKeysTitle")}</h2>
      <p>{local ? tr("noKeysLocal", data.upstream.url ?? "") : tr("noKeysText")}</p>
      {local && <div class="actions left"><Link to="/chat" class="button plain">{tr("tryChat")}</Link></div>}
      <AddKeys embedded />
    </section>
  );
}

// ---- what moves by itself ----

function LiveNumbers() {
  const live = tick.use();
  const cells: [string, string][] = [
    [tr("requestsPerSecond"), live ? rate(live.perSecond) : "–"],
    [tr("streamsOpen"), live ? num(live.streams) : "–"],
    [tr("connections"), live ? num(live.connections) : "–"],
    [tr("requestsSinceStart"), live ? num(live.requests) : "–"],
    [tr("failedOfThem"), live ? percent(live.errors, live.requests) : "–"],
  ];
  return (
    <dl class="numbers">
      {cells.map(([word, value]) => (
        <div key={word}><dt>{word}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

// ---- charts ----

const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
const last = (list: (number | null)[]) => list.reduce<number | null>((a, b) => b ?? a, null);

function Traffic({ range }: { range: Range }) {
  const now = useNow();
  const every = range === "1h" ? 15_000 : 60_000;
  const { data, error, reload } = useLoad<Series>(`/series?range=${range}`, [Math.floor(now / every)]);
  return (
    <section class="card traffic" aria-label={tr("traffic")}>
      <header>
        <h2>{tr("traffic")}</h2>
        <Tabs label={tr("range")} value={range} onChange={(value) => setQuery({ range: value === "24h" ? "" : value })}
          options={[["1h", tr("range1h")], ["24h", tr("range24h")], ["30d", tr("range30d")]]} />
      </header>
      {error && !data ? <Failure error={error} again={reload} /> : data ? <Charts series={data} /> : <Skeleton rows={1} tall />}
    </section>
  );
}

function Charts({ series }: { series: Series }) {
  const times = series.requests.map((_, i) => series.start + i * series.stepSeconds);
  const days = series.range === "30d";
  const requests = sum(series.requests);
  const errors = sum(series.errors);
  const p95 = last(series.p95);
  if (requests === 0) return <p class="faint">{tr("noTrafficYet")}</p>;
  return (
    <>
      <div class="charts">
        <Chart title={tr("requests")} times={times} sync="overview" days={days}
          summary={tr("summaryRequests", requests, errors)}
          lines={[
            { label: tr("requests"), values: series.requests, color: "--accent", fill: true, format: num },
            { label: tr("failed"), values: series.errors, color: "--dead", format: num },
          ]} />
        <Chart title={tr("timeToFirst")} times={times} sync="overview" days={days}
          summary={p95 === null ? tr("noTraffic") : tr("summaryFirst", ms(p95))}
          axis={(n) => (n >= 1000 ? `${n / 1000} s` : `${n} ms`)}
          lines={[
            { label: "p50", values: series.p50, color: "--accent", format: ms },
            { label: "p95", values: series.p95, color: "--second", format: ms },
          ]} />
        <Chart title={tr("tokens")} times={times} sync="overview" days={days}
          summary={tr("summaryTokens", sum(series.tokensIn), sum(series.tokensOut))}
          axis={short}
          lines={[
            { label: tr("tokensIn"), values: series.tokensIn, color: "--second", format: num },
            { label: tr("tokensOut"), values: series.tokensOut, color: "--accent", fill: true, format: num },
          ]} />
      </div>
      <Top series={series} />
    </>
  );
}

/** All that have no row of their own are in one, which the server names so. */
function nameOf(name: string): string {
  return name === "other" ? tr("end_other") : name;
}

function Top({ series }: { series: Series }) {
  const { models, errors, hosts } = series.top;
  return (
    <div class="tops">
      <TopTable title={tr("topModels")} heads={[tr("model"), tr("requests"), tr("failed")]}
        rows={models.map((m) => [nameOf(m.model), num(m.requests), percent(m.errors, m.requests)])}
        to={(i) => `/log${query({ model: models[i]!.model })}`} />
      <TopTable title={tr("topErrors")} heads={[tr("endWord"), tr("status"), tr("count")]}
        rows={errors.map((e) => [trMaybe(`end_${e.end}`) ?? e.end, String(e.status), num(e.count)])}
        to={(i) => `/log${query({ status: errors[i]!.status, q: errors[i]!.end === "error" ? "" : errors[i]!.end })}`} />
      <TopTable title={tr("topHosts")} heads={[tr("host"), tr("requests"), tr("failed")]}
        rows={hosts.map((h) => [nameOf(hostOf(h.host)), num(h.requests), percent(h.errors, h.requests)])}
        to={(i) => `/log${query({ host: hosts[i]!.host })}`} />
    </div>
  );
}

function TopTable(props: { title: string; heads: string[]; rows: string[][]; to: (i: number) => string }) {
  return (
    <div class="top">
      <h3>{props.title}</h3>
      {props.rows.length === 0 ? <p class="faint">{tr("none")}</p> : (
        <table class="plain">
          <thead>
            <tr>{props.heads.map((h, i) => <th key={h} class={i > 0 ? "num" : ""}>{h}</th>)}</tr>
          </thead>
          <tbody>
            {props.rows.map((row, i) => (
              <tr key={i}>
                <td class="clip"><Link to={props.to(i)}>{row[0]}</Link></td>
                {row.slice(1).map((cell, j) => <td key={j} class="num">{cell}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

// ---- hosts ----

const HOSTS_SHOWN = 8;

function Hosts({ hosts, total }: { hosts: Host[]; total: number }) {
  const [all, setAll] = useState(false);
  const shown = all ? hosts : hosts.slice(0, HOSTS_SHOWN);
  return (
    <section class="card">
      <h2>{tr("hosts")}</h2>
      <div class="scroll-x" tabIndex={0} role="region" aria-label={tr("hosts")}>
      <table class="plain hosts-table">
        <thead>
          <tr><th>{tr("host")}</th><th>{tr("status")}</th><th class="num">{tr("ready")}</th>
            <th class="num">{tr("cooling")}</th><th class="num">{tr("dead")}</th><th class="num">{tr("disabled")}</th>
            <th class="num">{tr("models")}</th></tr>
        </thead>
        <tbody>
          {shown.map((h) => (
            <tr key={h.host}>
              <td class="clip"><Link to={`/keys${query({ host: h.host })}`}>{hostOf(h.host)}</Link></td>
              <td>
                <span class={`state ${h.cooling ? "cooling" : "ready"}`} title={said(h.reason ?? "")}>
                  <Shape state={h.cooling ? "cooling" : "ready"} />
                  {h.cooling ? <span><Until word={tr("cooling")} over={tr("cooling")} to={h.until ?? ""} /></span> : tr("answers")}
                </span>
              </td>
              {STATES.map((s) => (
                <td key={s} class={`num ${h.states[s] === 0 ? "zero" : ""}`}>
                  <span class="narrow-only"><Shape state={s} /></span>
                  {num(h.states[s])}
                  <span class="narrow-only">{tr(s)}</span>
                </td>
              ))}
              <td class={`num ${h.models ? "" : "zero"}`}>
                {h.models === null ? "–" : num(h.models)}
                <span class="narrow-only">{tr("modelsWord", h.models ?? 0)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      </div>
      {!all && total > HOSTS_SHOWN && (
        <Button kind="quiet" onClick={() => setAll(true)}>{tr("allOf", total)}</Button>
      )}
    </section>
  );
}

