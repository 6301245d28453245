/**
 * An absolute path of this machine with one character per byte: file names need not be UTF-8, and JavaScript compares
 * and cuts strings faster than buffers. Ordinary text becomes one through {@link hostPath}.
 */
export type RawPath = string & { readonly __brand: 'RawPath' }

export function rawPath(text: string): RawPath {
  return Buffer.from(text).toString('latin1') as RawPath
}

/** What `node:fs` takes. */
export function pathBytes(path: RawPath): Buffer {
  return Buffer.from(path, 'latin1')
}

const INVALID_OR_BACKSLASH = /[\\\x80-\xff]/

/**
 * The path as the text of a manifest: UTF-8 as it is; in a path that is no UTF-8, or that holds a backslash, each
 * backslash is written `\\` and each byte outside UTF-8 `\xNN`, so that no two paths share a text.
 */
export function pathText(path: RawPath): string {
  if (!INVALID_OR_BACKSLASH.test(path)) return path
  const bytes = pathBytes(path)
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const size = utf8SequenceSize(bytes, at)
    const sequence = bytes.toString('utf8', at, at + Math.max(size, 1))
    if (size === 0) text += `\\x${(bytes[at] as number).toString(16).padStart(2, '0')}`
    else text += sequence === '\\' ? '\\\\' : sequence
    at += Math.max(size, 1)
  }
  return text
}

/** Size of the valid UTF-8 sequence at `at`, 0 for none. */
function utf8SequenceSize(bytes: Buffer, at: number): number {
  const first = bytes[at] as number
  const size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0
  if (size === 0 || at + size > bytes.length) return 0
  // The decoder replaces what is not valid; U+FFFD itself is EF BF BD.
  const sequence = bytes.subarray(at, at + size)
  return Buffer.from(sequence.toString('utf8')).equals(sequence) ? size : 0
}

export function folderOf(path: RawPath): RawPath {
  const slash = path.lastIndexOf('/')
  return (slash <= 0 ? '/' : path.slice(0, slash)) as RawPath
}

export function nameOf(path: RawPath): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function joinPath(folder: RawPath, name: string): RawPath {
  return (folder === '/' ? `/${name}` : `${folder}/${name}`) as RawPath
}

/** True for the folder itself and for everything below it. */
export function isWithin(path: RawPath, folder: RawPath): boolean {
  if (!path.startsWith(folder)) return false
  return path.length === folder.length || folder === '/' || path[folder.length] === '/'
}

/** `path` moved along with its folder: below `from` it becomes the same name below `to`. */
export function rebasePath(path: RawPath, from: RawPath, to: RawPath): RawPath {
  const rest = path.slice(from === '/' ? 0 : from.length)
  return (to === '/' ? rest || '/' : to + rest) as RawPath
}
