// Single keys that do something while nothing is being typed.
import { useEffect, useRef } from "preact/hooks";

type Table = Record<string, (event: KeyboardEvent) => void>;

function isTyping(target: EventTarget | null): boolean {
  const node = target as HTMLElement | null;
  if (!node?.closest) return false;
  const field = node.closest("input, textarea, select, [contenteditable]") as HTMLInputElement | null;
  return field !== null && field.type !== "checkbox";
}

/** What Enter already means something to. */
function isControl(target: EventTarget | null): boolean {
  return (target as HTMLElement | null)?.closest?.("a, button, summary, input") != null;
}

export function useShortcuts(table: Table): void {
  const latest = useRef(table);
  latest.current = table;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const run = latest.current[event.key];
      if (!run || (event.key === "Enter" && isControl(event.target))) return;
      event.preventDefault();
      run(event);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
