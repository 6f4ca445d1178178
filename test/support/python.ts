// The Python interpreter of the tests.

const found: string | null = Bun.which("python3");

/** Its path, which a script such as that of pyenv may hide; undefined if there is none. */
export const python: string | undefined =
  found === null
    ? undefined
    : Bun.spawnSync([found, "-c", "import sys; print(sys.executable)"]).stdout.toString().trim() || undefined;
