// The small parts that all places are made of.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../lib/api";
import { ago, exact, left, span } from "../lib/format";
import { tr } from "../lib/i18n";
import { useNow } from "../lib/live";
import { back, href, onLink } from "../lib/router";
import { said } from "../lib/said";
import type { State } from "../lib/types";

export function Link(props: {
  to: string;
  class?: string;
  current?: boolean;
  children: ComponentChildren;
  title?: string;
  tabIndex?: number;
  label?: string;
}) {
  return (
    <a
      href={href(props.to)}
      onClick={onLink}
      class={props.class}
      aria-current={props.current ? "page" : undefined}
      aria-label={props.label}
      title={props.title}
      tabIndex={props.tabIndex}
    >
      {props.children}
    </a>
  );
}

/** To the place above, as it was when one came from there. */
export function BackLink({ to, children }: { to: string; children: ComponentChildren }) {
  return (
    <a
      href={href(to)}
      class="back"
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        back(to);
      }}
    >
      ← {children}
    </a>
  );
}

type ButtonKind = "plain" | "primary" | "danger" | "quiet";

export function Button(props: {
  onClick?: () => void;
  kind?: ButtonKind;
  disabled?: boolean;
  busy?: boolean;
  type?: "button" | "submit";
  title?: string;
  label?: string;
  pressed?: boolean;
  expanded?: boolean;
  class?: string;
  children: ComponentChildren;
}) {
  return (
    <button
      type={props.type ?? "button"}
      class={`button ${props.kind ?? "plain"} ${props.class ?? ""}`}
      disabled={props.disabled || props.busy}
      aria-busy={props.busy}
      aria-label={props.label}
      aria-pressed={props.pressed}
      aria-expanded={props.expanded}
      title={props.title}
      onClick={props.onClick}
    >
      {props.children}
    </button>
  );
}

const SHAPES: Record<State, JSX.Element> = {
  ready: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  cooling: (
    <g>
      <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M6 2a4 4 0 0 1 0 8z" fill="currentColor" />
    </g>
  ),
  dead: (
    <path d="M2.2 2.2l7.6 7.6M9.8 2.2l-7.6 7.6" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
  ),
  disabled: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.5" />,
};

/** A state's shape alone; the word always stands beside it. */
export function Shape({ state }: { state: State }) {
  return (
    <svg class={`shape ${state}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {SHAPES[state] ?? SHAPES.disabled}
    </svg>
  );
}

/** A moment, said in relation to now, exact on hover. */
function Moment({ at, text, class: name }: { at: string; text: string; class?: string }) {
  return (
    <time class={name} dateTime={at} title={exact(at)}>
      {text}
    </time>
  );
}

export function Countdown({ to }: { to: string }) {
  const now = useNow();
  return <Moment class="countdown" at={to} text={left(to, now)} />;
}

/** A word and the time left, or what is said when that is over. */
export function Until({ word, over, to }: { word: string; over: string; to: string }) {
  const now = useNow();
  return Date.parse(to) > now ? <>{word} <Countdown to={to} /></> : <>{over}</>;
}

/** How long ago. */
export function Ago({ at, never }: { at: string | null | undefined; never?: string }) {
  const now = useNow();
  if (!at) return <span class="faint">{never ?? tr("never")}</span>;
  return <Moment at={at} text={ago(at, now)} />;
}

/** How long it has been so. */
export function For({ since }: { since: string }) {
  const now = useNow();
  return <Moment at={since} text={tr("lasts", span((now - Date.parse(since)) / 1000))} />;
}

export function Copy({ text, label }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    if (!(await copyText(text))) return;
    setDone(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), 2000) as unknown as number;
  };
  return (
    <Button kind="quiet" class="copy" onClick={copy}>
      <span aria-live="polite">{done ? tr("copied") : (label ?? tr("copy"))}</span>
    </Button>
  );
}

/** Without TLS browsers have no clipboard for us: then by a selection, as it was done before. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    const dialog = document.querySelector("dialog[open]") ?? document.body;
    dialog.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <Copy text={text} />
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
    </div>
  );
}

/** What went wrong, what it means, and the way out: where it happened. */
export function Failure({ error, again }: { error: ApiError; again?: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>{describe(error)}</p>
      {again && <Button onClick={again}>{tr("tryAgain")}</Button>}
    </div>
  );
}

export function describe(error: unknown): string {
  if (!(error instanceof ApiError)) return tr("errorUnexpected", String(error));
  if (error.status === 0) return tr("errorUnreachable");
  if (error.status === 404 && !error.message) return tr("errorNotFound");
  if (error.status === 429) return tr("errorTooMany", error.retryAfterS);
  return error.message ? tr("errorSaid", said(error.message)) : tr("errorStatus", error.status);
}

export function Tabs<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  return (
    <div class="tabs" role="group" aria-label={props.label}>
      {props.options.map(([value, word]) => (
        <button
          type="button"
          key={value}
          aria-pressed={value === props.value}
          onClick={() => props.onChange(value)}
        >
          {word}
        </button>
      ))}
    </div>
  );
}

export function Skeleton({ rows, tall }: { rows: number; tall?: boolean }) {
  return (
    <div class={`skeleton ${tall ? "tall" : ""}`} aria-hidden="true">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Progress({ value, max, label }: { value: number; max: number; label: string }) {
  return (
    <progress value={max > 0 ? value : undefined} max={Math.max(1, max)} aria-label={label} />
  );
}
