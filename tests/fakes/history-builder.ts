/** Builds small, true-to-life histories in memory: real packages, signed lists, trees, and a receipt for every step. */

import { gzipSync } from 'node:zlib'
import { createCleartextMessage, enums, generateKey, type PrivateKey, sign } from 'openpgp'
import { putReceipt, type StepRecord } from '../../src/capture/mod.ts'
import {
  type InputEntry,
  type InputRole,
  KINDS,
  type OutputRole,
  type Reference,
  sha256,
  TREE,
  type TreeEntry,
} from '../../src/core/mod.ts'
import type { Store, StoreWriter } from '../../src/store/mod.ts'
import { memoryStore } from '../../src/store/mod.ts'
import { debBytes } from './archive-builder.ts'

/** A file by content, a link by target, a further name of a file, anything else by its entry. */
export type Node =
  | string
  | Buffer
  | { readonly link: string }
  | { readonly sameAs: string }
  | { readonly content: string | Buffer; readonly mode?: number; readonly mtime?: number }

/** Paths without a leading slash; a name given as Latin-1 stands for its bytes. */
export type Files = Readonly<Record<string, Node>>

export interface Step {
  readonly command: readonly string[] | string
  readonly inputs?: readonly (readonly [name: string, role: InputRole, ref: Reference])[]
  readonly outputs?: readonly (readonly [name: string, role: OutputRole, ref: Reference])[]
  readonly root?: Reference
  readonly roots?: Readonly<Record<string, string>>
  readonly vars?: Readonly<Record<string, string>>
}

export interface HistoryBuilder {
  readonly store: Store
  blob(content: string | Buffer): Reference
  tree(files: Files): Reference
  step(step: Step): Reference
}

export function historyBuilder(store: Store = memoryStore()): HistoryBuilder {
  const write = <T>(body: (writer: StoreWriter) => T): T => {
    const writer = store.openWriter()
    const result = body(writer)
    writer.commit()
    return result
  }
  return {
    store,
    blob: content => write(writer => writer.put(Buffer.from(content))),
    tree: files => write(writer => putTree(writer, files)),
    step: step => write(writer => putStep(writer, store, step)),
  }
}

export function putStep(writer: StoreWriter, store: Store, step: Step): Reference {
  const entry = <R>([name, role, ref]: readonly [string, R, Reference]) => {
    const stat = store.tryStat(ref)
    const isContent = stat !== undefined && stat.typeTag === undefined
    return { name, role, ref, ...(isContent ? { size: stat.sizeBytes } : {}) }
  }
  const record: StepRecord = {
    command: {
      ...(typeof step.command === 'string' ? { builtin: step.command } : { argv: step.command }),
      cwd: '/',
      expectExit: [0],
      ...(step.roots === undefined ? {} : { roots: step.roots }),
    },
    inputs: { entries: (step.inputs ?? []).map(entry) as InputEntry[] },
    environment: {
      arch: 'amd64',
      network: 'none',
      umask: 0o022,
      sourceDateEpoch: 1_700_000_000,
      vars: { PATH: '/usr/bin', ...step.vars },
      ...(step.root === undefined ? {} : { rootRef: step.root }),
    },
    outputs: { exitCode: 0, entries: (step.outputs ?? []).map(entry) },
    executors: [{ name: 'asl-capture', version: '1' }],
  }
  const written = putReceipt(writer, record)
  return written.receiptRef
}

interface Folder {
  readonly folders: Map<string, Folder>
  readonly nodes: Map<string, Node>
}

export function putTree(writer: StoreWriter, files: Files): Reference {
  const top: Folder = { folders: new Map(), nodes: new Map() }
  for (const [path, node] of Object.entries(files)) {
    const parts = path.split('/')
    const name = parts.pop() as string
    let folder = top
    for (const part of parts) {
      const next = folder.folders.get(part) ?? { folders: new Map(), nodes: new Map() }
      folder.folders.set(part, next)
      folder = next
    }
    if (name !== '') folder.nodes.set(name, node)
  }
  return putFolder(writer, top)
}

function putFolder(writer: StoreWriter, folder: Folder): Reference {
  const entries: TreeEntry[] = []
  for (const [name, child] of folder.folders) {
    entries.push({ name: Buffer.from(name, 'latin1'), type: 'd', mode: 0o755, ref: putFolder(writer, child) })
  }
  for (const [name, node] of folder.nodes) entries.push(entryOf(writer, Buffer.from(name, 'latin1'), node))
  return writer.put(TREE.encode({ entries }), KINDS['asl.tree'])
}

function entryOf(writer: StoreWriter, name: Buffer, node: Node): TreeEntry {
  if (typeof node === 'string' || Buffer.isBuffer(node)) {
    const content = Buffer.from(node)
    return { name, type: 'f', mode: 0o644, ref: writer.put(content), size: content.length }
  }
  if ('link' in node) return { name, type: 'l', mode: 0o777, target: Buffer.from(node.link) }
  if ('sameAs' in node) return { name, type: 'f', mode: 0o644, linkTo: Buffer.from(node.sameAs) }
  const content = Buffer.from(node.content)
  const { mode = 0o644, mtime } = node
  return {
    name,
    type: 'f',
    mode,
    ref: writer.put(content),
    size: content.length,
    ...(mtime === undefined ? {} : { mtime }),
  }
}

export interface FakePackage {
  readonly name: string
  readonly version: string
  /** Paths below `/`. */
  readonly files: Readonly<Record<string, string>>
  readonly scripts?: Readonly<Record<string, string>>
  readonly compression?: 'none' | 'gz' | 'zst'
}

export function fakeDeb(pkg: FakePackage): Buffer {
  return debBytes({
    control: { Package: pkg.name, Version: pkg.version, Architecture: 'amd64' },
    controlMembers: Object.entries(pkg.scripts ?? {}).map(([path, content]) => ({ path: `./${path}`, content })),
    data: Object.entries(pkg.files).map(([path, content]) => ({ path: `./${path}`, content })),
    compression: pkg.compression ?? 'zst',
  })
}

/** What dpkg leaves behind when it installs packages: their files, lists, scripts, and the status file. */
export function installed(packages: readonly FakePackage[]): Files {
  const files: Record<string, Node> = {}
  for (const pkg of packages) {
    Object.assign(files, pkg.files)
    files[`var/lib/dpkg/info/${pkg.name}.list`] = `/.\n${Object.keys(pkg.files)
      .map(path => `/${path}\n`)
      .join('')}`
    for (const [name, content] of Object.entries(pkg.scripts ?? {})) {
      files[`var/lib/dpkg/info/${pkg.name}.${name}`] = content
    }
  }
  files['var/lib/dpkg/status'] = packages
    .map(pkg => `Package: ${pkg.name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${pkg.version}\n`)
    .join('\n')
  return files
}

export interface FakeArchive {
  readonly keyring: string
  readonly fingerprint: string
  /** URL → body, as a recorder would have seen it. */
  readonly responses: ReadonlyMap<string, Buffer>
}

export const MIRROR = 'http://mirror.internal/debian'

let signingKey: Promise<PrivateKey> | undefined

/** One key for all tests of a run: making one takes a while. */
export function archiveKey(): Promise<PrivateKey> {
  signingKey ??= generateKey({
    userIDs: [{ name: 'Test Archive Signing Key (13/trixie)', email: 'archive@example.org' }],
    type: 'curve25519',
    date: new Date('2025-01-01T00:00:00Z'),
    format: 'object',
  }).then(pair => pair.privateKey)
  return signingKey
}

/** A signed archive of packages: `InRelease`, `Packages` under its by-hash name, and the pool. */
export async function fakeArchive(packages: readonly FakePackage[]): Promise<FakeArchive> {
  const key = await archiveKey()
  const responses = new Map<string, Buffer>()
  const stanzas = packages.map(pkg => {
    const deb = fakeDeb(pkg)
    const filename = `pool/main/${pkg.name[0]}/${pkg.name}/${pkg.name}_${pkg.version}_amd64.deb`
    responses.set(`${MIRROR}/${filename}`, deb)
    return `Package: ${pkg.name}\nVersion: ${pkg.version}\nArchitecture: amd64\nFilename: ${filename}\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n`
  })
  const index = gzipSync(stanzas.join('\n'))
  const release = [
    'Origin: Debian',
    'Suite: stable',
    'Codename: trixie',
    'Date: Sat, 12 Sep 2026 07:55:41 UTC',
    'Acquire-By-Hash: yes',
    'SHA256:',
    ` ${sha256(index)} ${index.length} main/binary-amd64/Packages.gz`,
    '',
  ].join('\n')
  const message = await createCleartextMessage({ text: release })
  const signed = await sign({
    message,
    signingKeys: key,
    date: new Date('2026-09-12T07:55:41Z'),
    config: { preferredHashAlgorithm: enums.hash.sha256 },
  })
  responses.set(`${MIRROR}/dists/trixie/InRelease`, Buffer.from(signed))
  responses.set(`${MIRROR}/dists/trixie/main/binary-amd64/by-hash/SHA256/${sha256(index)}`, index)
  return { keyring: key.toPublic().armor(), fingerprint: key.getFingerprint().toUpperCase(), responses }
}
