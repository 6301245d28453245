/** Writes small tar, ar and .deb archives, honest and hostile, for tests. */
import { gzipSync, zstdCompressSync } from 'node:zlib'

export interface TarMember {
  readonly path: string | Buffer
  /** Type flag of the header; `0` file. */
  readonly flag?: string
  readonly content?: string | Buffer
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly link?: string | Buffer
  readonly rdev?: readonly [number, number]
  /** Overrides of what the header says, to lie. */
  readonly statedSize?: number
  readonly rawSize?: Buffer
  readonly breakChecksum?: boolean
}

export function tarBytes(members: readonly TarMember[], options: { readonly end?: boolean } = {}): Buffer {
  const blocks = members.flatMap(member => {
    const content = Buffer.from(member.content ?? '')
    return [tarHeader(member, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(options.end === false ? 0 : 1024)])
}

function tarHeader(member: TarMember, sizeBytes: number): Buffer {
  const header = Buffer.alloc(512)
  const octal = (value: number, start: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, start, 'latin1')
  }
  const flag = member.flag ?? '0'
  Buffer.from(member.path).copy(header, 0, 0, 100)
  octal(member.mode ?? (flag === '5' ? 0o755 : 0o644), 100, 8)
  octal(member.uid ?? 0, 108, 8)
  octal(member.gid ?? 0, 116, 8)
  octal(member.statedSize ?? sizeBytes, 124, 12)
  member.rawSize?.copy(header, 124)
  octal(member.mtime ?? 1_700_000_000, 136, 12)
  header.write(flag, 156, 'latin1')
  Buffer.from(member.link ?? '').copy(header, 157, 0, 100)
  header.write('ustar\x0000', 257, 'latin1')
  header.write('root', 265)
  header.write('root', 297)
  octal(member.rdev?.[0] ?? 0, 329, 8)
  octal(member.rdev?.[1] ?? 0, 337, 8)
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, member.breakChecksum === true ? 1 : 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

export function paxMember(records: Readonly<Record<string, string | Buffer>>, flag = 'x'): TarMember {
  const content = Object.entries(records).map(([key, value]) => paxRecord(key, Buffer.from(value)))
  return { path: 'PaxHeaders/x', flag, content: Buffer.concat(content) }
}

function paxRecord(key: string, value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = body.length
  while (String(length).length + body.length !== length) length = String(length).length + body.length
  return Buffer.concat([Buffer.from(String(length)), body])
}

export function arBytes(members: readonly (readonly [name: string, content: Buffer, statedSize?: string])[]): Buffer {
  const parts = members.flatMap(([name, content, statedSize]) => [
    Buffer.from(
      `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${(statedSize ?? String(content.length)).padEnd(10)}\`\n`,
    ),
    content,
    Buffer.from(content.length % 2 === 1 ? '\n' : ''),
  ])
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts])
}

export interface DebParts {
  /** Fields of `control` beyond those that are filled in. */
  readonly control?: Readonly<Record<string, string>>
  readonly controlMembers?: readonly TarMember[]
  readonly data?: readonly TarMember[]
  readonly compression?: 'none' | 'gz' | 'zst'
}

export function debBytes(parts: DebParts): Buffer {
  const { compression = 'none' } = parts
  const fields = { Package: 'sample', Version: '1.0-1', Architecture: 'amd64', ...parts.control }
  const control = Object.entries(fields).map(([key, value]) => `${key}: ${value}\n`)
  const controlTar = tarBytes([
    { path: './', flag: '5' },
    { path: './control', content: control.join('') },
    ...(parts.controlMembers ?? []),
  ])
  const squeeze = { none: (b: Buffer) => b, gz: (b: Buffer) => gzipSync(b), zst: (b: Buffer) => zstdCompressSync(b) }
  const extension = compression === 'none' ? '' : `.${compression}`
  return arBytes([
    ['debian-binary', Buffer.from('2.0\n')],
    [`control.tar${extension}`, squeeze[compression](controlTar)],
    [`data.tar${extension}`, squeeze[compression](tarBytes(parts.data ?? []))],
  ])
}
