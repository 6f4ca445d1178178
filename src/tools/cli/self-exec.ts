// The command line that starts another process of this program.

/** Returns the executable and its leading arguments. An executable made by `bun build --compile` contains the program. */
export function selfExec(): string[] {
  const [, program = ""] = process.argv;
  const isCompiled = program.startsWith("/$bunfs/");
  const flags = process.execArgv.filter((flag) => !flag.startsWith("--inspect")); // only one process can use that port
  return [process.execPath, ...(isCompiled ? [] : [...flags, program])];
}
