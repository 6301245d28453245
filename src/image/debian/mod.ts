/**
 * Debian archives, read in our own process: suites along their chain of signatures and digests, the closure of
 * dependencies, packages unpacked into a tree, locks. Implements docs/spec/lock.md; see docs/decisions/stage0.md.
 *
 * No program of the build host takes part, and nothing is written but to a store.
 */
export * from './archive.ts'
export * from './deb-index.ts'
export * from './host-mirror.ts'
export { type IndexDebsOptions, indexDebs } from './index-debs.ts'
export * from './lock.ts'
export * from './mirror-fetch.ts'
export * from './package-index.ts'
export * from './release-signature.ts'
export * from './resolve.ts'
export * from './stage0.ts'
export * from './unpack.ts'
