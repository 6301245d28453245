import { decode, encode, rfc8949EncodeOptions } from 'cborg'
import { AslError, messageOf } from './error.ts'

/** Decoded CBOR: maps are always `Map`, whole numbers are `number`, byte strings `Uint8Array`. */
export type CborValue =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<string | Uint8Array, CborValue>

/** Largest structure we decode; `asl.tree` alone may have {@link MAX_TREE_SIZE_BYTES} (reference §3). */
export const MAX_CBOR_SIZE_BYTES = 64 * 1024 * 1024
export const MAX_TREE_SIZE_BYTES = 1024 * 1024 * 1024

/** Deterministic CBOR, RFC 8949 section 4.2.1: shortest forms, definite lengths, keys sorted by their encoded bytes. */
export function encodeCbor(value: CborValue): Buffer {
  const bytes = encode(value, rfc8949EncodeOptions)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Decodes, encodes again and compares, so that a structure has one encoding only. The input is foreign: an attacker
 * controls every byte of it, including lengths and nesting.
 * @throws AslError CBOR_NOT_CANONICAL for anything but the one canonical encoding; LIMIT_EXCEEDED above `maxBytes`
 */
export function decodeCbor(bytes: Uint8Array, maxBytes: number = MAX_CBOR_SIZE_BYTES): CborValue {
  if (bytes.length > maxBytes) {
    throw new AslError('LIMIT_EXCEEDED', `CBOR has ${bytes.length} bytes, ${maxBytes} are allowed`)
  }
  let value: CborValue
  let again: Buffer
  try {
    value = decode(bytes, DECODE_OPTIONS)
    again = encodeCbor(value)
  } catch (error) {
    throw new AslError('CBOR_NOT_CANONICAL', `Cannot decode CBOR: ${messageOf(error)}`, { cause: error })
  }
  if (!again.equals(bytes)) {
    throw new AslError('CBOR_NOT_CANONICAL', 'CBOR is not in its canonical encoding')
  }
  return value
}

const DECODE_OPTIONS = {
  useMaps: true,
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
} as const
