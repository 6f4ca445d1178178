/** A C file imported `with { type: "text" }` is its source. */
declare module "*.c" {
  const source: string;
  export default source;
}
