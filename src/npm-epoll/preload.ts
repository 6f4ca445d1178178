// A preload for bunfig.toml that replaces the npm package `epoll` with this one, for all modules that import it.

import { checkRequirements } from "../kernel/requirements.ts";
import { Epoll } from "./index.ts";

checkRequirements();
Bun.plugin({
  name: "epoll-hello/npm-epoll",
  setup: (build) => void build.module("epoll", () => ({ exports: { Epoll, default: { Epoll } }, loader: "object" })),
});
