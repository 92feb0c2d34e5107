// Numbers, times and sizes as people read them, in the page's language.
import { lang } from "./prefs";

const cache = new Map<string, unknown>();

function locale(): string {
  return lang.get() === "zh" ? "zh-CN" : "en";
}

function cached<T>(name: string, make: (locale: string) => T): T {
  const key = `${name} ${locale()}`;
  let value = cache.get(key) as T | undefined;
  if (value === undefined) cache.set(key, (value = make(locale())));
  return value;
}

export function num(n: number): string {
  return cached("num", (l) => new Intl.NumberFormat(l)).format(n);
}

export function percent(part: number, whole: number): string {
  const share = whole > 0 ? part / whole : 0;
  return cached("pct", (l) => new Intl.NumberFormat(l, { style: "percent", maximumFractionDigits: 1 }))
    .format(share);
}

/** For axes alone, where room is short: 1.2K, 3M. */
export function short(n: number): string {
  return cached("short", (l) => new Intl.NumberFormat(l, { notation: "compact" })).format(n);
}

export function rate(n: number): string {
  return cached("rate", (l) => new Intl.NumberFormat(l, { maximumFractionDigits: 1 })).format(
    n >= 10 ? Math.round(n) : n,
  );
}

/** English has two forms, Chinese one. */
export function plural(n: number, one: string, other: string): string {
  const rule = cached("plural", (l) => new Intl.PluralRules(l)).select(n);
  return rule === "one" ? one : other;
}

export function exact(time: string | number | Date): string {
  return cached(
    "exact",
    (l) => new Intl.DateTimeFormat(l, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }),
  ).format(new Date(time));
}

export function clock(time: string | number): string {
  return cached("clock", (l) => new Intl.DateTimeFormat(l, { timeStyle: "medium", hourCycle: "h23" })).format(
    new Date(time),
  );
}

export function day(date: string): string {
  return cached(
    "day",
    (l) => new Intl.DateTimeFormat(l, { month: "short", day: "numeric", timeZone: "UTC" }),
  ).format(new Date(`${date}T00:00:00Z`));
}

/** A moment ahead: the clock alone today, with the weekday this week, else the date. */
export function when(time: string, now = Date.now()): string {
  const date = new Date(time);
  const away = date.getTime() - now;
  const sameDay = new Date(now).toDateString() === date.toDateString();
  const hm = cached("hm", (l) => new Intl.DateTimeFormat(l, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  if (sameDay) return hm.format(date);
  const near = Math.abs(away) < 6 * 86400e3;
  const which = cached(near ? "wd" : "md", (l) =>
    new Intl.DateTimeFormat(l, near ? { weekday: "short" } : { month: "short", day: "numeric" })).format(date);
  return `${which} ${hm.format(date)}`;
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86400],
  ["month", 30 * 86400],
  ["week", 7 * 86400],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** "3 minutes ago", in the language's short form. */
export function ago(time: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - new Date(time).getTime()) / 1000));
  const format = cached("ago", (l) => new Intl.RelativeTimeFormat(l, { style: "narrow", numeric: "always" }));
  for (const [unit, size] of UNITS) {
    if (seconds >= size || unit === "second") return format.format(-Math.floor(seconds / size), unit); // -0 is past
  }
  return "";
}

/** How long, without a direction: "3 days", "4 hours". */
export function span(seconds: number): string {
  for (const [unit, size] of UNITS) {
    if (seconds >= size || unit === "second")
      return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }).format(
        Math.max(0, Math.floor(seconds / size)),
      );
  }
  return "";
}

/** Time left until `time`: 3:12, 2:05:00, or days. */
export function left(time: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.ceil((new Date(time).getTime() - now) / 1000));
  if (seconds >= 48 * 3600) return span(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  return h > 0 ? `${h}:${two(m)}:${two(seconds % 60)}` : `${m}:${two(seconds % 60)}`;
}

export function ms(n: number): string {
  if (n < 1000) return `${Math.round(n)} ms`;
  if (n < 60_000) return `${(n / 1000).toFixed(n < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(n / 60_000)} min ${Math.round((n % 60_000) / 1000)} s`;
}

/** The host of a base URL, without what all of them have. */
export function hostOf(url: string): string {
  return url.replace(/^https?:\/\//, "").replace(/\/api$/, "");
}
