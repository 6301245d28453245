import { AslError, isEntryName } from '../core/mod.ts'
import { shownBytes } from './archive-path.ts'
import {
  CPIO_TRAILER,
  type CpioType,
  cpioMode,
  cpioPadding,
  encodeCpioHeader,
  MAX_CPIO_NAME_BYTES,
} from './cpio-header.ts'

/** What goes into an archive. Names and times come from the caller alone, never from a disk. */
export interface CpioMember {
  /** From the top, without a leading slash; `.` for the top itself. */
  readonly path: Buffer
  readonly type: CpioType
  /** 0..07777 */
  readonly mode: number
  readonly uid?: number
  readonly gid?: number
  /** Default: the epoch of the archive. */
  readonly mtime?: number
  /** Of a file, unless it is a further name. */
  readonly sizeBytes?: number
  /** Exactly `sizeBytes` bytes. */
  readonly content?: Iterable<Uint8Array>
  readonly target?: Buffer
  readonly rdev?: readonly [major: number, minor: number]
  /** An earlier member of type f: this is a further name of the same file. */
  readonly linkTo?: Buffer
}

export interface CpioOptions {
  /** SOURCE_DATE_EPOCH, whole seconds. */
  readonly epoch: number
}

const ARCHIVE_BLOCK_BYTES = 512

/**
 * Writes one newc archive whose bytes depend on its arguments alone: inodes counted from 1 in the order given, device
 * 0:0, the names of one file together (with the content at the last, as GNU cpio has it), zeros to a multiple of 512.
 * The order is the caller's; a folder must come before what it holds, or the kernel drops that in silence.
 * @throws AslError ARCHIVE_HOSTILE for a path that climbs or comes twice; LIMIT_EXCEEDED for what newc cannot hold
 */
export function* writeCpio(members: Iterable<CpioMember>, options: CpioOptions): Generator<Buffer, void, undefined> {
  let sizeBytes = 0
  let inode = 0
  const count = (bytes: Buffer): Buffer => {
    sizeBytes += bytes.length
    return bytes
  }
  for (const names of grouped(members)) {
    inode++
    const [file] = names as [CpioMember, ...CpioMember[]]
    for (const [i, member] of names.entries()) {
      const hasContent = i === names.length - 1
      const link = member.type === 'l' ? (member.target ?? Buffer.alloc(0)) : undefined
      const contentBytes = link?.length ?? (hasContent && member.type === 'f' ? (file.sizeBytes ?? 0) : 0)
      const header = {
        inode,
        mode: cpioMode(member.type, file.mode),
        uid: file.uid ?? 0,
        gid: file.gid ?? 0,
        linkCount: names.length,
        mtime: file.mtime ?? options.epoch,
        sizeBytes: contentBytes,
        dev: [0, 0],
        rdev: member.rdev ?? [0, 0],
      } as const
      yield count(encodeCpioHeader(header, member.path))
      if (link !== undefined) yield count(link)
      else if (hasContent && member.type === 'f') for (const chunk of exactly(file)) yield count(chunk)
      const padding = cpioPadding(contentBytes)
      if (padding > 0) yield count(Buffer.alloc(padding))
    }
  }
  const end = {
    inode: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    linkCount: 1,
    mtime: 0,
    sizeBytes: 0,
    dev: [0, 0],
    rdev: [0, 0],
  } as const
  yield count(encodeCpioHeader(end, Buffer.from(CPIO_TRAILER)))
  yield Buffer.alloc((ARCHIVE_BLOCK_BYTES - (sizeBytes % ARCHIVE_BLOCK_BYTES)) % ARCHIVE_BLOCK_BYTES)
}

/** Each file once, with all its names, at the place of the first one. */
function grouped(members: Iterable<CpioMember>): CpioMember[][] {
  const groups = new Map<string, CpioMember[]>()
  const folders = new Set<string>([''])
  const names = new Set<string>()
  for (const member of members) {
    const key = member.path.toString('latin1')
    checkMember(member, key, folders, names)
    names.add(key)
    if (member.type === 'd') folders.add(key === '.' ? '' : key)
    if (member.linkTo === undefined) {
      groups.set(key, [member])
      continue
    }
    const group = groups.get(member.linkTo.toString('latin1'))
    if (group === undefined || group[0]?.type !== 'f' || member.type !== 'f') {
      throw refused(member, `"${shownBytes(member.linkTo)}" is no earlier file of this archive`)
    }
    group.push(member)
  }
  return [...groups.values()]
}

function checkMember(member: CpioMember, key: string, folders: ReadonlySet<string>, names: ReadonlySet<string>): void {
  if (names.has(key)) throw refused(member, 'it comes twice')
  if (member.path.length >= MAX_CPIO_NAME_BYTES) throw refused(member, `its path has ${member.path.length} bytes`)
  if (key === CPIO_TRAILER) throw refused(member, 'that name ends an archive')
  if (member.mode > 0o7777) throw refused(member, `its mode is ${member.mode.toString(8)}`)
  if ((member.target !== undefined) !== (member.type === 'l')) throw refused(member, 'a target belongs to a link')
  const isDevice = member.type === 'c' || member.type === 'b'
  if ((member.rdev !== undefined) !== isDevice) throw refused(member, 'a device number belongs to a device')
  if (key === '.') return
  const parts = key.split('/')
  if (!parts.every(part => isEntryName(Buffer.from(part, 'latin1')))) throw refused(member, 'its path is not clean')
  if (!folders.has(parts.slice(0, -1).join('/'))) throw refused(member, 'its folder does not come before it')
}

function* exactly(file: CpioMember): Generator<Buffer> {
  let left = file.sizeBytes ?? 0
  for (const chunk of file.content ?? []) {
    left -= chunk.length
    if (left < 0) break
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
  if (left !== 0)
    throw refused(file, `its content is ${left > 0 ? 'shorter' : 'longer'} than ${file.sizeBytes ?? 0} bytes`)
}

function refused(member: CpioMember, reason: string): AslError {
  return new AslError('ARCHIVE_HOSTILE', `Cannot put "${shownBytes(member.path)}" into an archive: ${reason}`)
}
