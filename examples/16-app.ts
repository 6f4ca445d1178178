// bun src/tools/cli/main.ts examples/16-app.ts --port 8808        (then: curl http://localhost:8808/soon)
//
// An app for the command, which serves a module's default export. Also try --workers 4, --trace, --step and --inspect.
// Its handlers may wait for timers, files and other servers.

let visits = 0;

export default {
  maxBodyBytes: 1_000_000, // any option of EpollServer, such as port or hostname

  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    visits++;
    if (pathname === "/soon") {
      await Bun.sleep(100);
      return new Response(`100 ms later: visit ${visits} of process ${process.pid}.\n`);
    }
    if (pathname === "/length") return Response.json({ length: (await request.bytes()).length });
    if (pathname === "/broken") throw new Error("printed in the terminal; the client gets 500");
    return new Response(`Visit ${visits} of process ${process.pid}.\n`);
  },
};
