export function chart(_results: unknown, _machine: string): string {
  return "";
}
