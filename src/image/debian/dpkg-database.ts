import { createHash } from 'node:crypto'
import { AslError } from '../../core/mod.ts'
import { type ControlFile, type Deb, requireField } from '../../formats/mod.ts'

/** What the dpkg inside the tree must know of a package that we unpacked, and nobody configured. */
export interface UnpackedPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** dpkg names the files of co-installable packages with their architecture. */
  readonly infoName: string
  /** The paragraph of `control`, without what dpkg adds. */
  readonly control: Buffer
  readonly controlFiles: ReadonlyMap<string, ControlFile>
  /** `/.`, `/usr`, … in the order of the archive. */
  readonly paths: readonly Buffer[]
  /** MD5 of conffiles by path: dpkg compares them when it configures. */
  readonly conffiles: ReadonlyMap<string, string>
}

export interface DatabaseFile {
  readonly path: string
  readonly mode: number
  readonly content: Buffer
}

export function infoNameOf(deb: Deb, archive: string): string {
  const name = requireField(deb.control, 'package', archive)
  const architecture = requireField(deb.control, 'architecture', archive)
  return deb.control.get('multi-arch') === 'same' ? `${name}:${architecture}` : name
}

/** Paths of the package's configuration files (deb-conffiles(5)); flags such as `remove-on-upgrade` come first. */
export function conffilePaths(deb: Deb): Set<string> {
  const text = deb.controlFiles.get('conffiles')?.content.toString('latin1') ?? ''
  const paths = text.split('\n').filter(line => line.startsWith('/'))
  return new Set(paths.map(path => path.trimEnd()))
}

export function md5Hasher(): { update(bytes: Uint8Array): void; digest(): string } {
  const state = createHash('md5')
  return { update: bytes => void state.update(bytes), digest: () => state.digest('hex') }
}

/** The files below `/var/lib/dpkg`: status, and per package its list, digests and maintainer scripts. */
export function* dpkgDatabase(packages: readonly UnpackedPackage[]): Generator<DatabaseFile> {
  const folder = '/var/lib/dpkg'
  yield { path: `${folder}/info/format`, mode: 0o644, content: Buffer.from('1\n') }
  for (const unpacked of packages) {
    const lines = unpacked.paths.map(path => Buffer.concat([path, Buffer.from('\n')]))
    yield { path: `${folder}/info/${unpacked.infoName}.list`, mode: 0o644, content: Buffer.concat(lines) }
    for (const [name, file] of unpacked.controlFiles) {
      if (name === 'control') continue
      if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) {
        throw new AslError('ARCHIVE_HOSTILE', `${unpacked.name}: "${name}" is no name of a control file`)
      }
      yield { path: `${folder}/info/${unpacked.infoName}.${name}`, mode: file.mode & 0o755, content: file.content }
    }
  }
  yield { path: `${folder}/status`, mode: 0o644, content: Buffer.concat(packages.map(statusParagraph)) }
  for (const name of ['available', 'diversions', 'statoverride']) {
    yield { path: `${folder}/${name}`, mode: 0o644, content: Buffer.alloc(0) }
  }
}

/** `control` as it is, the state after its first line, and the conffiles before its description, as dpkg itself writes. */
function statusParagraph(unpacked: UnpackedPackage): Buffer {
  const text = unpacked.control.toString('latin1').trimEnd()
  const conffiles = [...unpacked.conffiles].map(([path, md5]) => `\n ${path} ${md5}`).join('')
  const added = conffiles === '' ? '' : `\nConffiles:${conffiles}`
  const withState = text.replace(/^(Package:[^\n]*)/im, '$1\nStatus: install ok unpacked')
  return Buffer.from(`${withState}${added}\n\n`, 'latin1')
}
