/**
 * Formats: bytes of the archive and boot world, read and written. Pure: no I/O, no clock; streams in, streams out.
 * Debian packages and indices (deb822, ar, tar, gz/xz/zst, versions, relations).
 *
 * What is read here is foreign: lengths are checked before memory is asked for, paths before they are used.
 */
export * from './ar.ts'
export * from './archive-path.ts'
export * from './byte-reader.ts'
export * from './deb.ts'
export * from './deb822.ts'
export * from './debian-relation.ts'
export * from './debian-release.ts'
export * from './debian-version.ts'
export * from './decompress.ts'
export * from './tar.ts'
