// The topics of a server's WebSockets, with their subscribers.

/** A member can subscribe to any number of topics. A topic exists as long as it has subscribers. */
export class Topics<Member extends object> {
  readonly #subscribers = new Map<string, Set<Member>>();
  readonly #topics = new Map<Member, Set<string>>();

  subscribe(member: Member, topic: string): void {
    let subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) this.#subscribers.set(topic, (subscribers = new Set()));
    subscribers.add(member);
    let topics = this.#topics.get(member);
    if (topics === undefined) this.#topics.set(member, (topics = new Set()));
    topics.add(topic);
  }

  /** Returns whether the member was subscribed. */
  unsubscribe(member: Member, topic: string): boolean {
    const topics = this.#topics.get(member);
    if (topics?.delete(topic) !== true) return false;
    if (topics.size === 0) this.#topics.delete(member);
    this.#remove(member, topic);
    return true;
  }

  unsubscribeAll(member: Member): void {
    for (const topic of this.#topics.get(member) ?? []) this.#remove(member, topic);
    this.#topics.delete(member);
  }

  isSubscribed(member: Member, topic: string): boolean {
    return this.#topics.get(member)?.has(topic) === true;
  }

  /** The topics of a member, in the order in which it subscribed. */
  topicsOf(member: Member): string[] {
    return [...(this.#topics.get(member) ?? [])];
  }

  /** The members that are subscribed to a topic; undefined if there are none. */
  subscribersOf(topic: string): ReadonlySet<Member> | undefined {
    return this.#subscribers.get(topic);
  }

  #remove(member: Member, topic: string): void {
    const subscribers = this.#subscribers.get(topic);
    subscribers?.delete(member);
    if (subscribers?.size === 0) this.#subscribers.delete(topic);
  }
}
