// The admin API: one function for JSON, one for event streams, and the session.
import { createStore } from "./store";
import { readEvents, type ServerEvent } from "./sse";

/** A request that failed; status 0: the server could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfterS = 0,
    readonly body: unknown = null,
  ) {
    super(message);
  }
}

export interface Session {
  csrf: string;
  chatToken: string;
}

export type SessionState = "unknown" | "out" | "in";

/** "unknown" until the server has said; "out" shows the login, whatever the place. */
export const sessionState = createStore<SessionState>("unknown");

/** Whether the server answered the last time that something was asked of it. */
export const serverUp = createStore(true);

let session: Session = { csrf: "", chatToken: "" };

export function chatToken(): string {
  return session.chatToken;
}

async function send(method: string, path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { method, credentials: "same-origin", cache: "no-store", ...init });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    serverUp.set(false);
    throw new ApiError(0, "");
  }
  serverUp.set(true);
  return response;
}

async function failure(response: Response): Promise<ApiError> {
  let message = "";
  let body: unknown = null;
  try {
    body = await response.json();
    const error = (body as { error?: unknown }).error;
    if (typeof error === "string") message = error;
    else if (error && typeof (error as { message?: unknown }).message === "string")
      message = (error as { message: string }).message;
  } catch {
    // not JSON: the status has to do
  }
  return new ApiError(
    response.status,
    message,
    Number(response.headers.get("retry-after")) || 0,
    body,
  );
}

function headers(method: string, body: unknown): Record<string, string> {
  const h: Record<string, string> = {};
  if (method !== "GET") h["X-CSRF"] = session.csrf;
  if (body !== undefined) h["Content-Type"] = "application/json";
  return h;
}

export interface Options {
  body?: unknown;
  signal?: AbortSignal;
}

async function call(method: string, path: string, options: Options): Promise<Response> {
  const init: RequestInit = { headers: headers(method, options.body) };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.signal) init.signal = options.signal;
  const response = await send(method, `/admin/api${path}`, init);
  if (response.ok) return response;
  if (response.status === 401) sessionState.set("out");
  throw await failure(response);
}

export async function api<T>(method: string, path: string, options: Options = {}): Promise<T> {
  return (await (await call(method, path, options)).json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
  api<T>("GET", path, signal ? { signal } : {});

/** An answer that is text: the export. */
export async function text(method: string, path: string, body: unknown): Promise<string> {
  return (await call(method, path, { body })).text();
}

export async function* events(
  method: string,
  path: string,
  options: Options,
): AsyncGenerator<ServerEvent> {
  const response = await call(method, path, options);
  if (response.body) yield* readEvents(response.body);
}

export async function openSession(): Promise<void> {
  try {
    session = await get<Session>("/session");
    sessionState.set("in");
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 0) throw error;
    sessionState.set("out");
  }
}

export async function logIn(password: string): Promise<void> {
  const response = await send("POST", "/admin/login", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ password }),
  });
  if (!response.ok) throw await failure(response);
  session = await get<Session>("/session");
  sessionState.set("in");
}

export async function logOut(): Promise<void> {
  await send("POST", "/admin/logout", { headers: { "X-CSRF": session.csrf } }).catch(() => {});
  session = { csrf: "", chatToken: "" };
  sessionState.set("out");
}

export function query(values: Record<string, string | number | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== "") params.set(name, String(value));
  }
  const all = params.toString();
  return all ? `?${all}` : "";
}
