// tr("name", …): a message in the page's language.
import { lang } from "./prefs";
import { messages } from "./messages";

export type MessageName = keyof typeof messages;
type English<K extends MessageName> = (typeof messages)[K][0];
type Arguments<K extends MessageName> =
  English<K> extends (...args: infer A) => string ? A : [];

export function tr<K extends MessageName>(name: K, ...args: Arguments<K>): string {
  const message: unknown = messages[name][lang.get() === "zh" ? 1 : 0];
  return typeof message === "function"
    ? (message as (...a: unknown[]) => string)(...args)
    : (message as string);
}

/** The message `name` if there is one: for words that a server may know and this page may not. */
export function trMaybe(name: string): string | null {
  return Object.prototype.hasOwnProperty.call(messages, name) ? tr(name as never) : null;
}
