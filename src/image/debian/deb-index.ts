import {
  AslError,
  artifactHasher,
  decodeJson,
  encodeJson,
  type Json,
  parseReference,
  type Reference,
} from '../../core/mod.ts'
import {
  type ByteStream,
  hostile,
  openDeb,
  parseArchivePath,
  requireField,
  shownBytes,
  type TarEntry,
} from '../../formats/mod.ts'

/**
 * The regular files of a package with the references of their contents: what `whence` needs to say that a file of a
 * tree is, byte for byte, a member of a package. Plain data; its canonical JSON may be kept as an artifact.
 */
export interface DebIndex {
  readonly package: string
  readonly version: string
  readonly architecture: string
  /** Ascending by path. */
  readonly files: readonly DebFile[]
}

export interface DebFile {
  /** `usr/bin/openssl`: bytes as latin1 text, so that any name survives and text order is byte order. */
  readonly path: string
  readonly reference: Reference
  readonly sizeBytes: number
  readonly mode: number
}

/** @throws AslError FORMAT_INVALID, ARCHIVE_HOSTILE */
export async function indexDeb(stream: ByteStream, name: string): Promise<DebIndex> {
  const deb = await openDeb(stream, name)
  const files = new Map<string, DebFile>()
  for await (const entry of deb.entries()) {
    const path = pathOf(entry.path, name)
    if (entry.type === 'f') {
      files.set(path, {
        path,
        reference: await referenceOfContent(entry),
        sizeBytes: entry.sizeBytes,
        mode: entry.mode,
      })
    } else if (entry.type === 'h') {
      const target = entry.linkPath ?? Buffer.alloc(0)
      const first = files.get(pathOf(target, name))
      if (first === undefined) {
        throw hostile(name, entry.path, `it is a further name of "${shownBytes(target)}", no earlier file`)
      }
      files.set(path, { ...first, path })
    }
  }
  return {
    package: requireField(deb.control, 'package', name),
    version: requireField(deb.control, 'version', name),
    architecture: requireField(deb.control, 'architecture', name),
    files: [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  }
}

async function referenceOfContent(entry: TarEntry): Promise<Reference> {
  const hasher = artifactHasher(entry.sizeBytes)
  for await (const piece of entry.content) hasher.update(piece)
  return hasher.reference()
}

function pathOf(path: Buffer, archive: string): string {
  return parseArchivePath(path, archive)
    .map(name => name.toString('latin1'))
    .join('/')
}

const KIND = 'asl.deb-index'
const REVISION = 1

/** Rows, not objects: a large package has ten thousand files. Paths are percent-encoded, so that they are text. */
export function encodeDebIndex(index: DebIndex): Buffer {
  return encodeJson({
    kind: KIND,
    v: REVISION,
    package: index.package,
    version: index.version,
    architecture: index.architecture,
    files: index.files.map(file => [escapePath(file.path), file.reference, file.sizeBytes, file.mode]),
  })
}

/** @throws AslError JSON_NOT_CANONICAL, RECORD_INVALID */
export function decodeDebIndex(bytes: Uint8Array): DebIndex {
  const value = decodeJson(bytes) as { readonly [key: string]: Json | undefined } | null
  const text = (key: string): string => {
    const member = value?.[key]
    if (typeof member !== 'string') throw invalid(`${key} is no text`)
    return member
  }
  if (text('kind') !== KIND || value?.v !== REVISION) throw invalid(`is not ${KIND} revision ${REVISION}`)
  const { files } = value
  if (!Array.isArray(files)) throw invalid('files is no list')
  return {
    package: text('package'),
    version: text('version'),
    architecture: text('architecture'),
    files: files.map((row: Json) => {
      const [path, reference, sizeBytes, mode] = Array.isArray(row) ? (row as readonly Json[]) : []
      if (
        typeof path !== 'string' ||
        typeof reference !== 'string' ||
        typeof sizeBytes !== 'number' ||
        typeof mode !== 'number'
      ) {
        throw invalid('a row of files is not [path, reference, size, mode]')
      }
      return { path: unescapePath(path), reference: parseReference(reference), sizeBytes, mode }
    }),
  }
}

function escapePath(path: string): string {
  return path.replace(/[^ -$&-~]/g, letter => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function unescapePath(path: string): string {
  return path.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function invalid(reason: string): AslError {
  return new AslError('RECORD_INVALID', `Package index: ${reason}`)
}
