// The password, and back to the place that was asked for.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, logIn } from "../lib/api";
import { tr } from "../lib/i18n";
import { describe, Button } from "../ui/basics";
import { LangButton, ThemeButton } from "../ui/prefs";

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "127.0.0.1" || host === "[::1]";
}

export function Login({ expired }: { expired: boolean }) {
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await logIn(password);
    } catch (e) {
      const wrong = e instanceof ApiError && e.status === 401;
      setError(wrong ? tr("wrongPassword") : describe(e));
      setBusy(false);
      input.current?.select();
    }
  };
  const plain = location.protocol === "http:" && !isLoopback(location.hostname);
  return (
    <main class="login">
      <form onSubmit={submit}>
        <h1>ollama2openai</h1>
        {expired && <p role="status">{tr("sessionEnded")}</p>}
        <input type="text" class="offscreen" name="username" autocomplete="username" value="admin" readOnly tabIndex={-1}
          aria-hidden="true" />
        <label class="field">
          <span>{tr("password")}</span>
          <input ref={input} type="password" name="password" autocomplete="current-password" required value={password}
            onInput={(e) => setPassword(e.currentTarget.value)} />
        </label>
        {error && <p class="bad" role="alert">{error}</p>}
        <Button kind="primary" type="submit" busy={busy}>{tr("logIn")}</Button>
        {plain && <p class="note">{tr("notePlain")}</p>}
        <p class="faint">{tr("passwordHint")}</p>
      </form>
      <div class="login-prefs"><LangButton /><ThemeButton /></div>
    </main>
  );
}
