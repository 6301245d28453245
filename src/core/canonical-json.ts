import canonicalize from 'canonicalize'
import { AslError, messageOf } from './error.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/**
 * Canonical JSON: RFC 8785 bytes plus one LF, for every JSON file that may enter an image.
 * @throws AslError JSON_NOT_CANONICAL for a fraction or an integer beyond 2^53-1
 */
export function encodeJson(value: Json): Buffer {
  refuseOddNumbers(value, '$')
  return Buffer.from(`${canonicalize(value)}\n`)
}

/** @throws AslError JSON_NOT_CANONICAL when the bytes are not the canonical encoding of what they say */
export function decodeJson(bytes: Uint8Array): Json {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch (error) {
    throw new AslError('JSON_NOT_CANONICAL', `Cannot parse JSON: ${messageOf(error)}`, { cause: error })
  }
  if (!encodeJson(value).equals(bytes))
    throw new AslError('JSON_NOT_CANONICAL', 'JSON is not in its canonical encoding')
  return value
}

function refuseOddNumbers(value: Json | undefined, path: string): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new AslError('JSON_NOT_CANONICAL', `${path} is ${value}: only whole numbers up to 2^53-1 are written`)
  }
  if (Array.isArray(value)) {
    for (const [i, element] of value.entries()) refuseOddNumbers(element as Json, `${path}[${i}]`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) refuseOddNumbers(member, `${path}.${key}`)
  }
}
