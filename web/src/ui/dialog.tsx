// Questions before something that cannot be undone, and short words after something that is done.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { createStore } from "../lib/store";
import { tr } from "../lib/i18n";
import { Button } from "./basics";

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-label={props.title}
      onClose={props.onClose}
      onClick={(event) => event.target === ref.current && props.onClose()}
    >
      <div class="dialog">
        <h2>{props.title}</h2>
        {props.children}
      </div>
    </dialog>
  );
}

interface Question {
  title: string;
  text: string;
  yes: string;
  danger: boolean;
  done: (answer: boolean) => void;
}

const question = createStore<Question | null>(null);

/** Asks, and resolves to whether the answer was yes. */
export function ask(title: string, text: string, yes: string, danger = true): Promise<boolean> {
  return new Promise((done) => question.set({ title, text, yes, danger, done }));
}

/** Says what failed, where no place for it is in view any more. */
export function tell(title: string, text: string): Promise<boolean> {
  return ask(title, text, "", false);
}

export function Questions() {
  const q = question.use();
  if (!q) return null;
  const answer = (yes: boolean) => {
    if (question.get() !== q) return;
    question.set(null);
    q.done(yes);
  };
  return (
    <Dialog title={q.title} onClose={() => answer(false)}>
      <p>{q.text}</p>
      <div class="actions">
        <Button onClick={() => answer(false)}>{q.yes ? tr("cancel") : tr("close")}</Button>
        {q.yes && (
          <Button kind={q.danger ? "danger" : "primary"} onClick={() => answer(true)}>
            {q.yes}
          </Button>
        )}
      </div>
    </Dialog>
  );
}

interface Toast {
  id: number;
  text: string;
  action?: { word: string; run: () => void };
}

const toasts = createStore<Toast[]>([]);
let lastToast = 0;
const TOAST_MS = 6000;
const TOAST_ACTION_MS = 20_000; // long enough to be read and reached

export function toast(text: string, action?: Toast["action"]): void {
  const id = ++lastToast;
  toasts.set([...toasts.get().slice(-2), action ? { id, text, action } : { id, text }]);
  setTimeout(() => dropToast(id), action ? TOAST_ACTION_MS : TOAST_MS);
}

function dropToast(id: number): void {
  toasts.set(toasts.get().filter((t) => t.id !== id));
}

export function Toasts() {
  const list = toasts.use();
  return (
    <div class="toasts" role="status">
      {list.map((t) => (
        <div class="toast" key={t.id}>
          <span>{t.text}</span>
          {t.action && (
            <Button
              kind="quiet"
              onClick={() => {
                dropToast(t.id);
                t.action?.run();
              }}
            >
              {t.action.word}
            </Button>
          )}
          <Button kind="quiet" label={tr("close")} onClick={() => dropToast(t.id)}>
            ✕
          </Button>
        </div>
      ))}
    </div>
  );
}

/** Asks for the password again: for what shows secrets. */
export function PasswordDialog(props: {
  title: string;
  text: string;
  yes: string;
  onClose: () => void;
  onPassword: (password: string) => Promise<string | null>; // a sentence when it failed
}) {
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const failed = await props.onPassword(password);
    setBusy(false);
    if (failed === null) props.onClose();
    else setError(failed);
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit}>
        <p>{props.text}</p>
        <label class="field">
          <span>{tr("password")}</span>
          <input
            type="password"
            autocomplete="current-password"
            value={password}
            onInput={(e) => setPassword(e.currentTarget.value)}
            required
          />
        </label>
        {error && (
          <p class="bad" role="alert">
            {error}
          </p>
        )}
        <div class="actions">
          <Button onClick={props.onClose}>{tr("cancel")}</Button>
          <Button kind="primary" type="submit" busy={busy}>
            {props.yes}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
