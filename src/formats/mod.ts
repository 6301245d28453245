/**
 * Formats: the bytes of the boot world, read in place through a `ByteSource`. Every reader trusts nothing: what an
 * image says about itself is checked before it is used, and what does not fit is FORMAT_INVALID with the place.
 * Writers are deterministic: equal arguments, equal bytes. No I/O of its own, no import but core.
 */
export * from './byte-source.ts'
export * from './el-torito.ts'
export { formatError, shownName } from './format-error.ts'
export * from './iso9660.ts'
export * from './iso9660-folder.ts'
