// Frees the memory of a buffer as soon as it is no longer needed.

/** Below this size, the collector is faster. */
const MIN_FREED_BYTES = 65_536;

/**
 * Frees the memory of bytes that nothing uses any more: all views of their buffer become empty. Garbage of this size would
 * otherwise fill tens of megabytes before it is collected, and each new page costs a page fault.
 */
export function freeMemory(bytes: Uint8Array): void {
  if (bytes.byteLength >= MIN_FREED_BYTES) (bytes.buffer as ArrayBuffer).transfer(0);
}
