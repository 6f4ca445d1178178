/** A C file imported `with { type: "text" }` is its source. */
declare module "*.c" {
  const source: string;
  export default source;
}

/** llhttp, compiled to WebAssembly: its bytes. */
declare module "undici/lib/llhttp/llhttp_simd-wasm.js" {
  const bytes: Uint8Array;
  export default bytes;
}
