// The frame: session, top bar, the place that the address names, shortcuts, jobs.
import { useEffect, useRef, useState } from "preact/hooks";
import { logOut, openSession, serverUp, sessionState } from "./lib/api";
import { rate } from "./lib/format";
import { tr, trMaybe } from "./lib/i18n";
import { dropJob, jobs, stopJob, tick, type RunningJob } from "./lib/live";
import { lang } from "./lib/prefs";
import { go, place } from "./lib/router";
import { said } from "./lib/said";
import { useShortcuts } from "./lib/shortcuts";
import type { Job } from "./lib/types";
import { AddPlace } from "./places/add";
import { Chat } from "./places/chat";
import { KeyPlace } from "./places/key";
import { Keys } from "./places/keys";
import { Log, LogDetail } from "./places/log";
import { Login } from "./places/login";
import { Overview } from "./places/overview";
import { Settings } from "./places/settings";
import { Button, Empty, Link, Progress } from "./ui/basics";
import { Dialog, Questions, Toasts } from "./ui/dialog";
import { LangButton, ThemeButton } from "./ui/prefs";

const PLACES = ["overview", "keys", "log", "chat", "settings"] as const;
type PlaceName = (typeof PLACES)[number];

const ICONS: Record<PlaceName, string> = {
  overview: "M2 13V8m4 5V3m4 10V6m4 7V9",
  keys: "M10.5 8.5a3 3 0 1 0-3-3c0 .5.1.9.3 1.3L2 12.5V14h2.5v-1.5H6V11h1.5l1.7-1.8c.4.2.8.3 1.3.3zM11 5.2h.01",
  log: "M3 3.5h10M3 6.5h10M3 9.5h10M3 12.5h6",
  chat: "M2.5 3.5h11v7h-6L4.5 13v-2.5h-2z",
  settings: "M3 4.5h6M12 4.5h1M3 11.5h1M7 11.5h6M9 3v3M4 10v3",
};

function pathOf(name: PlaceName): string {
  return name === "overview" ? "" : `/${name}`;
}

export function App() {
  const session = sessionState.use();
  lang.use(); // all is written anew in another language
  const wasIn = useRef(false);
  if (session === "in") wasIn.current = true;
  const up = serverUp.use();
  useEffect(() => void begin(), []);
  if (session === "unknown") return up ? null : <Down />;
  if (session === "out") {
    return <><Login expired={wasIn.current} />{!up && <Down />}</>;
  }
  return <Frame />;
}

/** Asks who we are until somebody answers. */
async function begin(): Promise<void> {
  while (sessionState.get() === "unknown") {
    try {
      await openSession();
    } catch {
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

function Frame() {
  const { parts } = place.use();
  const [help, setHelp] = useState(false);
  const up = serverUp.use();
  const here = (parts[0] ?? "overview") as PlaceName;
  usePlaceKeys(() => setHelp(true));
  useEffect(() => {
    document.title = `${trMaybe(here) ?? tr("overview")} · ollama2openai`;
  });
  return (
    <>
      <a class="skip" href="#place">{tr("skip")}</a>
      <TopBar here={here} />
      {!up && <Down />}
      <div id="place" class="frame" tabIndex={-1}><CurrentPlace parts={parts} /></div>
      <Jobs />
      <BottomBar here={here} />
      <Questions />
      <Toasts />
      {help && <Shortcuts onClose={() => setHelp(false)} />}
    </>
  );
}

function CurrentPlace({ parts }: { parts: string[] }) {
  const [name, id] = parts;
  if (parts.length > 2) return <NoPlace />;
  switch (name) {
    case undefined:
      return <Overview />;
    case "keys":
      if (id === "add") return <AddPlace />;
      return id ? <KeyPlace key={id} id={id} /> : <Keys />;
    case "log":
      return id ? <LogDetail key={id} id={id} /> : <Log />;
    case "chat":
      return id ? <NoPlace /> : <Chat />;
    case "settings":
      return id ? <NoPlace /> : <Settings />;
    default:
      return <NoPlace />;
  }
}

function NoPlace() {
  return <main class="place"><h1 class="offscreen">{tr("noPlace")}</h1><Empty title={tr("noPlace")}><Link to="" class="button plain">{tr("overview")}</Link></Empty></main>;
}

function Icon({ name }: { name: PlaceName }) {
  return (
    <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
      <path d={ICONS[name]} fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

function TopBar({ here }: { here: PlaceName }) {
  return (
    <header class="topbar">
      <Link to="" class="brand">ollama2openai</Link>
      <nav aria-label={tr("places")}>
        {PLACES.map((p) => <Link key={p} to={pathOf(p)} current={p === here}>{tr(p)}</Link>)}
      </nav>
      <span class="grow" />
      <LiveDot />
      <LangButton />
      <ThemeButton />
      <button type="button" class="icon-button" onClick={() => void logOut()}>{tr("logOut")}</button>
    </header>
  );
}

function BottomBar({ here }: { here: PlaceName }) {
  return (
    <nav class="bottombar" aria-label={tr("places")}>
      {PLACES.map((p) => (
        <Link key={p} to={pathOf(p)} current={p === here}><Icon name={p} /><span>{tr(p)}</span></Link>
      ))}
    </nav>
  );
}

function LiveDot() {
  const live = tick.use();
  return (
    <span class={`live ${live ? "on" : ""}`} title={live ? tr("liveOn") : tr("liveOff")}>
      <i aria-hidden="true" />
      <span>{live ? tr("perSecond", rate(live.perSecond)) : tr("notLive")}</span>
    </span>
  );
}

function Down() {
  return <div class="down" role="alert">{tr("serverDown")}</div>;
}

// ---- jobs ----

function Jobs() {
  const list = jobs.use();
  return (
    <div class="jobs" aria-live="polite">
      {list.map((entry) => <JobView key={entry.id} entry={entry} />)}
    </div>
  );
}

/** Why a job failed, as its result says. */
function errorOf(job: Job): string {
  const error = (job.result as { error?: unknown } | null | undefined)?.error;
  return typeof error === "string" ? error : "";
}

function JobView({ entry }: { entry: RunningJob }) {
  const { job } = entry;
  const action = trMaybe(`job_${entry.action}`) ?? entry.action;
  const text = !entry.over ? tr("jobRunning", action, job.done, job.total)
    : job.state === "lost" ? tr("jobLost", action)
      : job.state === "failed" ? tr("jobFailed", action, job.done, job.total, said(errorOf(job)))
      : job.done < job.total ? tr("jobStopped", action, job.done, job.total)
        : tr("jobDone", action, job.total);
  useEffect(() => {
    if (!entry.over || job.state === "lost" || job.state === "failed" || job.done < job.total) return;
    const timer = setTimeout(() => dropJob(entry.id), 8000);
    return () => clearTimeout(timer);
  }, [entry.over]);
  return (
    <div class="job">
      <span>{text}</span>
      <Progress value={job.done} max={job.total} label={text} />
      {entry.over
        ? <Button kind="quiet" label={tr("close")} onClick={() => dropJob(entry.id)}>✕</Button>
        : <Button onClick={() => void stopJob(entry.id)}>{tr("stop")}</Button>}
    </div>
  );
}

// ---- keys to press ----

const GO_WAIT_MS = 1500;

function usePlaceKeys(showHelp: () => void): void {
  const armed = useRef(0);
  const to = (path: string) => () => {
    if (performance.now() - armed.current > GO_WAIT_MS) return;
    armed.current = -Infinity;
    go(path);
  };
  useShortcuts({
    g: () => { armed.current = performance.now(); },
    "?": showHelp,
  });
  useEffect(() => {
    // Before the places' own keys: "k" after "g" goes to Keys.
    const table: Record<string, () => void> = { o: to(""), k: to("/keys"), l: to("/log"), c: to("/chat"), s: to("/settings") };
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const run = table[event.key];
      if (!run || performance.now() - armed.current > GO_WAIT_MS) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      run();
    };
    addEventListener("keydown", pressed, { capture: true });
    return () => removeEventListener("keydown", pressed, { capture: true });
  }, []);
}

function Shortcuts({ onClose }: { onClose: () => void }) {
  const rows: [string[], string][] = [
    [["/"], tr("keySearch")],
    [["g", "o"], tr("overview")],
    [["g", "k"], tr("keys")],
    [["g", "l"], tr("log")],
    [["g", "c"], tr("chat")],
    [["g", "s"], tr("settings")],
    [["j", "k"], tr("keyRows")],
    [["x"], tr("keySelect")],
    [["Enter"], tr("keyOpen")],
    [["Esc"], tr("keyBack")],
    [["?"], tr("keyHelp")],
  ];
  return (
    <Dialog title={tr("shortcuts")} onClose={onClose}>
      <dl class="shortcuts">
        {rows.map(([keys, word]) => (
          <div key={word}><dt>{keys.map((k) => <kbd key={k}>{k}</kbd>)}</dt><dd>{word}</dd></div>
        ))}
      </dl>
      <div class="actions"><Button onClick={onClose}>{tr("close")}</Button></div>
    </Dialog>
  );
}
