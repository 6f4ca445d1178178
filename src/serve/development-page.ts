// The page that describes an error to its developer.

/** Returns the response to a request that failed, in development: the error with its stack. */
export function developmentPage(error: unknown): Response {
  const text = Bun.inspect(error, { colors: false });
  const title = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${Bun.escapeHTML(title)}</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem } pre { overflow-x: auto }</style>
<h1>500: ${Bun.escapeHTML(title)}</h1>
<pre>${Bun.escapeHTML(text)}</pre>
<p>This page is shown because <code>development</code> is on. Set <code>development: false</code>, or
<code>NODE_ENV=production</code>, for a server that others can reach.</p>
</html>
`;
  return new Response(page, { status: 500, headers: { "Content-Type": "text/html;charset=utf-8" } });
}
