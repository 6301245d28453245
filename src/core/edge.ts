import { AslError } from './error.ts'
import type { Reference } from './reference.ts'
import { wireReader, wireWriter } from './wire.ts'

/**
 * EdgeBytes of the trace graph (TGK/1, reference §10). Edges follow the data, from cause to effect; list order and
 * multiplicity matter; an unknown type is kept.
 */
export interface Edge {
  readonly type: number
  readonly from: readonly Reference[]
  readonly to: readonly Reference[]
  readonly payload: Reference
}

/** `0x454447` is ASCII `EDG`. */
export const EDGE_TYPES = {
  CONSUMES: 0x45444701,
  PRODUCES: 0x45444702,
  RUNS: 0x45444703,
  IN_ENVIRONMENT: 0x45444704,
  EXECUTED_BY: 0x45444705,
  RUN_OF: 0x45444706,
  SIGNS: 0x45444707,
  CONTAINS: 0x45444708,
  SUPERSEDES: 0x45444709,
  ATTESTS: 0x4544470a,
  IMPORTED: 0x4544470b,
} as const

const VERSION = 1
const ENCODED_REFERENCE_SIZE_BYTES = 38

export function encodeEdge(edge: Edge): Buffer {
  const out = wireWriter().u16(VERSION).u32(edge.type).u32(edge.from.length)
  for (const ref of edge.from) out.reference(ref)
  out.u32(edge.to.length)
  for (const ref of edge.to) out.reference(ref)
  return out.reference(edge.payload).bytes()
}

/** @throws AslError EDGE_INVALID; the input is foreign */
export function decodeEdge(bytes: Uint8Array): Edge {
  const reader = wireReader(bytes, 'EDGE_INVALID', 'edge')
  const version = reader.u16()
  if (version !== VERSION) throw new AslError('EDGE_INVALID', `Not an edge: version is ${version}, not ${VERSION}`)
  const references = (): Reference[] =>
    Array.from({ length: reader.count(ENCODED_REFERENCE_SIZE_BYTES) }, () => reader.reference())
  const edge = { type: reader.u32(), from: references(), to: references(), payload: reader.reference() }
  reader.end()
  return edge
}
