import { AslError, type ErrorCode } from './error.ts'
import { type Reference, referenceBytes, referenceFromBytes } from './reference.ts'

/** Writes the big-endian structures of the reference: u16, u32, u64, EncodedRef, length-prefixed bytes. */
export interface WireWriter {
  u8(value: number): WireWriter
  u16(value: number): WireWriter
  u32(value: number): WireWriter
  u64(value: number): WireWriter
  raw(bytes: Uint8Array): WireWriter
  /** u32 length, then the bytes. */
  lengthPrefixed(bytes: Uint8Array): WireWriter
  /** EncodedRef: u32 length, then ReferenceBytes. */
  reference(reference: Reference): WireWriter
  bytes(): Buffer
}

export function wireWriter(): WireWriter {
  const parts: Uint8Array[] = []
  const number = (sizeBytes: number, write: (buffer: Buffer) => void): WireWriter => {
    const buffer = Buffer.alloc(sizeBytes)
    write(buffer)
    parts.push(buffer)
    return writer
  }
  const writer: WireWriter = {
    u8: value => number(1, b => b.writeUInt8(value)),
    u16: value => number(2, b => b.writeUInt16BE(value)),
    u32: value => number(4, b => b.writeUInt32BE(value)),
    u64: value => number(8, b => b.writeBigUInt64BE(BigInt(value))),
    raw: bytes => {
      parts.push(bytes)
      return writer
    },
    lengthPrefixed: bytes => writer.u32(bytes.length).raw(bytes),
    reference: reference => writer.lengthPrefixed(referenceBytes(reference)),
    bytes: () => Buffer.concat(parts),
  }
  return writer
}

/** Reads what {@link wireWriter} writes. Every length is checked against what is left before it is used. */
export interface WireReader {
  readonly offset: number
  readonly remaining: number
  u8(): number
  u16(): number
  u32(): number
  u64(): number
  raw(sizeBytes: number): Buffer
  lengthPrefixed(): Buffer
  reference(): Reference
  /** A u32 count of elements of at least `minSizeBytes` each, so that a hostile count cannot allocate. */
  count(minSizeBytes: number): number
  /** Refuses trailing bytes. */
  end(): void
}

/** @throws AslError `code` on short input, a wrong length, trailing bytes or a number beyond 2^53-1 */
export function wireReader(bytes: Uint8Array, code: ErrorCode, what: string): WireReader {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let offset = 0
  const fail = (reason: string): AslError => new AslError(code, `${what}: ${reason} at offset ${offset}`)
  const take = (sizeBytes: number): number => {
    if (sizeBytes > view.length - offset) throw fail(`wants ${sizeBytes} bytes, ${view.length - offset} are left`)
    const start = offset
    offset += sizeBytes
    return start
  }
  const reader: WireReader = {
    get offset() {
      return offset
    },
    get remaining() {
      return view.length - offset
    },
    u8: () => view.readUInt8(take(1)),
    u16: () => view.readUInt16BE(take(2)),
    u32: () => view.readUInt32BE(take(4)),
    u64: () => {
      const value = view.readBigUInt64BE(take(8))
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw fail(`number ${value} is beyond 2^53-1`)
      return Number(value)
    },
    raw: sizeBytes => {
      const start = take(sizeBytes)
      return view.subarray(start, start + sizeBytes)
    },
    lengthPrefixed: () => reader.raw(reader.u32()),
    reference: () => {
      const at = offset
      try {
        return referenceFromBytes(reader.lengthPrefixed())
      } catch (error) {
        throw new AslError(code, `${what}: no reference at offset ${at}`, { cause: error })
      }
    },
    count: minSizeBytes => {
      const count = reader.u32()
      if (count * minSizeBytes > view.length - offset) throw fail(`count ${count} is beyond the end`)
      return count
    },
    end: () => {
      if (offset !== view.length) throw fail(`${view.length - offset} bytes follow the end`)
    },
  }
  return reader
}
