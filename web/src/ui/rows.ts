// Rows of a long list, read from the server in pages as they come into view.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../lib/api";

const PAGE = 100;
const PAGES_KEPT = 60;
const REREAD_MS = 1500; // not more often, however much changes

export interface Part<T> {
  rows: T[];
  total: number;
}

export type Reader<T> = (offset: number, limit: number, signal: AbortSignal) => Promise<Part<T>>;

export interface Rows<T> {
  total: number | null; // null until it is known
  error: ApiError | null;
  row(index: number): T | undefined;
  need(first: number, last: number): void; // what can be seen
  reread(): void;
  patch(change: (row: T) => T): void; // in place, until the server says it too
}

/** `what` names the list: when it changes, all is read anew. `version`: what is shown is read again. */
export function useRows<T>(what: string, version: number, read: Reader<T>): Rows<T> {
  const [, update] = useState({});
  const self = useRef({
    what: "",
    pages: new Map<number, T[]>(),
    stale: new Set<number>(),
    loading: new Map<number, AbortController>(),
    total: null as number | null,
    error: null as ApiError | null,
    first: 0,
    last: PAGE,
    timer: 0,
    gone: false,
  }).current;

  const forget = () => {
    for (const c of self.loading.values()) c.abort();
    self.loading.clear();
    self.pages.clear();
    self.stale.clear();
  };

  const load = (page: number) => {
    if (self.loading.has(page) || (self.pages.has(page) && !self.stale.has(page))) return;
    const controller = new AbortController();
    self.loading.set(page, controller);
    read(page * PAGE, PAGE, controller.signal)
      .then((part) => {
        if (controller.signal.aborted) return;
        self.pages.delete(page);
        self.pages.set(page, part.rows);
        self.stale.delete(page);
        self.total = part.total;
        self.error = null;
        for (const old of self.pages.keys()) {
          if (self.pages.size <= PAGES_KEPT) break;
          self.pages.delete(old);
        }
      })
      .catch((error: unknown) => {
        if (!controller.signal.aborted)
          self.error = error instanceof ApiError ? error : new ApiError(0, String(error));
      })
      .finally(() => {
        if (self.loading.get(page) === controller) self.loading.delete(page);
        if (!self.gone) update({});
      });
  };

  const loadSeen = () => {
    const from = Math.floor(self.first / PAGE);
    const to = Math.floor(self.last / PAGE);
    // What was scrolled past is not waited for.
    for (const [page, controller] of self.loading) {
      if (page < from || page > to) {
        controller.abort();
        self.loading.delete(page);
      }
    }
    for (let page = from; page <= to; page++) load(page);
  };

  const reread = () => {
    for (const page of self.pages.keys()) self.stale.add(page);
    loadSeen();
  };

  if (self.what !== what) {
    self.what = what;
    forget();
    self.total = null;
    self.first = 0;
    self.last = PAGE - 1;
  }

  useEffect(() => {
    loadSeen();
  }, [what]);

  useEffect(() => {
    if (self.pages.size === 0 || self.timer) return;
    self.timer = setTimeout(() => {
      self.timer = 0;
      reread();
    }, REREAD_MS) as unknown as number;
  }, [version]);

  useEffect(() => {
    self.gone = false;
    return () => {
      self.gone = true;
      clearTimeout(self.timer);
      self.timer = 0;
      forget();
    };
  }, []);

  return {
    total: self.total,
    error: self.error,
    row: (index) => self.pages.get(Math.floor(index / PAGE))?.[index % PAGE],
    need(first, last) {
      self.first = Math.max(0, first);
      self.last = Math.max(self.first, last);
      loadSeen();
    },
    reread,
    patch(change) {
      for (const [page, rows] of self.pages) self.pages.set(page, rows.map(change));
      update({});
    },
  };
}
