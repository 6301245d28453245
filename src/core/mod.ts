/**
 * Core: the values everything else speaks of, and their one encoding. Reference, artifact, tree, step structures,
 * receipt, edge, canonical CBOR and JSON, errors. Implements docs/spec/artifact.md, tree.md and receipt.md.
 *
 * No I/O, no clock, no randomness: equal values give equal bytes on every machine.
 */
export * from './artifact.ts'
export * from './bytes.ts'
export * from './canonical-json.ts'
export * from './cbor.ts'
export * from './digest.ts'
export * from './domain-id.ts'
export * from './edge.ts'
export * from './error.ts'
export * from './receipt.ts'
export * from './reference.ts'
export * from './step.ts'
export * from './step-record.ts'
export * from './structure.ts'
export * from './tree.ts'
export * from './type-tag.ts'
export * from './wire.ts'
