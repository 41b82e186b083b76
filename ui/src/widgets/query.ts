import { useEffect, useRef, useState } from 'preact/hooks';

export interface Query<T> {
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
  /** Asks again at once. */
  retry: () => void;
}

/**
 * Asks the server, again whenever `key` changes, and every `every` ms while the page is seen. Keeps the last answer of
 * the same key while asking again, and while failing, so that a hiccup does not blank the page.
 */
export function useQuery<T>(key: string | undefined, ask: (signal: AbortSignal) => Promise<T>, every = 0): Query<T> {
  const [state, setState] = useState<{
    key: string | undefined;
    data: T | undefined;
    error: Error | undefined;
    loading: boolean;
  }>({ key, data: undefined, error: undefined, loading: key !== undefined });
  const [attempt, setAttempt] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;

  useEffect(() => {
    if (key === undefined) {
      setState({ key, data: undefined, error: undefined, loading: false });
      return;
    }
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    setState((s) =>
      s.key === key ? { ...s, loading: true } : { key, data: undefined, error: undefined, loading: true },
    );
    const run = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const data = await latest.current(abort.signal);
          if (abort.signal.aborted) return;
          setState({ key, data, error: undefined, loading: false });
        }
      } catch (e) {
        if (abort.signal.aborted) return;
        setState((s) => ({
          key,
          data: s.key === key ? s.data : undefined,
          error: e instanceof Error ? e : new Error(String(e)),
          loading: false,
        }));
      }
      if (every > 0) timer = setTimeout(() => void run(), every);
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, every, attempt]);

  return { ...state, retry: () => setAttempt((n) => n + 1) };
}
