// class JsonLines: a process that prints lines of JSON, each an object with one key.

type Keys<Message> = Message extends unknown ? keyof Message : never;
type Value<Message, Key extends PropertyKey> = Message extends Record<Key, infer V> ? V : never;
type Listener = (value: unknown) => void;

/** @template Message the messages: a union of objects with one key each */
export class JsonLines<Message extends object> {
  readonly pid: number;
  /** Resolves to the exit code, once all output is read. */
  readonly exited: Promise<number>;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #listeners = new Map<PropertyKey, Set<Listener>>();
  readonly #last = new Map<PropertyKey, unknown>();

  constructor(child: Bun.Subprocess<"ignore", "pipe", "inherit">) {
    this.pid = child.pid;
    this.#child = child;
    this.exited = this.#read();
  }

  on<Key extends Keys<Message>>(key: Key, listener: (value: Value<Message, Key>) => void): void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener as Listener));
  }

  /** The last message with this key so far. */
  last<Key extends Keys<Message>>(key: Key): Value<Message, Key> | undefined {
    return this.#last.get(key) as Value<Message, Key> | undefined;
  }

  /** Waits for the next message with this key that satisfies the condition. */
  async next<Key extends Keys<Message>>(
    key: Key,
    isWanted: (value: Value<Message, Key>) => boolean = () => true,
  ): Promise<Value<Message, Key>> {
    const { promise, resolve, reject } = Promise.withResolvers<Value<Message, Key>>();
    const listener = (value: Value<Message, Key>): void => {
      if (isWanted(value)) resolve(value);
    };
    this.on(key, listener);
    void this.exited.then((code) =>
      reject(new Error(`process ${this.pid} exited with code ${code} before "${String(key)}"`)),
    );
    try {
      return await promise;
    } finally {
      this.#listeners.get(key)?.delete(listener as Listener);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #read(): Promise<number> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const bytes of this.#child.stdout) {
      const lines = (text + decoder.decode(bytes, { stream: true })).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        for (const [key, value] of Object.entries(JSON.parse(line) as object)) {
          this.#last.set(key, value);
          for (const listener of this.#listeners.get(key) ?? []) listener(value);
        }
      }
    }
    return this.#child.exited;
  }
}
