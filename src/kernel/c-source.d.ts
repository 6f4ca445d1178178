/** The source text of a C file, imported `with { type: "text" }`. */
declare module "*.c" {
  const source: string;
  export default source;
}
