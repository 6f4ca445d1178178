// The opcodes of frames: RFC 6455, 5.2.

export const CONTINUATION: number = 0x0;
export const TEXT: number = 0x1;
export const BINARY: number = 0x2;
export const CLOSE: number = 0x8;
export const PING: number = 0x9;
export const PONG: number = 0xa;
