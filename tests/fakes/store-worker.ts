/**
 * A program that works on a store until it is killed: puts, snapshots, hides, collects. It tells each intention that takes
 * something away before acting, and each promise after the store has given it. Run by store-kill.test.ts:
 * `store-worker.ts STORE SEED KILL_AT`; at change KILL_AT of the store's files it kills itself, 0 leaves that to others.
 */
import { writeSync } from 'node:fs'
import { parseReference } from '../../src/core/mod.ts'
import {
  collectGarbage,
  DiskStore,
  diskFs,
  listSnapshots,
  pinSnapshot,
  type StoreFs,
  takeSnapshot,
  tombstone,
  unpinSnapshot,
} from '../../src/store/mod.ts'
import { randomNumbers } from './simulated-fs.ts'

/** The content that a name stands for: small ones, and some that make raw blocks. */
export function contentOf(name: string): Buffer {
  const number = Number(name.slice(name.lastIndexOf('-') + 1))
  return Buffer.alloc(number % 7 === 0 ? 5000 + number : 10 + (number % 300), name)
}

/** One line to the parent, in one system call: a kill cannot tear it. */
function tell(line: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

function killingFs(killAt: number): StoreFs {
  let changes = 0
  const counted =
    <A extends readonly unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (++changes === killAt) process.kill(process.pid, 'SIGKILL')
      return call(...args)
    }
  return {
    ...diskFs,
    create: counted(diskFs.create),
    pwrite: counted(diskFs.pwrite),
    truncate: counted(diskFs.truncate),
    fsync: counted(diskFs.fsync),
    fsyncFolder: counted(diskFs.fsyncFolder),
    syncAll: counted(diskFs.syncAll),
    rename: counted(diskFs.rename),
    link: counted(diskFs.link),
    unlink: counted(diskFs.unlink),
    mkdir: counted(diskFs.mkdir),
    rmdir: counted(diskFs.rmdir),
  }
}

function work(root: string, seed: number, killAt: number): void {
  const fs = killingFs(killAt)
  const random = randomNumbers(seed)
  const store = new DiskStore(root, fs, fs)
  tell({ kind: 'ready' })
  for (let round = 0; ; round++) {
    switch (random(6)) {
      case 0:
        takeSnapshot(store, random(2) === 0 ? { pin: `round ${round}` } : {})
        break
      case 1: {
        const all = [...store.references()]
        const victims = all.filter(() => random(8) === 0)
        if (victims.length === 0) break
        tell({ kind: 'hiding', references: victims })
        tombstone(store, victims.slice(0, 5).map(parseReference), 'operator')
        break
      }
      case 2:
        collectGarbage(store, { nowMs: Date.now(), graceMs: 0, leastDeadShare: 0.2 })
        break
      case 3: {
        const snapshots = listSnapshots(store)
        const chosen = snapshots[random(Math.max(1, snapshots.length))]
        if (chosen?.pin !== undefined) unpinSnapshot(store, chosen.snapshotId)
        else if (chosen !== undefined && random(2) === 0) pinSnapshot(store, chosen.snapshotId, 'again')
        break
      }
      default: {
        const names = Array.from({ length: 1 + random(12) }, () => `content-${seed}-${random(400)}`)
        const writer = store.openWriter()
        const references = names.map(name => writer.put(contentOf(name)))
        tell({ kind: 'committing', names, references })
        writer.commit()
        tell({ kind: 'committed' })
      }
    }
  }
}

if (import.meta.main) {
  const [root = '', seed = '', killAt = ''] = process.argv.slice(2)
  work(root, Number(seed), Number(killAt))
}
