// What moves by itself: the overview, the live feed, jobs that run, and the clock.
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, events, get, serverUp, sessionState } from "./api";
import { createStore } from "./store";
import type { Job, LogEntry, Overview, Tick } from "./types";

export const overview = createStore<Overview | null>(null);
export const overviewError = createStore<ApiError | null>(null);
export const tick = createStore<Tick | null>(null);

/** Rises whenever keys may look different: views read again, in place. */
export const keysVersion = createStore(0);

type LogListener = (entries: LogEntry[], skipped: number) => void;
const logListeners = new Set<LogListener>();

const OVERVIEW_EVERY_MS = 10_000;
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 10_000;

export async function refreshOverview(): Promise<void> {
  if (sessionState.get() !== "in") return;
  const before = tick.get();
  try {
    const next = await get<Overview>("/overview");
    // Another program answers now: its page may be another as well.
    const old = overview.get();
    if (old && old.version !== next.version) location.reload();
    overview.set(next);
    if (before && tick.get() === before) tick.set({ ...before, states: next.states });
    overviewError.set(null);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    overviewError.set(error);
  }
}

export function keysChanged(): void {
  keysVersion.set(keysVersion.get() + 1);
  void refreshOverview();
}

let feed: AbortController | null = null;

/** Keeps the feed open while somebody is logged in and the page can be seen. */
export function startLive(): void {
  const restart = () => {
    feed?.abort();
    feed = null;
    if (sessionState.get() === "in" && !document.hidden) void run((feed = new AbortController()));
  };
  document.addEventListener("visibilitychange", restart);
  sessionState.subscribe(restart);
  setInterval(() => {
    if (!document.hidden) void refreshOverview();
  }, OVERVIEW_EVERY_MS);
  reopenLive = restart;
  restart();
}

let reopenLive = () => {};

async function run(controller: AbortController): Promise<void> {
  let wait = RETRY_FIRST_MS;
  void refreshOverview();
  while (!controller.signal.aborted) {
    try {
      const path = logListeners.size > 0 ? "/live?log=1" : "/live";
      for await (const event of events("GET", path, { signal: controller.signal })) {
        wait = RETRY_FIRST_MS;
        if (event.event === "tick") onTick(JSON.parse(event.data) as Tick);
        else if (event.event === "log") onLog(JSON.parse(event.data));
      }
    } catch (error) {
      if (controller.signal.aborted || (error instanceof ApiError && error.status === 401)) return;
      if (error instanceof ApiError && error.status > 0) wait = RETRY_MAX_MS;
      else serverUp.set(false);
    }
    tick.set(null);
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, RETRY_MAX_MS);
    if (!controller.signal.aborted && !serverUp.get()) await refreshOverview();
  }
}

function onTick(next: Tick): void {
  const old = tick.get();
  tick.set(next);
  if (old && old.version !== next.version) keysVersion.set(keysVersion.get() + 1);
}

function onLog(data: { entries: LogEntry[]; skipped?: number }): void {
  for (const listener of [...logListeners]) listener(data.entries, data.skipped ?? 0);
}

export function listenLog(listener: LogListener): () => void {
  logListeners.add(listener);
  if (logListeners.size === 1) reopenLive();
  return () => {
    logListeners.delete(listener);
    if (logListeners.size === 0) reopenLive();
  };
}

// ---- the clock ----

const second = createStore(Date.now());
setInterval(() => {
  if (!document.hidden) second.set(Date.now());
}, 1000);

/** Now, every second. */
export function useNow(): number {
  return second.use();
}

// ---- jobs ----

export interface RunningJob {
  id: string;
  action: string; // enable, disable, check, reset, delete
  job: Job;
  over: boolean;
}

export const jobs = createStore<RunningJob[]>([]);

const JOB_EVERY_MS = 500;

function putJob(entry: RunningJob): void {
  const others = jobs.get().filter((j) => j.id !== entry.id);
  jobs.set([...others, entry]);
}

export function dropJob(id: string): void {
  jobs.set(jobs.get().filter((j) => j.id !== id));
}

export async function watchJob(id: string, action: string): Promise<void> {
  let entry: RunningJob = { id, action, job: { state: "running", done: 0, total: 0 }, over: false };
  putJob(entry);
  while (!entry.over) {
    await new Promise((done) => setTimeout(done, JOB_EVERY_MS));
    try {
      const job = await get<Job>(`/jobs/${encodeURIComponent(id)}`);
      entry = { ...entry, job, over: job.state !== "running" };
    } catch (error) {
      // It is gone with a server that restarted; while nobody answers, go on asking.
      if (!(error instanceof ApiError)) throw error;
      if (error.status > 0) entry = { ...entry, job: { ...entry.job, state: "lost" }, over: true };
    }
    putJob(entry);
  }
  keysChanged();
}

export async function stopJob(id: string): Promise<void> {
  await api("DELETE", `/jobs/${encodeURIComponent(id)}`).catch(() => {});
}

// ---- loading ----

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  reload(): void;
}

/** Reads `path` whenever it or one of `again` changes; old data stay until the new ones are there. */
export function useLoad<T>(path: string | null, again: unknown[] = []): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null }>({
    path: null,
    data: null,
    error: null,
  });
  const [count, setCount] = useState(0);
  useEffect(() => {
    if (path === null) return;
    const controller = new AbortController();
    get<T>(path, controller.signal).then(
      (data) => setState({ path, data, error: null }),
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, String(error));
        setState((old) => ({ path, data: old.path === path ? old.data : null, error: known }));
      },
    );
    return () => controller.abort();
  }, [path, count, ...again]);
  return { data: state.data, error: state.error, reload: () => setCount((c) => c + 1) };
}
