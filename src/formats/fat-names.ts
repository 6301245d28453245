/** A name in pieces of 13 UTF-16 units, in records before the short entry that they belong to. */
export interface LongNameCollector {
  /** Takes a record of kind long name. */
  add(record: Buffer): void
  /** The name for the short entry that follows, when all pieces were there and were made for it. */
  take(shortName: Buffer): string | undefined
}

const LAST_PIECE = 0x40
const MAX_PIECES = 20
const PIECE_UNITS = 13

export function longNameCollector(): LongNameCollector {
  let pieces: Buffer[] = []
  let wanted = 0
  let checksum = 0
  return {
    add(record) {
      const order = record[0] as number
      const number = order & 0x3f
      if ((order & LAST_PIECE) !== 0) {
        pieces = []
        wanted = number
        checksum = record[13] as number
      }
      // pieces come last first; anything else is the rest of a deleted name
      if (number < 1 || number > MAX_PIECES || number !== wanted - pieces.length || record[13] !== checksum) {
        pieces = []
        wanted = 0
        return
      }
      pieces.push(Buffer.concat([record.subarray(1, 11), record.subarray(14, 26), record.subarray(28, 32)]))
    },
    take(shortName) {
      const isWhole = wanted > 0 && pieces.length === wanted && checksum === shortNameChecksum(shortName)
      const units = Buffer.concat(pieces.reverse())
      pieces = []
      wanted = 0
      if (!isWhole) return undefined
      const text = units.toString('utf16le')
      const end = text.indexOf('\0')
      return end === -1 ? text.slice(0, MAX_PIECES * PIECE_UNITS) : text.slice(0, end)
    },
  }
}

export function shortNameChecksum(name: Buffer): number {
  let sum = 0
  for (const byte of name.subarray(0, 11)) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff
  return sum
}

/** `BOOTX64 EFI` as people read it; two bits say which half is in lower case (Windows NT, Linux). */
export function shortNameText(record: Buffer): string {
  const raw = Buffer.from(record.subarray(0, 11))
  if (raw[0] === 0x05) raw[0] = 0xe5
  const half = (start: number, end: number, lowerBit: number): string => {
    const text = raw.toString('latin1', start, end).trimEnd()
    return ((record[12] as number) & lowerBit) === 0 ? text : text.toLowerCase()
  }
  const [base, extension] = [half(0, 8, 0x08), half(8, 11, 0x10)]
  return extension === '' ? base : `${base}.${extension}`
}
