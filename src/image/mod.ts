/**
 * Image: from a recipe to a root tree. Debian archives and the first tools tree, made in our own process.
 *
 * No program of the build host takes part in the content of an image.
 */
export * from './debian/archive.ts'
export * from './debian/deb-index.ts'
export * from './debian/host-mirror.ts'
export { type IndexDebsOptions, indexDebs } from './debian/index-debs.ts'
export * from './debian/lock.ts'
export * from './debian/mirror-fetch.ts'
export * from './debian/package-index.ts'
export * from './debian/release-signature.ts'
export * from './debian/resolve.ts'
export * from './debian/stage0.ts'
export * from './debian/unpack.ts'
export * from './tree-builder.ts'
