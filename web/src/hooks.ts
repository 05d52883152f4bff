import { useEffect, useRef, useState } from "preact/hooks";
import { onEvent } from "./api";

export interface Loaded<R> { value: R | null; error: string | null; reload: () => void }

/** Loads now, every `everyMs` while the page is visible, and when an event of `types` arrives. */
export function useLoad<R>(load: (abort: AbortSignal) => Promise<R>, deps: unknown[], everyMs = 0, types: string[] = []): Loaded<R> {
  const [value, setValue] = useState<R | null>(null);
  const [error, setError] = useState<string | null>(null);
  const run = useRef<() => void>(() => {});
  useEffect(() => {
    let current: AbortController | null = null;
    let stopped = false;
    run.current = () => {
      if (stopped || current) return;
      current = new AbortController();
      load(current.signal)
        .then((v) => { if (!stopped) { setValue(v); setError(null); } })
        .catch((e: Error) => { if (!stopped && e.name !== "AbortError") setError(e.message); })
        .finally(() => { current = null; });
    };
    run.current();
    const timer = everyMs ? setInterval(() => { if (!document.hidden) run.current(); }, everyMs) : 0;
    const off = types.length ? onEvent((type) => { if (types.includes(type) || type === "lost") run.current(); }) : () => {};
    return () => { stopped = true; current?.abort(); clearInterval(timer); off(); };
  }, deps);
  return { value, error, reload: () => run.current() };
}
