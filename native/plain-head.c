// Scans the head of a plain HTTP/1.1 request in one pass. `npm run build:wasm` compiles it to WebAssembly, for plain-head.ts.
//
// A head is plain if llhttp would accept it, it needs none of the rules in validate-fields.ts and request-target.ts beyond those
// checked here, and each Connection is `keep-alive` or `close`. For any other input, `scan` returns 0, and
// llhttp decides. test/http/plain-head.test.ts compares the two.

#include <wasm_simd128.h>

typedef unsigned char byte;

#define EXPORT(name) __attribute__((export_name(#name)))
#define INPUT_BYTES 8192
#define PADDING 16 // scans read 16 bytes at a time, so they may read this far past the end
#define MAX_FIELDS 256
#define MAX_NAME_BYTES 256
#define MAX_AUTHORITY_BYTES 256
#define MAX_LENGTH_DIGITS 9
#define VERSION_LINE_BYTES 11 // " HTTP/1.1\r\n"

// The head, or the beginning of one. Offsets are relative to it.
static byte input[INPUT_BYTES + PADDING];
// The results of `scan` (the first seven) and of `find` (the last two).
static struct {
  int method; // an index of METHODS in plain-head.ts
  int target_end;
  int host_start;
  int host_end;
  int body_length;
  int flags;
  int field_count;
  int value_start;
  int value_end;
} result;
// Four offsets per field: start and end of the name, start and end of the value.
static int fields[4 * MAX_FIELDS];
// A valid authority, which most requests have in Host.
static byte authority[MAX_AUTHORITY_BYTES];
static int authority_length = -1;
// The name to find, in lower case.
static byte name_to_find[MAX_NAME_BYTES];

enum { IS_LAST = 1, HAS_KNOWN_HOST = 2, HAS_NORMAL_TARGET = 4 };

EXPORT(input) byte *get_input(void) { return input; }
EXPORT(result) void *get_result(void) { return &result; }
EXPORT(fields) int *get_fields(void) { return fields; }
EXPORT(authority) byte *get_authority(void) { return authority; }
EXPORT(name) byte *get_name(void) { return name_to_find; }
EXPORT(setAuthorityLength) void set_authority_length(int length) { authority_length = length; }

// Returns the first byte that cannot be in a token: RFC 9110, 5.6.2. A byte is in a token if the row of its high half (2 to 7) is
// among the rows that have the column of its low half.
static inline const byte *skip_token(const byte *p) {
  const v128_t rows = wasm_u8x16_const(0, 0, 1, 2, 4, 8, 16, 32, 0, 0, 0, 0, 0, 0, 0, 0);
  const v128_t columns = wasm_u8x16_const(58, 63, 62, 63, 63, 63, 63, 63, 62, 62, 61, 21, 52, 21, 61, 28);
  const v128_t low_half = wasm_u8x16_splat(15);
  for (;; p += 16) {
    v128_t bytes = wasm_v128_load(p);
    v128_t row = wasm_i8x16_swizzle(rows, wasm_u8x16_shr(bytes, 4));
    v128_t column = wasm_i8x16_swizzle(columns, wasm_v128_and(bytes, low_half));
    unsigned others = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_and(row, column), wasm_i8x16_splat(0)));
    if (others != 0) return p + __builtin_ctz(others);
  }
}

// Returns the first byte that cannot be in a field's value: a control character other than a tab.
static inline const byte *skip_value(const byte *p) {
  for (;; p += 16) {
    v128_t bytes = wasm_v128_load(p);
    v128_t controls = wasm_v128_andnot(wasm_u8x16_lt(bytes, wasm_u8x16_splat(' ')), wasm_i8x16_eq(bytes, wasm_u8x16_splat('\t')));
    unsigned others = wasm_i8x16_bitmask(wasm_v128_or(controls, wasm_i8x16_eq(bytes, wasm_u8x16_splat(127))));
    if (others != 0) return p + __builtin_ctz(others);
  }
}

static inline int is_space(byte c) { return c == ' ' || c == '\t'; }

static inline const byte *skip_space(const byte *p) {
  while (is_space(*p)) p++;
  return p;
}

static inline const byte *trim_end(const byte *start, const byte *end) {
  while (end > start && is_space(end[-1])) end--;
  return end;
}

static inline int equals(const byte *p, const char *text, int length) {
  for (int i = 0; i < length; i++)
    if (p[i] != (byte)text[i]) return 0;
  return 1;
}

// Compares a token with letters and hyphens in lower case.
static inline int is_token(const byte *p, const char *lower, int length) {
  for (int i = 0; i < length; i++)
    if ((p[i] | 0x20) != (byte)lower[i]) return 0;
  return 1;
}

// Returns the length of the method and the space after it, and stores the method's number; 0 if it is another method.
static inline int scan_method(const byte *p) {
  static const char methods[7][9] = {"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "PATCH ", "OPTIONS "};
  static const byte lengths[7] = {4, 5, 5, 4, 7, 6, 8};
  for (int i = 0; i < 7; i++) {
    if (equals(p, methods[i], lengths[i])) {
      result.method = i;
      return lengths[i];
    }
  }
  return 0;
}

// Characters of a target that `URL` neither escapes nor interprets. The others are in the switch of scan_target.
static inline int is_normal(byte c) {
  if (c >= 'a' && c <= 'z') return 1;
  if (c >= '&' && c <= ';') return c != '\''; // &()*+,-./0-9:;
  return (c >= '?' && c <= 'Z') || c == '_' || c == '=' || c == '$' || c == '!' || c == '~';
}

// Scans a path with an optional query, and returns its end; 0 if it needs further validation.
static inline const byte *scan_target(const byte *p) {
  int is_target_normal = 1;
  if (*p != '/') return 0;
  for (p++; *p > ' ' && *p < 127; p++) {
    switch (*p) {
      case '#':
      case '\\':
        return 0;
      case '%':
        if (p[1] == '0' && p[2] == '0') return 0;
        if (p[1] == '2' && (p[2] | 0x20) == 'e') is_target_normal = 0;
        break;
      case '.':
        if (p[-1] == '/') is_target_normal = 0; // perhaps a dot segment
        break;
      default:
        if (!is_normal(*p)) is_target_normal = 0;
    }
  }
  result.flags = is_target_normal ? HAS_NORMAL_TARGET : 0;
  return p;
}

static inline int scan_content_length(const byte *start, const byte *end) {
  int length = 0;
  if (end == start || end - start > MAX_LENGTH_DIGITS || (*start == '0' && end - start > 1)) return -1;
  for (const byte *p = start; p < end; p++) {
    if (*p < '0' || *p > '9') return -1;
    length = 10 * length + *p - '0';
  }
  return length;
}

static inline int is_known_authority(const byte *start, const byte *end) {
  return end - start == authority_length && equals(start, (const char *)authority, authority_length);
}

// Scans the first `length` bytes of the input. Returns the size of the head; 0 if it is not plain or not complete.
EXPORT(scan) int scan(int length) {
  int has_host = 0, has_length = 0, count = 0;
  wasm_v128_store(input + length, wasm_i8x16_splat(0)); // no scan continues past a zero
  const byte *p = input + scan_method(input);
  if (p == input || (p = scan_target(p)) == 0) return 0;
  result.target_end = p - input;
  if (!equals(p, " HTTP/1.1\r\n", VERSION_LINE_BYTES)) return 0;
  p += VERSION_LINE_BYTES;
  result.body_length = 0;
  for (; *p != '\r'; count++) {
    const byte *name = p;
    p = skip_token(p);
    int size = p - name;
    if (size == 0 || *p != ':') return 0;
    const byte *value = skip_space(p + 1);
    p = skip_value(value);
    if (p[0] != '\r' || p[1] != '\n') return 0;
    const byte *end = p;
    p += 2;
    switch (size) {
      case 4:
        if (!is_token(name, "host", 4)) break;
        if (has_host++) return 0;
        end = trim_end(value, end);
        result.host_start = value - input;
        result.host_end = end - input;
        if (is_known_authority(value, end)) result.flags |= HAS_KNOWN_HOST;
        break;
      case 6:
        if (is_token(name, "expect", 6)) return 0;
        break;
      case 10:
        if (!is_token(name, "connection", 10)) break;
        if (end - value == 10 && is_token(value, "keep-alive", 10)) break;
        if (end - value != 5 || !is_token(value, "close", 5)) return 0;
        result.flags |= IS_LAST;
        break;
      case 14:
        if (!is_token(name, "content-length", 14)) break;
        if (has_length++ || (result.body_length = scan_content_length(value, end)) < 0) return 0;
        break;
      case 17:
        if (is_token(name, "transfer-encoding", 17)) return 0;
        break;
    }
  }
  if (p[1] != '\n' || !has_host || count > MAX_FIELDS) return 0;
  result.field_count = count;
  return p + 2 - input;
}

// Finds the fields with a name of this length among those that begin at `start`, in a head that `scan` has accepted. Returns how
// many there are, and stores the value of the first.
EXPORT(find) int find(int start, int length) {
  int count = 0;
  for (const byte *p = input + start; *p != '\r';) {
    const byte *name = p;
    p = skip_token(p);
    const byte *value = p + 1;
    int is_found = p - name == length && is_token(name, (const char *)name_to_find, length);
    p = skip_value(value);
    if (is_found && count++ == 0) {
      value = skip_space(value);
      result.value_start = value - input;
      result.value_end = trim_end(value, p) - input;
    }
    p += 2;
  }
  return count;
}

// Stores the offsets of the fields that begin at `start`, in a head that `scan` has accepted. Returns how many there are.
EXPORT(list) int list(int start) {
  int *field = fields;
  for (const byte *p = input + start; *p != '\r'; p += 2) {
    *field++ = p - input;
    p = skip_token(p);
    *field++ = p - input;
    const byte *value = skip_space(p + 1);
    p = skip_value(value);
    *field++ = value - input;
    *field++ = trim_end(value, p) - input;
  }
  return (field - fields) / 4;
}
