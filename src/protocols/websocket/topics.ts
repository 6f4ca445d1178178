// The topics of a server's WebSockets, with their subscribers.

/** What can subscribe. */
export interface Subscriber {
  /** Its topics: a string if there is one, because a Set takes more memory than the rest of an idle WebSocket's own state. */
  topics: string | Set<string> | undefined;
}

/** A member can subscribe to any number of topics. A topic exists as long as it has subscribers. */
export class Topics<Member extends Subscriber> {
  readonly #subscribers = new Map<string, Set<Member>>();

  subscribe(member: Member, topic: string): void {
    let subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) this.#subscribers.set(topic, (subscribers = new Set()));
    subscribers.add(member);
    const { topics } = member;
    if (topics === undefined) member.topics = topic;
    else if (typeof topics === "object") topics.add(topic);
    else if (topics !== topic) member.topics = new Set([topics, topic]);
  }

  /** Returns whether the member was subscribed. */
  unsubscribe(member: Member, topic: string): boolean {
    const { topics } = member;
    if (typeof topics === "object") {
      if (!topics.delete(topic)) return false;
      if (topics.size === 0) member.topics = undefined;
    } else {
      if (topics !== topic) return false;
      member.topics = undefined;
    }
    this.#remove(member, topic);
    return true;
  }

  unsubscribeAll(member: Member): void {
    for (const topic of this.topicsOf(member)) this.#remove(member, topic);
    member.topics = undefined;
  }

  isSubscribed({ topics }: Member, topic: string): boolean {
    return typeof topics === "object" ? topics.has(topic) : topics === topic;
  }

  /** The topics of a member, in the order in which it subscribed. */
  topicsOf({ topics }: Member): string[] {
    if (topics === undefined) return [];
    return typeof topics === "object" ? [...topics] : [topics];
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
