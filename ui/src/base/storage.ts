// localStorage that may be absent, full, or hold what another version wrote: then the caller gets nothing, never an
// exception, and the page works without memory.

export function keep(key: string, value: unknown): void {
  try {
    localStorage.setItem(`binnacle.${key}`, JSON.stringify(value));
  } catch {
    // Forbidden or full. What is kept here only ever saves the user a step.
  }
}

export function kept(key: string): unknown {
  try {
    const text = localStorage.getItem(`binnacle.${key}`);
    return text === null ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}
