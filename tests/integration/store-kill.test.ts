/**
 * Writers killed by SIGKILL at random points under write, seal, snapshot and gc, one after the other on the same stores:
 * what was acknowledged is there, no batch is visible by halves, and check is clean.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Reference } from '../../src/core/mod.ts'
import { checkStore, diskFs, initStore, openStore } from '../../src/store/mod.ts'
import { randomNumbers } from '../fakes/simulated-fs.ts'
import { contentOf } from '../fakes/store-worker.ts'

/** Set ASL_KILL_RUNS for a long hunt; without it the time decides. */
const RUNS = Number(process.env.ASL_KILL_RUNS ?? 300)
const LIMIT_MS = process.env.ASL_KILL_RUNS === undefined ? 45_000 : Number.POSITIVE_INFINITY
const SEED = Number(process.env.ASL_KILL_SEED ?? 1)
const LEAST_RUNS = 40
const WORKER = join(import.meta.dirname, '..', 'fakes', 'store-worker.ts')

interface Model {
  /** Content of everything that was ever put. */
  readonly names: Map<Reference, string>
  readonly readable: Set<Reference>
  /** Hidden, or about to be when the worker died. */
  readonly hidden: Set<Reference>
}

interface Line {
  readonly kind: 'ready' | 'hiding' | 'committing' | 'committed'
  readonly names?: readonly string[]
  readonly references?: readonly Reference[]
}

test('hundreds of writers killed at random points lose nothing that they had acknowledged', async t => {
  const startMs = performance.now()
  const scratch = mkdtempSync(join(tmpdir(), 'asl-kill-'))
  try {
    const random = randomNumbers(SEED)
    let runs = 0
    /** Two at a time, each on a store of its own that is made anew now and then, so that check stays quick. */
    const lane = async (lane: number): Promise<void> => {
      for (let generation = 0; ; generation++) {
        const root = join(scratch, `${lane}-${generation}`)
        initStore(root, { domainId: 'kill', blockTargetBytes: 4096, smallMaxBytes: 2048 }).close()
        const model: Model = { names: new Map(), readable: new Set(), hidden: new Set() }
        for (let run = 0; run < 25; run++) {
          if (runs >= RUNS || performance.now() - startMs > LIMIT_MS) return
          const seed = random(1 << 30)
          // Half of the workers die at a chosen change of the store's files, half at a chosen time, inside of calls too.
          const killAt = random(2) === 0 ? 1 + random(150) : 0
          await verifyAfterKill(root, seed, killAt, random(60), model)
          runs++
        }
      }
    }
    await Promise.all([lane(0), lane(1)])
    t.diagnostic(`${runs} writers were killed in ${Math.round(performance.now() - startMs)} ms, seed ${SEED}`)
    assert.ok(runs >= Math.min(RUNS, LEAST_RUNS), `only ${runs} runs in the time`)
  } finally {
    rmSync(scratch, { recursive: true })
  }
})

async function verifyAfterKill(
  root: string,
  seed: number,
  killAt: number,
  killAfterMs: number,
  model: Model,
): Promise<void> {
  const where = `worker ${seed}, killed at ${killAt === 0 ? `${killAfterMs} ms` : `change ${killAt}`}`
  const open = takeOver(model, await runWorker(root, seed, killAt, killAfterMs))
  const store = openStore(root)
  try {
    assert.deepEqual(store.damage, [], where)
    store.openWriter().abort()
    for (const reference of model.readable) {
      assert.ok(store.has(reference), `${where}: ${reference} was acknowledged and is gone`)
      assert.ok(store.read(reference).equals(contentOf(model.names.get(reference)!)), where)
    }
    const fresh = open.filter(reference => !model.readable.has(reference) && !model.hidden.has(reference))
    const present = fresh.filter(reference => store.has(reference))
    assert.ok(present.length === 0 || present.length === fresh.length, `${where}: half a batch is visible`)
    for (const reference of store.references()) {
      const name = model.names.get(reference)
      assert.ok(name !== undefined, `${where}: ${reference} was never put`)
      model.readable.add(reference) // it is visible now, so it must stay
      model.hidden.delete(reference)
    }
  } finally {
    store.close()
  }
  const damage = checkStore(diskFs, root).findings.filter(finding => finding.isDamage)
  assert.deepEqual(damage, [], where)
}

/** Brings the model to what the worker said; returns the batch it died in. */
function takeOver(model: Model, lines: readonly Line[]): readonly Reference[] {
  let open: readonly Reference[] = []
  for (const { kind, names = [], references = [] } of lines) {
    if (kind === 'hiding') {
      for (const reference of references) {
        model.readable.delete(reference)
        model.hidden.add(reference)
      }
    } else if (kind === 'committing') {
      for (const [i, reference] of references.entries()) model.names.set(reference, names[i]!)
      open = references
    } else if (kind === 'committed') {
      for (const reference of open) {
        model.readable.add(reference)
        model.hidden.delete(reference)
      }
      open = []
    }
  }
  return [...new Set(open)]
}

/** What the worker said until it was killed. */
async function runWorker(root: string, seed: number, killAt: number, killAfterMs: number): Promise<Line[]> {
  const child = spawn(process.execPath, [WORKER, root, String(seed), String(killAt)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, errors]: [Buffer[], Buffer[]] = [[], []]
  child.stderr.on('data', (piece: Buffer) => errors.push(piece))
  let isArmed = killAt !== 0
  child.stdout.on('data', (piece: Buffer) => {
    output.push(piece)
    if (isArmed) return
    isArmed = true // it is at work: the time of its death runs from here
    void delay(killAfterMs).then(() => child.kill('SIGKILL'))
  })
  const ended = await new Promise<NodeJS.Signals | null>(resolve => child.once('close', (_, signal) => resolve(signal)))
  assert.equal(ended, 'SIGKILL', `worker ${seed} ended by itself: ${Buffer.concat(errors).toString()}`)
  return Buffer.concat(output)
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Line)
}
