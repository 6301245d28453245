/** The store on file systems that refuse: full, read-only; and with real processes beside it. Needs root for the mounts. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { checkStore, diskFs, ingestTree, initStore, openStore, takeSnapshot } from '../../src/store/mod.ts'

const scratch = mkdtempSync(join(tmpdir(), 'asl-store-disk-'))
const mounts: string[] = []
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const path of mounts) execFileSync('umount', [path])
  rmSync(scratch, { recursive: true })
})
const needsRoot = { skip: process.geteuid?.() === 0 ? false : 'needs root to mount' }

function mountTmpfs(name: string, size: string): string {
  const path = join(scratch, name)
  mkdirSync(path)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  mounts.push(path)
  return path
}

test(
  'a full disk is DISK_FULL, nothing of the batch is visible, and with space the same batch goes through',
  needsRoot,
  () => {
    const disk = mountTmpfs('full', '6m')
    const store = initStore(join(disk, 'store'))
    const first = store.openWriter()
    const kept = first.put(Buffer.from('kept'))
    first.commit()
    const ballast = join(disk, 'ballast')
    for (const size of [1 << 20, 3 << 20, 300]) {
      // One raw block, then many small ones, then no room for the log record itself.
      writeFileSync(ballast, Buffer.alloc(0))
      const contents = size > 1000 ? [randomBytes(size)] : Array.from({ length: 3000 }, () => randomBytes(size))
      const free = Number(execFileSync('df', ['--output=avail', '-B1', disk]).toString().split('\n')[1])
      writeFileSync(ballast, Buffer.alloc(Math.max(0, free - (size >> 1))))
      assert.throws(
        () => {
          const writer = store.openWriter()
          try {
            for (const bytes of contents) writer.put(bytes)
            writer.commit()
          } finally {
            writer.abort()
          }
        },
        { code: 'DISK_FULL' },
      )
      rmSync(ballast)
      assert.deepEqual([...store.references()], [kept])
      assert.ok(checkStore(diskFs, store.location).isClean)
    }
    const again = store.openWriter()
    const late = again.put(randomBytes(1 << 20))
    again.commit()
    assert.ok(store.has(late))
    store.close()
    assert.ok(checkStore(diskFs, store.location).isClean)
  },
)

test('a read-only store is read, and writing to it says so', needsRoot, () => {
  const disk = mountTmpfs('read-only', '8m')
  const made = initStore(join(disk, 'store'))
  const writer = made.openWriter()
  const reference = writer.put(Buffer.from('content'))
  writer.commit()
  made.close()
  execFileSync('mount', ['-o', 'remount,ro', disk])
  const store = openStore(join(disk, 'store'))
  assert.equal(store.read(reference).toString(), 'content')
  assert.throws(() => store.openWriter(), { code: 'STORE_READ_ONLY' })
  assert.throws(() => takeSnapshot(store), { code: 'STORE_READ_ONLY' })
  assert.ok(checkStore(diskFs, store.location).isClean)
  store.close()
})

/** Runs TypeScript in a process of its own; its lines come one by one. */
function program(source: string): { lines: AsyncIterable<string>; ended: Promise<number | null>; kill(): void } {
  const path = join(scratch, `program-${programs++}.ts`)
  const store = JSON.stringify(join(import.meta.dirname, '..', '..', 'src', 'store', 'mod.ts'))
  writeFileSync(path, `import { initStore, ingestTree, openStore } from ${store}\n${source}`)
  // As bin/asl starts Node.
  const child = spawn(process.execPath, ['--max-semi-space-size=8', path], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const ended = new Promise<number | null>(resolve => child.once('close', code => resolve(code)))
  return { lines: createInterface({ input: child.stdout }), ended, kill: () => void child.kill('SIGKILL') }
}
let programs = 0

test('a writer waits for another process to end, and names it when it does not', async () => {
  const root = join(scratch, 'locked')
  initStore(root).close()
  const holder = program(`
    const writer = openStore(${JSON.stringify(root)}).openWriter()
    console.log(process.pid)
    setTimeout(() => writer.abort(), 1000_000)`)
  let pid = 0
  for await (const line of holder.lines) {
    pid = Number(line)
    break
  }
  const impatient = openStore(root, { lockWaitMs: 30 })
  // Whatever the file says: as long as the kernel lock is held its holder lives, be it in another pid namespace.
  const said = readFileSync(join(root, 'tmp/writer.lock'))
  writeFileSync(
    join(root, 'tmp/writer.lock'),
    JSON.stringify({ pid: 4_194_304, boot_id: 'another', host: 'elsewhere' }),
  )
  assert.throws(() => impatient.openWriter(), { code: 'STORE_LOCKED' })
  writeFileSync(join(root, 'tmp/writer.lock'), said)
  assert.throws(
    () => impatient.openWriter(),
    (error: Error & { code?: string; details?: { pid?: number } }) => {
      assert.equal(error.code, 'STORE_LOCKED')
      assert.equal(error.details?.pid, pid)
      assert.ok(error.message.includes(String(pid)))
      return true
    },
  )
  const waiting = program(`
    const writer = openStore(${JSON.stringify(root)}, { lockWaitMs: 60_000 }).openWriter()
    console.log(writer.put(Buffer.from('after the wait')))
    writer.commit()`)
  holder.kill()
  assert.equal(await waiting.ended, 0, 'the lock of the killed one is taken over')
  impatient.close()
  const store = openStore(root)
  assert.equal([...store.references()].length, 1)
  store.close()
})

test('readers see whole batches only, while another process commits', async () => {
  const root = join(scratch, 'shared')
  initStore(root, { blockTargetBytes: 8192, smallMaxBytes: 4096 }).close()
  const batches = 60
  const writer = program(`
    const store = openStore(${JSON.stringify(root)})
    for (let batch = 0; batch < ${batches}; batch++) {
      const writer = store.openWriter()
      for (let i = 0; i < 10; i++) writer.put(Buffer.alloc(10 + i * 900, 'batch ' + batch + ' ' + i))
      writer.commit()
    }
    console.log('done')`)
  const store = openStore(root)
  let isDone = false
  void writer.ended.then(() => {
    isDone = true
  })
  let seen = 0
  while (!isDone) {
    store.refresh()
    const references = [...store.references()]
    assert.equal(references.length % 10, 0, 'half a batch is visible')
    assert.ok(references.length >= seen)
    seen = references.length
    for (const reference of references.slice(-30)) store.read(reference)
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(await writer.ended, 0)
  store.refresh()
  assert.equal([...store.references()].length, batches * 10)
  store.close()
})

test('a file of any size goes in and out in constant memory', async () => {
  const root = join(scratch, 'large')
  initStore(root).close()
  const source = join(scratch, 'source')
  mkdirSync(source)
  writeFileSync(join(source, 'sparse'), 'start')
  truncateSync(join(source, 'sparse'), 700 << 20)
  const measured = program(`
    const store = openStore(${JSON.stringify(root)})
    const before = process.resourceUsage().maxRSS
    const writer = store.openWriter()
    const { reference } = ingestTree(writer, ${JSON.stringify(source)})
    writer.commit()
    let size = 0
    for (const r of store.references(null)) for (const piece of store.chunks(r)) size += piece.length
    console.log(JSON.stringify({ size, grownMib: (process.resourceUsage().maxRSS - before) / 1024 }))`)
  for await (const line of measured.lines) {
    const { size, grownMib } = JSON.parse(line) as { size: number; grownMib: number }
    assert.equal(size, 700 << 20)
    assert.ok(grownMib < 150, `memory grew by ${grownMib} MiB`)
  }
  assert.equal(await measured.ended, 0)
})

test('a folder of a hundred thousand entries goes in and out of bounded memory', async () => {
  const source = join(scratch, 'wide')
  for (let folder = 0; folder < 100; folder++) {
    mkdirSync(join(source, `${folder}`), { recursive: true })
    for (let i = 0; i < 1000; i++) writeFileSync(join(source, `${folder}`, `${i}`), `${i % 100}`)
  }
  const root = join(scratch, 'wide-store')
  const store = initStore(root)
  const writer = store.openWriter()
  const { entryCount } = ingestTree(writer, source)
  writer.commit()
  store.close()
  assert.equal(entryCount, 100_100)
  const measured = program(`
    import { walkTree } from ${JSON.stringify(join(import.meta.dirname, '..', '..', 'src', 'store', 'mod.ts'))}
    const store = openStore(${JSON.stringify(root)})
    const writer = store.openWriter()
    const before = process.resourceUsage().maxRSS
    const { reference } = ingestTree(writer, ${JSON.stringify(source)})
    writer.commit()
    let entries = 0
    for (const _ of walkTree(store, reference)) entries++
    console.log(JSON.stringify({ entries, grownMib: (process.resourceUsage().maxRSS - before) / 1024 }))`)
  for await (const line of measured.lines) {
    const { entries, grownMib } = JSON.parse(line) as { entries: number; grownMib: number }
    assert.equal(entries, 100_100)
    assert.ok(grownMib < 150, `memory grew by ${grownMib} MiB`)
  }
  assert.equal(await measured.ended, 0)
})
