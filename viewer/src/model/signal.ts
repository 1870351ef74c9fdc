/** A value that tells its listeners when it is replaced. */
export class Signal<T> {
  private readonly listeners = new Set<(value: T, before: T) => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(value: T): void {
    const before = this.current;
    if (Object.is(value, before)) return;
    this.current = value;
    for (const listener of [...this.listeners]) listener(value, before);
  }

  /** Replaces some fields of a record. */
  update(change: Partial<T>): void {
    const keys = Object.keys(change) as (keyof T)[];
    if (keys.some((key) => !Object.is(this.current[key], change[key]))) this.set({ ...this.current, ...change });
  }

  subscribe(listener: (value: T, before: T) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
