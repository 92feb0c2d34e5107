// Language and theme: chosen by the browser until somebody chooses by hand.
import { createStore } from "./store";

export type Lang = "en" | "zh";
export type Theme = "auto" | "light" | "dark";

function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage may be forbidden
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it then holds until the page is left
  }
}

function firstLang(): Lang {
  const chosen = stored("lang");
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.languages.some((l) => /^zh\b/i.test(l)) ? "zh" : "en";
}

function firstTheme(): Theme {
  const chosen = stored("theme");
  return chosen === "light" || chosen === "dark" ? chosen : "auto";
}

export const lang = createStore<Lang>(firstLang());
export const theme = createStore<Theme>(firstTheme());

export function applyPrefs(): void {
  const root = document.documentElement;
  root.lang = lang.get() === "zh" ? "zh-CN" : "en";
  if (theme.get() === "auto") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.get();
}

export function setLang(value: Lang): void {
  keep("lang", value);
  lang.set(value);
  applyPrefs();
}

export function setTheme(value: Theme): void {
  keep("theme", value);
  theme.set(value);
  applyPrefs();
}

export function isDark(): boolean {
  const chosen = theme.get();
  return chosen === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}
