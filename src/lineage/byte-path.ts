import { compareBytes } from '../core/mod.ts'

/**
 * A path inside a tree, one character per byte (Latin-1): file names are bytes and need not be UTF-8, yet maps want
 * text keys. Absolute, without a slash at the end; the root is `/`. Never shown as it is: see {@link showPath}.
 */
export type BytePath = string & { readonly __brand: 'BytePath' }

export const ROOT_PATH = '/' as BytePath

/** From what a person typed, or from UTF-8 text of a manifest. `.`, `..` and doubled slashes are resolved. */
export function bytePathOf(text: string): BytePath {
  return normalizeBytePath(Buffer.from(text).toString('latin1'))
}

/** From bytes one character each, as archives and package lists hold them; the leading `./` or `/` may be missing. */
export function normalizeBytePath(bytes: string): BytePath {
  const parts: string[] = []
  for (const part of bytes.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}` as BytePath
}

export function joinPath(folder: BytePath, name: Uint8Array | string): BytePath {
  const text = typeof name === 'string' ? name : latin1(name)
  return (folder === '/' ? `/${text}` : `${folder}/${text}`) as BytePath
}

export function partsOf(path: BytePath): readonly string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

export function folderOf(path: BytePath): BytePath {
  const slash = path.lastIndexOf('/')
  return (slash <= 0 ? '/' : path.slice(0, slash)) as BytePath
}

export function nameOf(path: BytePath): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function isUtf8Path(path: BytePath): boolean {
  const bytes = Buffer.from(path, 'latin1')
  return compareBytes(Buffer.from(bytes.toString('utf8')), bytes) === 0
}

/** What a person reads: UTF-8 where it is, and every byte that is not, or that moves a cursor, as `\xNN`. */
export function showPath(path: string): string {
  if (PLAIN.test(path)) return path
  return showBytes(Buffer.from(path, 'latin1'))
}

export function showBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('utf8')
  const isText = compareBytes(Buffer.from(text), buffer) === 0
  const source = isText ? text : buffer.toString('latin1')
  return [...source].map(character => (isText ? showCharacter(character) : showByte(character))).join('')
}

/** Text of a manifest for a screen or a picture: control and direction-changing characters escaped. */
export function showText(text: string): string {
  if (PLAIN.test(text)) return text
  return [...text].map(showCharacter).join('')
}

/** Nearly every name: printable ASCII without the backslash, which stands for itself. */
const PLAIN = /^[ -[\]-~]*$/

/** C0, DEL, C1, the bidirectional controls and the line separators: they would let a name rewrite the line around it. */
const UNSEEN = /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/u

function showCharacter(character: string): string {
  if (character === '\\') return '\\\\'
  if (!UNSEEN.test(character)) return character
  const code = character.codePointAt(0) ?? 0
  return code < 0x100 ? escapeByte(code) : `\\u{${code.toString(16)}}`
}

function showByte(character: string): string {
  const code = character.charCodeAt(0)
  if (character === '\\') return '\\\\'
  return code < 0x20 || code > 0x7e ? escapeByte(code) : character
}

function escapeByte(code: number): string {
  return `\\x${code.toString(16).padStart(2, '0')}`
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
