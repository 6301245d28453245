import { AslError } from '../core/mod.ts'
import { type ArMember, readAr } from './ar.ts'
import { hostile, parseArchivePath } from './archive-path.ts'
import { type ByteStream, collectBytes, openByteReader } from './byte-reader.ts'
import { type Paragraph, parseParagraph } from './deb822.ts'
import { compressionOf, decompress } from './decompress.ts'
import { readTar, type TarEntry } from './tar.ts'

/** A binary package (deb(5)), read front to back: the control files are in memory, the files pass by once. */
export interface Deb {
  readonly control: Paragraph
  /** Everything of `control.tar` by name: `control`, `md5sums`, `conffiles`, maintainer scripts. */
  readonly controlFiles: ReadonlyMap<string, ControlFile>
  /** The files of the package. Iterate once; whoever stops early calls `close`. */
  entries(): AsyncGenerator<TarEntry, void, undefined>
  close(): Promise<void>
}

export interface ControlFile {
  readonly mode: number
  readonly content: Buffer
}

/** @throws AslError FORMAT_INVALID for what is no package; ARCHIVE_HOSTILE for one that lies */
export async function openDeb(stream: ByteStream, name: string): Promise<Deb> {
  const reader = openByteReader(stream, name)
  const members = readAr(reader, name)
  const close = async (): Promise<void> => {
    await members.return()
    await reader.close()
  }
  try {
    await checkFormat(await nextMember(members, name, 'debian-binary'), name)
    const controlFiles = await readControl(await nextMember(members, name, 'control.tar'), name)
    const control = controlFiles.get('control')
    if (control === undefined) throw new AslError('FORMAT_INVALID', `${name} has no control file`)
    const data = await nextMember(members, name, 'data.tar')
    return {
      control: parseParagraph(control.content, `${name}: control`),
      controlFiles,
      async *entries() {
        try {
          yield* readTar(uncompressed(data, name), `${name}: ${data.name}`)
        } finally {
          await close()
        }
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** deb(5): members whose names start with `_` are to be skipped. */
async function nextMember(members: AsyncIterator<ArMember>, name: string, wanted: string): Promise<ArMember> {
  for (;;) {
    const next = await members.next()
    if (next.done === true) throw new AslError('FORMAT_INVALID', `${name} is no Debian package: it has no ${wanted}`)
    const member = next.value
    if (member.name === wanted || member.name.startsWith(`${wanted}.`)) return member
    if (!member.name.startsWith('_')) {
      throw new AslError(
        'FORMAT_INVALID',
        `${name} is no Debian package: member "${member.name}" is where ${wanted} belongs`,
      )
    }
  }
}

async function checkFormat(member: ArMember, name: string): Promise<void> {
  const version = (await collectBytes(member.content, 64, `${name}: debian-binary`)).toString('latin1')
  if (!/^2\.\d+\n/.test(version)) {
    throw new AslError(
      'FORMAT_INVALID',
      `${name}: package format is ${JSON.stringify(version)}, this program knows 2.x`,
    )
  }
}

/** Control files are text and small; the largest in the archive (symbols, md5sums) have a few MiB. */
const MAX_CONTROL_FILE_SIZE_BYTES = 32 * 1024 * 1024
const MAX_CONTROL_FILES = 1000

async function readControl(member: ArMember, name: string): Promise<Map<string, ControlFile>> {
  const files = new Map<string, ControlFile>()
  const archive = `${name}: ${member.name}`
  for await (const entry of readTar(uncompressed(member, name), archive)) {
    const path = parseArchivePath(entry.path, archive)
    if (path.length === 0) continue
    const [only] = path
    if (only === undefined || path.length > 1 || entry.type !== 'f') {
      throw hostile(archive, entry.path, 'a control archive holds plain files at its top only')
    }
    const fileName = only.toString('latin1')
    if (files.has(fileName)) throw hostile(archive, entry.path, 'it is there twice')
    if (files.size === MAX_CONTROL_FILES) throw hostile(archive, entry.path, `it is control file ${files.size + 1}`)
    const content = await collectBytes(entry.content, MAX_CONTROL_FILE_SIZE_BYTES, `${archive}: ${fileName}`)
    files.set(fileName, { mode: entry.mode, content })
  }
  return files
}

function uncompressed(member: ArMember, name: string): ByteStream {
  const compression = compressionOf(member.name.replace(/\.tar$/, ''))
  if (compression === undefined) {
    throw new AslError('FORMAT_INVALID', `${name}: ${member.name} is compressed in a way that is not read`)
  }
  return decompress(compression, member.content, `${name}: ${member.name}`)
}
