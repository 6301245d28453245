/**
 * Formats: the bytes of the archive and boot worlds, read and written. Pure: no I/O and no clock; images are read in
 * place through a `ByteSource`, archives as streams. Nothing that is read is trusted: lengths are checked before memory
 * is asked for, paths before they are used, and what does not fit is an error that names the place. Writers are
 * deterministic: equal arguments, equal bytes.
 */
export * from './ar.ts'
export * from './archive-path.ts'
export * from './authenticode.ts'
export * from './byte-reader.ts'
export * from './byte-source.ts'
export type { CpioType } from './cpio-header.ts'
export { type CpioEntry, readCpio } from './cpio-read.ts'
export { type CpioMember, type CpioOptions, writeCpio } from './cpio-write.ts'
export * from './deb.ts'
export * from './deb822.ts'
export * from './debian-relation.ts'
export * from './debian-release.ts'
export * from './debian-version.ts'
export * from './decompress.ts'
export * from './dm-verity.ts'
export * from './el-torito.ts'
export * from './fat.ts'
export { formatError, shownName } from './format-error.ts'
export * from './gpt.ts'
export { formatGuid, PARTITION_TYPES } from './guid.ts'
export * from './iso9660.ts'
export * from './iso9660-folder.ts'
export * from './mbr.ts'
export * from './pe.ts'
export * from './tar.ts'
export * from './verity.ts'
