// Buffer sizes that several files of the HTTP protocol share, one constant per meaning.

/** Bytes buffered for one connection, in either direction, at which the source of more pauses. */
export const HIGH_WATER_MARK: number = 262_144;

/** Responses to the requests of one wake-up are collected up to this size and sent with one call. */
export const BATCH_BYTES: number = 65_536;
