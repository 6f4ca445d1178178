// The status codes of Close frames that the server uses: RFC 6455, 7.4.1.

/** The server stops. */
export const GOING_AWAY: number = 1001;
/** No Close frame had a status code. Never sent. */
export const NO_STATUS: number = 1005;
/** The connection ended without a Close frame. Never sent. */
export const ABNORMAL: number = 1006;
/** A message is larger than `maxPayloadLength`. */
export const TOO_LARGE: number = 1009;
/** The server has no memory left for a message: `maxBufferedBytes`. */
export const TRY_AGAIN_LATER: number = 1013;
