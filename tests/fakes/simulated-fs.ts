import { dirname, normalize } from 'node:path'
import { AslError } from '../../src/core/mod.ts'
import type { FileStat, StoreFs } from '../../src/store/mod.ts'

/**
 * A file system in memory that knows what is on the disk and what is not. Each file has content that was synced and
 * writes that were not; each folder names that were synced and changes that were not. A power cut keeps any part of what
 * was not synced ({@link SimulatedFs.crashes}): writes may be lost, torn or leave zeros, names may be there or not, and
 * folders are not ordered against content. A rename is atomic, and durable once one of its two folders is synced.
 */
export class SimulatedFs implements StoreFs {
  /** Calls that change something, so far. */
  changes = 0
  /** Called before each change; what it throws is what the call throws. */
  onChange: (call: Call) => void = () => {}
  readonly #root: Folder
  readonly #open = new Map<number, Node>()
  #nextFd = 3
  #order = 0
  #isLocked = false

  constructor(root: Folder = newFolder()) {
    this.#root = root
  }

  open(path: string): number {
    return this.#give(this.#require(path, 'open'))
  }

  pread(fd: number, into: Uint8Array, position: number): number {
    const { content } = this.#file(fd)
    const part = content.subarray(position, position + into.length)
    into.set(part)
    return part.length
  }

  close(fd: number): void {
    if (!this.#open.delete(fd)) throw failure('EBADF', 'close', String(fd))
  }

  readdir(path: string): string[] {
    const node = this.#find(path)
    return node?.kind === 'folder' ? [...node.names.keys()] : []
  }

  stat(path: string): FileStat | undefined {
    const node = this.#find(path)
    if (node === undefined) return undefined
    return { isFolder: node.kind === 'folder', sizeBytes: node.kind === 'file' ? node.content.length : 0, mtimeMs: 0 }
  }

  sizeOf(fd: number): number {
    return this.#file(fd).content.length
  }

  hostPath(): string | undefined {
    return undefined
  }

  create(path: string, _mode: number): number {
    this.#change('create', path)
    if (this.#find(path) !== undefined) throw failure('EEXIST', 'open', path)
    const file = newFile()
    this.#link(path, file)
    return this.#give(file)
  }

  openForWriting(path: string): number {
    return this.open(path)
  }

  pwrite(fd: number, bytes: Uint8Array, position: number): void {
    const file = this.#file(fd)
    const write: Write = { position, bytes: Buffer.from(bytes), sizeBefore: file.content.length }
    try {
      this.#change('pwrite', file.name)
    } catch (error) {
      // A full disk takes a part of what was to be written.
      const part = { ...write, bytes: write.bytes.subarray(0, write.bytes.length >> 1) }
      file.content = applyWrite(file.content, part)
      file.pending.push(part)
      throw error
    }
    file.content = applyWrite(file.content, write)
    file.pending.push(write)
  }

  truncate(fd: number, sizeBytes: number): void {
    const file = this.#file(fd)
    this.#change('truncate', file.name)
    file.content = Buffer.from(file.content.subarray(0, sizeBytes))
    file.pending.push({ truncatedTo: sizeBytes })
  }

  fsync(fd: number): void {
    const file = this.#file(fd)
    try {
      this.#change('fsync', file.name)
    } catch (error) {
      file.content = file.synced // the kernel has dropped the pages, and will not try them again
      file.pending = []
      throw error
    }
    file.synced = file.content
    file.pending = []
  }

  fsyncFolder(path: string): void {
    this.#change('fsyncFolder', path)
    const folder = this.#require(path, 'fsync')
    if (folder.kind !== 'folder') throw failure('ENOTDIR', 'fsync', path)
    for (const change of [...folder.pending].sort((a, b) => a.order - b.order)) settle(change)
  }

  syncAll(): void {
    this.#change('syncAll', '/')
    settleAll(this.#root)
  }

  startWriteback(): void {}

  rename(from: string, to: string): void {
    this.#change('rename', to)
    const node = this.#require(from, 'rename')
    const source = this.#parent(from)
    const target = this.#parent(to)
    const steps = [
      { folder: source, name: leaf(from), node: undefined },
      { folder: target, name: leaf(to), node },
    ]
    this.#alter(steps)
  }

  link(from: string, to: string): void {
    this.#change('link', to)
    if (this.#find(to) !== undefined) throw failure('EEXIST', 'link', to)
    this.#link(to, this.#require(from, 'link'))
  }

  unlink(path: string): void {
    if (this.#find(path) === undefined) return
    this.#change('unlink', path)
    this.#alter([{ folder: this.#parent(path), name: leaf(path), node: undefined }])
  }

  mkdir(path: string): void {
    if (this.#find(path) !== undefined) return
    this.#change('mkdir', path)
    this.#link(path, newFolder())
  }

  rmdir(path: string): void {
    const node = this.#require(path, 'rmdir')
    if (node.kind === 'folder' && node.names.size > 0) throw failure('ENOTEMPTY', 'rmdir', path)
    this.#change('rmdir', path)
    this.#alter([{ folder: this.#parent(path), name: leaf(path), node: undefined }])
  }

  lock(): { release(): void } {
    if (this.#isLocked) throw new AslError('STORE_LOCKED', 'locked')
    this.#isLocked = true
    return {
      release: () => {
        this.#isLocked = false
      },
    }
  }

  /** Copies of this file system as a power cut now may leave it: all of them, or `most` that are picked with `seed`. */
  *crashes(most: number, seed: number): Iterable<SimulatedFs> {
    const names = [...new Set(foldersOf(this.#root).flatMap(folder => [...folder.pending]))].sort(
      (a, b) => a.order - b.order,
    )
    const files = filesOf(this.#root).filter(file => file.pending.length > 0)
    // One decision for each name, 0 or 1, and one for each file: how its unsynced writes came out.
    const choices = [...names.map(() => 2), ...files.map(file => outcomesOf(file))]
    for (const picked of picks(choices, most, seed)) {
      const keepsName = new Set(names.filter((_, i) => picked[i] === 1))
      const outcomes = new Map(files.map((file, i) => [file, picked[names.length + i] as number]))
      yield new SimulatedFs(crashed(this.#root, keepsName, outcomes))
    }
  }

  /** Paths of all files below a folder. */
  files(folder: string): string[] {
    return this.readdir(folder).flatMap(name => {
      const path = `${folder}/${name}`
      return this.stat(path)?.isFolder === true ? this.files(path) : [path]
    })
  }

  /** Everything that can be seen, as text: equal states give equal text. */
  dump(): string {
    const lines: string[] = []
    const walk = (folder: Folder, path: string): void => {
      for (const [name, node] of [...folder.names].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (node.kind === 'folder') {
          lines.push(`${path}/${name}/`)
          walk(node, `${path}/${name}`)
        } else lines.push(`${path}/${name} ${node.content.toString('hex')}`)
      }
    }
    walk(this.#root, '')
    return lines.join('\n')
  }

  #change(name: Call['name'], path: string): void {
    this.changes++
    this.onChange({ name, path, number: this.changes })
  }

  #give(node: Node): number {
    this.#open.set(this.#nextFd, node)
    return this.#nextFd++
  }

  #file(fd: number): File {
    const node = this.#open.get(fd)
    if (node?.kind !== 'file') throw failure('EBADF', 'fd', String(fd))
    return node
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of namesOf(path)) node = node?.kind === 'folder' ? node.names.get(name) : undefined
    return node
  }

  #require(path: string, syscall: string): Node {
    const node = this.#find(path)
    if (node === undefined) throw failure('ENOENT', syscall, path)
    return node
  }

  #parent(path: string): Folder {
    const node = this.#require(dirname(normalize(path)), 'open')
    if (node.kind !== 'folder') throw failure('ENOTDIR', 'open', path)
    return node
  }

  #link(path: string, node: Node): void {
    if (node.kind === 'file') node.name = path
    this.#alter([{ folder: this.#parent(path), name: leaf(path), node }])
  }

  #alter(steps: readonly NameStep[]): void {
    const change: NameChange = { steps, order: this.#order++ }
    for (const { folder, name, node } of steps) {
      setName(folder.names, name, node)
      folder.pending.add(change)
    }
  }
}

export interface Call {
  readonly name:
    | 'create'
    | 'pwrite'
    | 'truncate'
    | 'fsync'
    | 'fsyncFolder'
    | 'syncAll'
    | 'rename'
    | 'link'
    | 'unlink'
    | 'mkdir'
    | 'rmdir'
  readonly path: string
  readonly number: number
}

/** An error as the operating system gives it. */
export function failure(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path })
}

type Node = File | Folder

interface File {
  readonly kind: 'file'
  name: string
  content: Buffer
  synced: Buffer
  pending: Write[]
}

interface Folder {
  readonly kind: 'folder'
  readonly names: Map<string, Node>
  readonly syncedNames: Map<string, Node>
  readonly pending: Set<NameChange>
}

type Write =
  | { readonly position: number; readonly bytes: Buffer; readonly sizeBefore: number }
  | { readonly truncatedTo: number }

interface NameStep {
  readonly folder: Folder
  readonly name: string
  /** `undefined` removes the name. */
  readonly node: Node | undefined
}

interface NameChange {
  readonly steps: readonly NameStep[]
  readonly order: number
}

function newFile(): File {
  return { kind: 'file', name: '', content: Buffer.alloc(0), synced: Buffer.alloc(0), pending: [] }
}

function newFolder(): Folder {
  return { kind: 'folder', names: new Map(), syncedNames: new Map(), pending: new Set() }
}

function settle(change: NameChange): void {
  for (const { folder, name, node } of change.steps) {
    setName(folder.syncedNames, name, node)
    folder.pending.delete(change)
  }
}

function settleAll(root: Folder): void {
  for (const folder of foldersOf(root)) {
    for (const change of [...folder.pending].sort((a, b) => a.order - b.order)) settle(change)
  }
  for (const file of filesOf(root)) {
    file.synced = file.content
    file.pending = []
  }
}

function setName(names: Map<string, Node>, name: string, node: Node | undefined): void {
  if (node === undefined) names.delete(name)
  else names.set(name, node)
}

function applyWrite(content: Buffer, write: Write): Buffer {
  if ('truncatedTo' in write) return Buffer.from(content.subarray(0, write.truncatedTo))
  const size = Math.max(content.length, write.position + write.bytes.length)
  const grown = Buffer.alloc(size)
  content.copy(grown)
  write.bytes.copy(grown, write.position)
  return grown
}

/** Small, so that records and artifacts of a test span several. */
const PAGE_BYTES = 64

/** Ways in which the unsynced writes of a file come out; 0 loses all of them, 1 keeps all. */
const OUTCOMES = ['lost', 'kept', 'zeros', 'first half', 'second half', 'odd pages', 'even pages'] as const

function outcomesOf(file: File): number {
  return file.pending.every(write => 'truncatedTo' in write) ? 2 : OUTCOMES.length
}

function contentAfter(file: File, outcome: number): Buffer {
  const name = OUTCOMES[outcome]
  if (name === 'lost') return file.synced
  if (name === 'kept') return file.content
  let content = file.synced
  for (const write of file.pending) {
    if ('truncatedTo' in write) continue
    const { position, bytes } = write
    const grown = applyWrite(content, { ...write, bytes: Buffer.alloc(bytes.length) })
    // What lay there before stays where nothing new arrives.
    content.copy(grown, position, position, Math.min(content.length, position + bytes.length))
    for (let at = 0; at < bytes.length; at++) {
      const page = Math.floor((position + at) / PAGE_BYTES)
      const isKept =
        (name === 'first half' && at < bytes.length / 2) ||
        (name === 'second half' && at >= bytes.length / 2) ||
        (name === 'odd pages' && page % 2 === 1) ||
        (name === 'even pages' && page % 2 === 0)
      if (isKept) grown[position + at] = bytes[at]!
    }
    content = grown
  }
  return content
}

/** The tree as the disk has it: names that were synced, and those of the others that were kept, in order. */
function crashed(root: Folder, keeps: ReadonlySet<NameChange>, outcomes: ReadonlyMap<File, number>): Folder {
  const namesAfter = new Map<Folder, Map<string, Node>>()
  for (const folder of foldersOf(root)) namesAfter.set(folder, new Map(folder.syncedNames))
  for (const change of [...keeps].sort((a, b) => a.order - b.order)) {
    for (const { folder, name, node } of change.steps) {
      const names = namesAfter.get(folder) ?? new Map(folder.syncedNames)
      setName(names, name, node)
      namesAfter.set(folder, names)
    }
  }
  const copies = new Map<Node, Node>()
  const copy = (node: Node): Node => {
    const known = copies.get(node)
    if (known !== undefined) return known
    if (node.kind === 'file') {
      const content = Buffer.from(contentAfter(node, outcomes.get(node) ?? (node.pending.length === 0 ? 1 : 0)))
      const file: File = { kind: 'file', name: node.name, content, synced: content, pending: [] }
      copies.set(node, file)
      return file
    }
    const folder = newFolder()
    copies.set(node, folder)
    for (const [name, child] of namesAfter.get(node) ?? node.syncedNames) {
      const copied = copy(child)
      folder.names.set(name, copied)
      folder.syncedNames.set(name, copied)
    }
    return folder
  }
  return copy(root) as Folder
}

function foldersOf(root: Folder): Folder[] {
  const found = new Set<Folder>()
  const walk = (folder: Folder): void => {
    if (found.has(folder)) return
    found.add(folder)
    for (const node of nodesOf(folder)) if (node.kind === 'folder') walk(node)
  }
  walk(root)
  return [...found]
}

function filesOf(root: Folder): File[] {
  return [...new Set(foldersOf(root).flatMap(folder => nodesOf(folder).filter(node => node.kind === 'file')))]
}

/** Every node that any name, synced or not, leads to. */
function nodesOf(folder: Folder): Node[] {
  const pending = [...folder.pending].flatMap(change => change.steps.map(step => step.node))
  return [...folder.names.values(), ...folder.syncedNames.values(), ...pending.filter(node => node !== undefined)]
}

/** Each combination of choices; above `most`: the two extremes, each single deviation from them, and random ones. */
function* picks(choices: readonly number[], most: number, seed: number): Iterable<readonly number[]> {
  const total = choices.reduce((product, count) => Math.min(product * count, Number.MAX_SAFE_INTEGER), 1)
  if (total <= most) {
    for (let number = 0; number < total; number++) {
      let rest = number
      yield choices.map(count => {
        const pick = rest % count
        rest = Math.floor(rest / count)
        return pick
      })
    }
    return
  }
  const lost = choices.map(() => 0)
  const kept = choices.map(() => 1)
  yield lost
  yield kept
  const random = randomNumbers(seed)
  for (let given = 2; given < most; given++) {
    const base = given % 3 === 0 ? lost : given % 3 === 1 ? kept : choices.map(count => random(count))
    const at = random(choices.length)
    yield base.map((pick, i) => (i === at ? random(choices[i]!) : pick))
  }
}

/** A small generator (mulberry32), so that a failure can be made again from its seed. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

function namesOf(path: string): string[] {
  return normalize(path)
    .split('/')
    .filter(name => name !== '' && name !== '.')
}

function leaf(path: string): string {
  return namesOf(path).at(-1) ?? ''
}
