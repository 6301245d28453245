import { referenceOf } from './artifact.ts'
import { compareBytes, compareText, hexOf } from './bytes.ts'
import { type CborValue, decodeCbor, encodeCbor, MAX_CBOR_SIZE_BYTES } from './cbor.ts'
import { parseSha256, type Sha256 } from './digest.ts'
import { AslError } from './error.ts'
import { type Reference, referenceBytes, referenceFromBytes } from './reference.ts'
import { KINDS, type Kind, type TypeTag } from './type-tag.ts'

/**
 * Structures in deterministic CBOR, described once: the description gives the encoder, the decoder with its checks,
 * and the TypeScript type. Properties are camelCase here and snake_case on the wire.
 */
export interface Field<T> {
  toWire(value: T): CborValue
  /** @throws AslError RECORD_INVALID that names `path` */
  fromWire(value: CborValue, path: string): T
}

export interface OptionalField<T> {
  readonly optional: Field<T>
}

export type Fields = Readonly<Record<string, Field<unknown> | OptionalField<unknown>>>

export type ValueOf<F> = F extends Field<infer T> ? T : never

type RequiredKeys<F> = { [K in keyof F]: F[K] extends OptionalField<infer _T> ? never : K }[keyof F]
type OptionalKeys<F> = { [K in keyof F]: F[K] extends OptionalField<infer _T> ? K : never }[keyof F]
export type RecordOf<F> = { readonly [K in RequiredKeys<F>]: F[K] extends Field<infer T> ? T : never } & {
  readonly [K in OptionalKeys<F>]?: F[K] extends OptionalField<infer T> ? T : never
}

export interface Structure<T> {
  readonly kind: Kind
  readonly typeTag: TypeTag
  encode(value: T): Buffer
  /** @throws AslError CBOR_NOT_CANONICAL, RECORD_INVALID */
  decode(bytes: Uint8Array): T
  referenceOf(value: T): Reference
}

/** A top-level structure: a map with `kind` and `v` (layout revision) besides its fields. */
export function structure<F extends Fields>(
  kind: Kind,
  fields: F,
  options: { readonly v?: number; readonly maxBytes?: number } = {},
): Structure<RecordOf<F>> {
  const { v = 1, maxBytes = MAX_CBOR_SIZE_BYTES } = options
  const body = record(fields)
  const encode = (value: RecordOf<F>): Buffer => {
    const map = new Map(body.toWire(value) as ReadonlyMap<string, CborValue>)
    map.set('kind', kind)
    map.set('v', v)
    return encodeCbor(map)
  }
  return {
    kind,
    typeTag: KINDS[kind],
    encode,
    decode(bytes) {
      const map = asMap(decodeCbor(bytes, maxBytes), kind)
      if (map.get('kind') !== kind) throw invalid(kind, `kind is ${shown(map.get('kind'))}`)
      if (map.get('v') !== v) throw invalid(kind, `layout revision is ${shown(map.get('v'))}, this program knows ${v}`)
      const rest = new Map(map)
      rest.delete('kind')
      rest.delete('v')
      return body.fromWire(rest, kind)
    },
    referenceOf: value => referenceOf(encode(value), KINDS[kind]),
  }
}

/** A nested map with a fixed set of keys. An unknown key is an error: what we do not understand we do not vouch for. */
export function record<F extends Fields>(fields: F): Field<RecordOf<F>> {
  const table = Object.entries(fields).map(([name, field]) => ({
    name,
    wireName: snakeCase(name),
    isOptional: 'optional' in field,
    codec: ('optional' in field ? field.optional : field) as Field<unknown>,
  }))
  const known = new Set(table.map(row => row.wireName))
  return {
    toWire(value) {
      const map = new Map<string, CborValue>()
      for (const { name, wireName, isOptional, codec } of table) {
        const member = (value as Record<string, unknown>)[name]
        if (member === undefined) {
          if (isOptional) continue
          throw new TypeError(`structure member ${name} is missing`)
        }
        map.set(wireName, codec.toWire(member))
      }
      return map
    },
    fromWire(wire, path) {
      const map = asMap(wire, path)
      for (const key of map.keys()) {
        if (typeof key !== 'string' || !known.has(key)) throw invalid(path, `key ${shown(key)} is not known`)
      }
      const value: Record<string, unknown> = {}
      for (const { name, wireName, isOptional, codec } of table) {
        const member = map.get(wireName)
        if (member !== undefined) value[name] = codec.fromWire(member, `${path}.${wireName}`)
        else if (!isOptional) throw invalid(path, `key "${wireName}" is missing`)
      }
      return value as RecordOf<F>
    },
  }
}

export function optional<T>(field: Field<T>): OptionalField<T> {
  return { optional: field }
}

export const text: Field<string> = {
  toWire: value => value,
  fromWire: (wire, path) => {
    if (typeof wire !== 'string') throw invalid(path, `wants text, not ${shown(wire)}`)
    return wire
  },
}

export const bool: Field<boolean> = {
  toWire: value => value,
  fromWire: (wire, path) => {
    if (typeof wire !== 'boolean') throw invalid(path, `wants true or false, not ${shown(wire)}`)
    return wire
  },
}

/** A whole number ≥ 0. */
export const uint: Field<number> = {
  toWire: value => value,
  fromWire: (wire, path) => {
    if (typeof wire !== 'number' || !Number.isSafeInteger(wire) || wire < 0) {
      throw invalid(path, `wants a whole number, not ${shown(wire)}`)
    }
    return wire
  },
}

export const bytes: Field<Buffer> = {
  toWire: value => value,
  fromWire: (wire, path) => {
    if (!(wire instanceof Uint8Array)) throw invalid(path, `wants bytes, not ${shown(wire)}`)
    return Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength)
  },
}

/** Bytes of one fixed length: keys (32), signatures (64). */
export function bytesOf(sizeBytes: number): Field<Buffer> {
  return {
    toWire: value => value,
    fromWire: (wire, path) => {
      const value = bytes.fromWire(wire, path)
      if (value.length !== sizeBytes) throw invalid(path, `wants ${sizeBytes} bytes, not ${value.length}`)
      return value
    },
  }
}

/** A raw hash: hex in the program, 32 bytes on the wire. */
export const hash: Field<Sha256> = {
  toWire: value => Buffer.from(value, 'hex'),
  fromWire: (wire, path) => parseSha256(hexOf(bytesOf(32).fromWire(wire, path))),
}

/** A reference: hex in the program, 34 bytes on the wire. */
export const reference: Field<Reference> = {
  toWire: value => referenceBytes(value),
  fromWire: (wire, path) => referenceFromBytes(bytes.fromWire(wire, path)),
}

export function oneOf<const T extends string>(...allowed: readonly T[]): Field<T> {
  return {
    toWire: value => value,
    fromWire: (wire, path) => {
      const value = text.fromWire(wire, path)
      if (!(allowed as readonly string[]).includes(value)) {
        throw invalid(path, `wants one of ${allowed.join(', ')}, not ${shown(value)}`)
      }
      return value as T
    },
  }
}

export function list<T>(field: Field<T>): Field<readonly T[]> {
  return {
    toWire: value => value.map(element => field.toWire(element)),
    fromWire: (wire, path) => {
      if (!Array.isArray(wire)) throw invalid(path, `wants a list, not ${shown(wire)}`)
      return wire.map((element, i) => field.fromWire(element as CborValue, `${path}[${i}]`))
    },
  }
}

/** A list that ascends by `key` without duplicates, by raw bytes and not by CBOR encoding. The encoder sorts. */
export function sortedList<T>(field: Field<T>, key: (element: T) => string | number | Uint8Array): Field<readonly T[]> {
  const plain = list(field)
  const compare = (a: T, b: T): number => compareKeys(key(a), key(b))
  return {
    toWire: value => {
      const sorted = value.toSorted(compare)
      for (let i = 1; i < sorted.length; i++) {
        if (compare(sorted[i - 1] as T, sorted[i] as T) === 0) {
          throw new AslError('RECORD_INVALID', `A sorted list holds ${shown(key(sorted[i] as T))} twice`)
        }
      }
      return plain.toWire(sorted)
    },
    fromWire: (wire, path) => {
      const value = plain.fromWire(wire, path)
      for (let i = 1; i < value.length; i++) {
        if (compare(value[i - 1] as T, value[i] as T) >= 0) throw invalid(`${path}[${i}]`, 'is not in ascending order')
      }
      return value
    },
  }
}

/** A map from text to values, as a plain record. */
export function mapOf<T>(field: Field<T>): Field<Readonly<Record<string, T>>> {
  return {
    toWire: value => new Map(Object.entries(value).map(([key, member]) => [key, field.toWire(member)])),
    fromWire: (wire, path) => {
      const members: [string, T][] = []
      for (const [key, member] of asMap(wire, path)) {
        if (typeof key !== 'string') throw invalid(path, 'has a key that is not text')
        members.push([key, field.fromWire(member, `${path}.${key}`)])
      }
      return Object.fromEntries(members)
    },
  }
}

/** A map from bytes to bytes, as sorted pairs: names and values of extended attributes need not be text. */
export const bytesMap: Field<readonly (readonly [name: Buffer, value: Buffer])[]> = {
  toWire: value => new Map(value.map(([key, member]) => [key, member])),
  fromWire: (wire, path) => {
    const pairs = [...asMap(wire, path)].map(
      ([key, member]) => [bytes.fromWire(key, path), bytes.fromWire(member, path)] as const,
    )
    return pairs.sort((a, b) => compareBytes(a[0], b[0]))
  },
}

function compareKeys(a: string | number | Uint8Array, b: string | number | Uint8Array): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  return compareBytes(a as Uint8Array, b as Uint8Array)
}

function asMap(value: CborValue, path: string): ReadonlyMap<string | Uint8Array, CborValue> {
  if (value instanceof Map) return value as ReadonlyMap<string | Uint8Array, CborValue>
  throw invalid(path, `wants a map, not ${shown(value)}`)
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Map) return 'a map'
  return JSON.stringify(value)?.slice(0, 60) ?? String(value)
}

function invalid(path: string, reason: string): AslError {
  return new AslError('RECORD_INVALID', `${path}: ${reason}`)
}
