// bun src/tools/cli/main.ts examples/16-app.ts --port 8808        (then: curl http://localhost:8808/soon)
//
// An application for the command: what a module exports by default is served, by one process or with --workers 4, and shown
// with --trace, --step and --inspect. It may wait for timers, for files and for others.

let visits = 0;

export default {
  maxBodyBytes: 1_000_000, // any option of EpollServer, but those that say where it listens

  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    visits++;
    if (pathname === "/soon") {
      await Bun.sleep(100);
      return new Response(`A moment later, visit ${visits} of process ${process.pid}.\n`);
    }
    if (pathname === "/length") return Response.json({ length: (await request.bytes()).length });
    if (pathname === "/broken") throw new Error("this is what the terminal shows, and the client gets 500");
    return new Response(`Visit ${visits} of process ${process.pid}.\n`);
  },
};
