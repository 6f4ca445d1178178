// Takes a CPU profile of 100 ms: the package contains no tests.

import profiler from "@sentry/node-cpu-profiler";

const { CpuProfilerBindings } = profiler;
CpuProfilerBindings.startProfiling("profile");
const end = performance.now() + 100;
while (performance.now() < end) Math.sqrt(end);
const profile = CpuProfilerBindings.stopProfiling("profile", 0);
if (!profile || profile.samples.length === 0) throw new Error("the profile has no samples");
console.log(`${profile.samples.length} samples`);
