// The two buttons for language and theme.
import { tr } from "../lib/i18n";
import { lang, setLang, setTheme, theme, type Theme } from "../lib/prefs";

export function LangButton() {
  const now = lang.use();
  const next = now === "en" ? "zh" : "en";
  return (
    <button type="button" class="icon-button" lang={next === "zh" ? "zh-CN" : "en"} onClick={() => setLang(next)}>
      {next === "zh" ? "中文" : "English"}
    </button>
  );
}

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export function ThemeButton() {
  const now = theme.use();
  const word = { auto: tr("themeAuto"), light: tr("themeLight"), dark: tr("themeDark") }[now];
  return (
    <button type="button" class="icon-button" title={word} aria-label={word} onClick={() => setTheme(NEXT[now])}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        {now === "light" ? (
          <g stroke="currentColor" stroke-width="1.4" fill="none" stroke-linecap="round">
            <circle cx="8" cy="8" r="3" />
            <path d="M8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M3.2 12.8l1.1-1.1M11.7 4.3l1.1-1.1" />
          </g>
        ) : now === "dark" ? (
          <path d="M13.5 9.7A6 6 0 0 1 6.3 2.5a6 6 0 1 0 7.2 7.2z" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" />
        ) : (
          <g><circle cx="8" cy="8" r="5.8" fill="none" stroke="currentColor" stroke-width="1.4" /><path d="M8 2.2a5.8 5.8 0 0 1 0 11.6z" fill="currentColor" /></g>
        )}
      </svg>
    </button>
  );
}
