// A value that views read with use() and anything may set.
import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(value: T): void;
  subscribe(listener: () => void): () => void;
  use(): T;
}

export function createStore<T>(first: T): Store<T> {
  let value = first;
  const listeners = new Set<() => void>();
  const store: Store<T> = {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    use() {
      const [, update] = useState({});
      const shown = value;
      useEffect(() => {
        if (value !== shown) update({}); // it changed before anybody listened
        return store.subscribe(() => update({}));
      }, []);
      return value;
    },
  };
  return store;
}
