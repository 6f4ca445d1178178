// As a preload in bunfig.toml: whoever asks for the package `epoll`, a dependency of a dependency, gets the class here.

import { Epoll } from "./index.ts";

Bun.plugin({
  name: "epoll-hello/npm-epoll",
  setup: (build) => void build.module("epoll", () => ({ exports: { Epoll, default: { Epoll } }, loader: "object" })),
});
