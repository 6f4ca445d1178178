// What started this process, to start another one.

/** Without the arguments. In an executable made by `bun build --compile` the program is inside. */
export function selfExec(): string[] {
  const [, program = ""] = process.argv;
  const isInside = program.startsWith("/$bunfs/");
  const flags = process.execArgv.filter((flag) => !flag.startsWith("--inspect")); // a debugger's port is for one
  return [process.execPath, ...(isInside ? [] : [...flags, program])];
}
