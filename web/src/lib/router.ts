// The address bar is the state: a place, and a query for filters, sort and range.
import { createStore } from "./store";

export const BASE = "/admin";

export interface Place {
  parts: string[]; // "/admin/keys/17" is ["keys", "17"]
  query: URLSearchParams;
}

function read(): Place {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "";
  return {
    parts: path.split("/").filter(Boolean).map(decode),
    query: new URLSearchParams(location.search),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const place = createStore<Place>(read());

addEventListener("popstate", () => place.set(read()));

export function href(path: string): string {
  return BASE + path;
}

export function go(path: string, replace = false): void {
  const url = href(path);
  if (url === location.pathname + location.search) return;
  if (replace) history.replaceState(history.state, "", url);
  else history.pushState({ inside: true }, "", url);
  place.set(read());
  if (!replace) scrollTo(0, 0);
}

/** Where one came from, with its filters; `otherwise` if it was no place of this page. */
export function back(otherwise: string): void {
  if ((history.state as { inside?: boolean } | null)?.inside) history.back();
  else go(otherwise);
}

/** Changes parts of the query and leaves the rest; typing replaces, a choice can be undone by Back. */
export function setQuery(values: Record<string, string>, replace = false): void {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value) params.set(name, value);
    else params.delete(name);
  }
  const all = params.toString();
  const path = location.pathname.slice(BASE.length) + (all ? `?${all}` : "");
  go(path, replace);
}

/** For links: a plain click stays in the page, any other is the browser's. */
export function onLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = (event.currentTarget as HTMLAnchorElement).getAttribute("href");
  if (!url || !url.startsWith(BASE)) return;
  event.preventDefault();
  go(url.slice(BASE.length));
}
