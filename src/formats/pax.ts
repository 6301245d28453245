import { AslError } from '../core/mod.ts'
import { hostile } from './archive-path.ts'

/** What pax extended headers (POSIX pax, `x` and `g` members) may say of the members that follow. */
export interface PaxOverrides {
  readonly path?: Buffer
  readonly linkPath?: Buffer
  readonly sizeBytes?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly userName?: string
  readonly groupName?: string
  readonly xattrs?: readonly (readonly [name: Buffer, value: Buffer])[]
}

/** Records are `LENGTH KEY=VALUE\n`; values are bytes. Keys we do not know are comments to us, but for sparse files. */
export function parsePax(content: Buffer, archive: string): PaxOverrides {
  const found: { -readonly [K in keyof PaxOverrides]: PaxOverrides[K] } = {}
  const xattrs: [Buffer, Buffer][] = []
  for (const [key, value] of records(content, archive)) {
    if (key === 'path') found.path = value
    else if (key === 'linkpath') found.linkPath = value
    else if (key === 'size') found.sizeBytes = whole(key, value, archive)
    else if (key === 'uid') found.uid = whole(key, value, archive)
    else if (key === 'gid') found.gid = whole(key, value, archive)
    else if (key === 'mtime') found.mtime = seconds(value, archive)
    else if (key === 'uname') found.userName = value.toString('latin1')
    else if (key === 'gname') found.groupName = value.toString('latin1')
    else if (key.startsWith(XATTR)) xattrs.push([Buffer.from(key.slice(XATTR.length), 'latin1'), value])
    else if (key.startsWith('GNU.sparse.')) {
      throw new AslError('FORMAT_INVALID', `${archive}: sparse tar members are not read`)
    }
  }
  if (xattrs.length > 0) found.xattrs = xattrs.sort((a, b) => Buffer.compare(a[0], b[0]))
  return found
}

const XATTR = 'SCHILY.xattr.'
const MAX_LENGTH_DIGITS = 8

function* records(content: Buffer, archive: string): Generator<[key: string, value: Buffer]> {
  for (let start = 0; start < content.length; ) {
    const space = content.indexOf(0x20, start)
    const digits = space === -1 ? '' : content.toString('latin1', start, Math.min(space, start + MAX_LENGTH_DIGITS + 1))
    const end = /^[1-9][0-9]*$/.test(digits) && digits.length <= MAX_LENGTH_DIGITS ? start + Number(digits) : -1
    const equals = content.indexOf(0x3d, space)
    if (end <= space || content[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw hostile(archive, 'pax header', `no record at its offset ${start}`)
    }
    yield [content.toString('latin1', space + 1, equals), Buffer.from(content.subarray(equals + 1, end - 1))]
    start = end
  }
}

function whole(key: string, value: Buffer, archive: string): number {
  const text = value.toString('latin1')
  const number = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(number)) {
    throw hostile(archive, 'pax header', `${key} is ${JSON.stringify(text.slice(0, 40))}`)
  }
  return number
}

/** Fractions are dropped: trees hold whole seconds. */
function seconds(value: Buffer, archive: string): number {
  return whole('mtime', Buffer.from(value.toString('latin1').replace(/\.[0-9]*$/, '')), archive)
}
