const SLASH = 0x2f

/** Joins two paths as bytes; an empty folder joins to the name itself. */
export function joinPath(folder: Uint8Array, name: Uint8Array): Buffer {
  if (folder.length === 0) return Buffer.from(name)
  const isRoot = folder[folder.length - 1] === SLASH
  const path = Buffer.allocUnsafe(folder.length + name.length + (isRoot ? 0 : 1))
  path.set(folder)
  path[folder.length] = SLASH
  path.set(name, path.length - name.length)
  return path
}

/** The names in a path; empty ones, from leading or doubled slashes, count for nothing. */
export function splitPath(path: Uint8Array | string): Buffer[] {
  const bytes = typeof path === 'string' ? Buffer.from(path) : Buffer.from(path.buffer, path.byteOffset, path.length)
  const names: Buffer[] = []
  for (let start = 0; start <= bytes.length; ) {
    const slash = bytes.indexOf(SLASH, start)
    const end = slash < 0 ? bytes.length : slash
    if (end > start) names.push(bytes.subarray(start, end))
    start = end + 1
  }
  return names
}

/** A path for a message: bytes that are no UTF-8 and control characters are escaped, so that one line stays one line. */
export function showPath(path: Uint8Array | string): string {
  const bytes = typeof path === 'string' ? Buffer.from(path) : Buffer.from(path.buffer, path.byteOffset, path.length)
  const text = bytes.toString('utf8')
  const isText = Buffer.from(text).equals(bytes)
  return (isText ? text : bytes.toString('latin1')).replace(/[\p{Cc}\\]|[\u0080-\u00ff]/gu, character => {
    const code = character.codePointAt(0) as number
    if (isText && code > 0x9f) return character
    return `\\x${code.toString(16).padStart(2, '0')}`
  })
}
