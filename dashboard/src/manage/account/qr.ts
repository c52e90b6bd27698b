/**
 * A QR code (ISO/IEC 18004) of a text: byte mode, error correction M, versions 1 to 10, which hold 213 bytes. An authenticator's
 * address has some 130.
 */

/** Correction bytes of each block, and blocks, by version. */
const CORRECTION = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
/** The two bits that say M. */
const LEVEL = 0;
const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

type Grid = boolean[][];

/** Places of alignment patterns along a side. */
function alignment(version: number): number[] {
  if (version === 1) return [];
  const last = version * 4 + 10;
  return version < 7 ? [6, last] : [6, 6 + Math.ceil((last - 6) / 4) * 2, last];
}

/** Bytes that a version holds, correction included. */
function capacity(version: number): number {
  const along = Math.floor(version / 7) + 2;
  const patterns = version === 1 ? 0 : (25 * along - 10) * along - 55;
  return Math.floor(((16 * version + 128) * version + 64 - patterns - (version >= 7 ? 36 : 0)) / 8);
}

/** The modules of a text's code, by row; dark ones are true. With `mask` it has that one, else the one that is read best. */
export function qrCode(text: string, mask?: number): Grid {
  const bytes = [...new TextEncoder().encode(text)];
  const version = CORRECTION.findIndex((_, at) => dataBytes(at + 1) >= bytes.length + (at + 1 < 10 ? 2 : 3)) + 1;
  if (version === 0) throw new RangeError(`${bytes.length} bytes are too many for the code`);
  const words = interleaved(padded(bytes, version), version);
  const masks = mask === undefined ? MASKS.map((_, number) => number) : [mask];
  const codes = masks.map((number) => drawn(version, words, number));
  return codes.reduce((best, code) => (penalty(code) < penalty(best) ? code : best));
}

function dataBytes(version: number): number {
  return capacity(version) - (CORRECTION[version - 1] ?? 0) * (BLOCKS[version - 1] ?? 0);
}

function padded(bytes: number[], version: number): number[] {
  const bits: number[] = [];
  const put = (value: number, length: number) => {
    for (let at = length - 1; at >= 0; at--) bits.push((value >> at) & 1);
  };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  const room = dataBytes(version) * 8;
  put(0, Math.min(4, room - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let fill = 0xec; bits.length < room; fill ^= 0xec ^ 0x11) put(fill, 8);
  return Array.from({ length: bits.length / 8 }, (_, at) => bits.slice(at * 8, at * 8 + 8).reduce((byte, bit) => byte * 2 + bit, 0));
}

/** Multiplies in the field of 256 elements. */
function times(one: number, other: number): number {
  let product = 0;
  for (let at = 7; at >= 0; at--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((other >> at) & 1) * one);
  return product;
}

/** The correction of a block: what is left of it, divided by the product of `x - 2^n`. */
function correction(block: readonly number[], length: number): number[] {
  const divisor = new Array<number>(length).fill(0);
  divisor[length - 1] = 1;
  for (let root = 1, count = 0; count < length; count++, root = times(root, 2))
    for (let at = 0; at < length; at++) divisor[at] = times(divisor[at] ?? 0, root) ^ (divisor[at + 1] ?? 0);
  const rest = new Array<number>(length).fill(0);
  for (const byte of block) {
    const factor = byte ^ (rest.shift() ?? 0);
    rest.push(0);
    for (let at = 0; at < length; at++) rest[at] = (rest[at] ?? 0) ^ times(divisor[at] ?? 0, factor);
  }
  return rest;
}

/** The bytes of all blocks by turns, then their corrections. */
function interleaved(bytes: number[], version: number): number[] {
  const [count, length] = [BLOCKS[version - 1] ?? 1, CORRECTION[version - 1] ?? 0];
  const short = Math.floor(bytes.length / count);
  const blocks: number[][] = [];
  for (let at = 0, number = 0; number < count; number++) {
    const size = short + (number >= count - (bytes.length % count) ? 1 : 0);
    blocks.push(bytes.slice(at, at + size));
    at += size;
  }
  const corrections = blocks.map((block) => correction(block, length));
  const turns = (all: number[][], most: number) => Array.from({ length: most }, (_, at) => all.flatMap((one) => one[at] ?? [])).flat();
  return [...turns(blocks, short + 1), ...turns(corrections, length)];
}

/** The remainder of a value by a generator, behind the value. */
function checked(value: number, length: number, generator: number): number {
  let rest = value;
  for (let at = 0; at < length; at++) rest = (rest << 1) ^ ((rest >> (length - 1)) * generator);
  return (value << length) | rest;
}

function drawn(version: number, words: readonly number[], mask: number): Grid {
  const size = version * 4 + 17;
  const code: Grid = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  const fixed: Grid = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  const set = (x: number, y: number, dark: boolean) => {
    const [row, marks] = [code[y], fixed[y]];
    if (!row || !marks || x < 0 || x >= size) return;
    row[x] = dark;
    marks[x] = true;
  };
  const square = (cx: number, cy: number, radius: number, isDark: (distance: number) => boolean) => {
    for (let dy = -radius; dy <= radius; dy++)
      for (let dx = -radius; dx <= radius; dx++) set(cx + dx, cy + dy, isDark(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (let at = 0; at < size; at++) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) square(x, y, 4, (distance) => distance !== 2 && distance !== 4);
  const places = alignment(version);
  const last = places.at(-1);
  for (const x of places)
    for (const y of places)
      if (!((x === 6 && y === 6) || (x === 6 && y === last) || (x === last && y === 6))) square(x, y, 2, (distance) => distance !== 1);
  const format = checked((LEVEL << 3) | mask, 10, 0x537) ^ 0x5412;
  for (let at = 0; at < 15; at++) {
    const dark = ((format >> at) & 1) === 1;
    set(8, at < 6 ? at : at < 8 ? at + 1 : size - 15 + at, dark);
    set(at < 8 ? size - 1 - at : at === 8 ? 7 : 14 - at, 8, dark);
  }
  set(8, size - 8, true);
  const about = checked(version, 12, 0x1f25);
  for (let at = 0; version >= 7 && at < 18; at++) {
    const [far, near] = [size - 11 + (at % 3), Math.floor(at / 3)];
    set(far, near, ((about >> at) & 1) === 1);
    set(near, far, ((about >> at) & 1) === 1);
  }
  let bit = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    const column = right <= 6 ? right - 1 : right;
    const isUp = ((column + 1) & 2) === 0;
    for (let step = 0; step < size; step++)
      for (const x of [column, column - 1]) {
        const y = isUp ? size - 1 - step : step;
        const row = code[y];
        if (!row || fixed[y]?.[x]) continue;
        row[x] = (((words[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1 !== (MASKS[mask]?.(x, y) ?? false);
        bit += 1;
      }
  }
  return code;
}

/** How hard a code is to read: long runs, squares, what looks like a corner, and too much of one colour. */
function penalty(code: Grid): number {
  const size = code.length;
  const lines = [...code, ...code.map((_, x) => code.map((row) => row[x] ?? false))].map((line) => line.map((dark) => (dark ? "1" : "0")).join(""));
  let sum = 0;
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
    sum += 40 * [...line.matchAll(/(?=10111010000|00001011101)/g)].length;
  }
  for (let y = 0; y + 1 < size; y++)
    for (let x = 0; x + 1 < size; x++) {
      const dark = code[y]?.[x];
      if (dark === code[y]?.[x + 1] && dark === code[y + 1]?.[x] && dark === code[y + 1]?.[x + 1]) sum += 3;
    }
  const share = code.flat().filter(Boolean).length / size ** 2;
  return sum + 10 * Math.floor(Math.abs(share * 20 - 10));
}
