import { useLayoutEffect, useRef } from 'preact/hooks';

// The keyboard. Handlers stack: what was put up last (a dialog over a page) hears first, and a handled key goes no
// further. Nothing fires while somebody types, but Escape, which leaves the field.

export type Keys = Partial<Record<string, (e: KeyboardEvent) => void>>;

const stack: { current: Keys }[] = [];

addEventListener('keydown', (e) => {
  const el = e.target instanceof HTMLElement ? e.target : undefined;
  const typing = el !== undefined && (el.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(el.tagName));
  if (typing && e.key === 'Escape') el.blur();
  if (e.metaKey || e.ctrlKey || e.altKey) return;
  for (let i = stack.length - 1; i >= 0; i--) {
    const keys = stack[i]!.current;
    const f = keys[e.key];
    if (f === undefined || (typing && keys.typing === undefined)) continue;
    // A focused button or link keeps its own Enter and space.
    if ((e.key === 'Enter' || e.key === ' ') && (el?.tagName === 'BUTTON' || el?.tagName === 'A')) continue;
    e.preventDefault();
    f(e);
    return;
  }
});

export function useKeys(keys: Keys): void {
  const ref = useRef(keys);
  ref.current = keys;
  // Before the next event, not after the next paint: a key may follow at once.
  useLayoutEffect(() => {
    stack.push(ref);
    return () => {
      stack.splice(stack.indexOf(ref), 1);
    };
  }, []);
}
