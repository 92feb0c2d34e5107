// What the admin API says; docs/openapi.json and docs/admin-api-page.md are the contract.

export type State = "ready" | "cooling" | "dead" | "disabled";
export const STATES: readonly State[] = ["ready", "cooling", "dead", "disabled"];
export type States = Record<State, number>;

export type Time = string | null; // ISO 8601

export interface Key {
  id: string | number;
  key: string; // masked
  baseUrl: string;
  name: string | null;
  enabled: boolean;
  status: State;
  lastCheck: Time;
  lastUsed: Time;
  lastError: string | null;
  addedAt: Time;
  totalRequests: number;
  failedRequests: number;
  totalTokens: number;
  coolingUntil: Time;
  account: string | null;
  cause?: string;
  source?: "stated" | "guessed" | null;
  reason?: string | null;
  since?: Time;
}

export interface Summary {
  total: number;
  enabled: number;
  healthy: number;
  disabled: number;
  unhealthy: number;
  totalRequests: number;
  totalTokens: number;
}

export interface KeyPage {
  keys: Key[];
  summary: Summary;
  total: number;
}

export interface Filter {
  q?: string;
  status?: string;
  host?: string;
}

export interface Host {
  host: string;
  keyed: boolean;
  states: States;
  cooling: boolean;
  cause: string;
  reason: string | null;
  until: Time;
  since: Time;
  models: number | null;
}

export interface Problem {
  kind: string;
  host: string | null;
  count: number;
  cause: string | null;
  source: string | null;
  limit?: string | null;
  since: Time;
  until: Time;
  text: string;
}

export interface Import {
  id: string | number;
  at: string;
  count: number;
  left: number;
}

export interface Overview {
  now: string;
  version: string;
  startedAt: string;
  states: States;
  hosts: Host[];
  hostsTotal: number;
  problems: Problem[];
  wellSince: Time;
  upstream: { kind: "keys" | "local" | "setting" | "none"; url: string | null; up: boolean };
  security: {
    encrypted: boolean;
    defaultPassword: boolean;
    callersNeedToken: boolean;
    loopback: boolean;
  };
  lastImport: Import | null;
}

export type Range = "1h" | "24h" | "30d";

export interface Series {
  range: Range;
  stepSeconds: number;
  start: number;
  requests: number[];
  errors: number[];
  p50: (number | null)[];
  p95: (number | null)[];
  tokensIn: number[];
  tokensOut: number[];
  top: {
    models: { model: string; requests: number; errors: number; tokens: number }[];
    errors: { status: number; end: string; count: number }[];
    hosts: { host: string; requests: number; errors: number }[];
  };
}

export interface Tick {
  at: string;
  requests: number;
  errors: number;
  perSecond: number;
  streams: number;
  connections: number;
  states: States;
  version: number;
}

export interface LogEntry {
  id: number;
  at: string;
  route: string;
  model: string | null;
  keyId: string | number | null;
  keyName: string | null;
  keyMask: string | null;
  host: string | null;
  status: number;
  stream: boolean;
  firstMs: number | null;
  ms: number;
  tokensIn: number | null;
  tokensOut: number | null;
  end: string;
  attempts: number;
  caller: string | null;
}

export interface Attempt {
  keyId: string | number | null;
  keyName: string | null;
  keyMask: string | null;
  host: string | null;
  status: number | null;
  verdict: string;
  text: string | null;
  ms: number;
}

export interface LogPage {
  entries: LogEntry[];
  more: boolean;
  kept: number;
  capacity: number;
}

export interface Move {
  at: string;
  from: State;
  to: State;
  cause: string;
  source: string | null;
  until: Time;
  reason: string | null;
}

export interface KeyDetail {
  key: Key;
  host: Host | null;
  moves: Move[];
}

export interface DayCounts {
  success: number;
  fail: number;
  tokens: number;
}

export interface Stats {
  stats: Record<string, Record<string, DayCounts>>;
}

export interface Setting {
  name: string;
  value: string;
  origin: "default" | ".env" | "environment" | "file";
  secret: boolean;
  set: boolean;
  default: string;
  help: string;
  restart: boolean;
}

export interface BatchFault {
  input: string;
  line: number; // 0: the text is JSON
  place: string; // the line, or where in the JSON
  error: string;
}

/** What a text for import holds; with dryRun, what it would do. */
export interface BatchResult {
  added: unknown[];
  addedCount: number;
  duplicates: unknown[];
  duplicateCount: number;
  errors: BatchFault[];
  errorCount: number;
  notes: string[]; // settings of another program that stay behind
  import?: string | number;
}

export interface Job {
  state: string; // "running" until it is over
  done: number;
  total: number;
  result?: unknown;
}

export interface TestStep {
  step: string;
  ms: number;
  ok: boolean;
  detail: string | null;
}

export interface TestDone {
  ok: boolean;
  status: number | null;
  model: string | null;
  text: string | null;
  tokens: number | null;
  ms: number;
  error: string | null;
}
