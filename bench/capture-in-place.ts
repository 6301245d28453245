/**
 * What capture in place costs: `scripts/node bench/capture-in-place.ts [--pairs N] [--root DIR] [--only TEXT] [--json]`.
 *
 * Each workload runs bare and captured in turn, so that both halves of a pair see the same machine; what is printed is
 * the median of the ratios. As root fanotify watches, as an ordinary user strace. `new store` starts each capture with
 * an empty store, so that every content it reads is stored too; otherwise the store knows them from before.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { initStore } from '../src/store/mod.ts'
import { childUsage, findTool, run, TOOL_ENV } from '../src/sys/mod.ts'

const PROJECT = join(import.meta.dirname, '..')
const NOBODY = 65534
const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    root: { type: 'string' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})
const isRoot = process.getuid?.() === 0

interface Workload {
  readonly name: string
  readonly needs: readonly string[]
  /** Makes what the command works on; `folder` is its working folder. */
  prepare(folder: string): Promise<void>
  /** Taken away before each run. */
  readonly made: string
  readonly command: string
}

const C_FILES = 300

const WORKLOADS: readonly Workload[] = [
  {
    name: 'find and hash a Debian root',
    needs: values.root === undefined ? ['mmdebstrap'] : [],
    async prepare(folder) {
      if (values.root === undefined) await makeRoot(join(folder, 'root'))
    },
    made: 'sums',
    command: `cd ${values.root ?? 'root'} && find . -xdev -type f -readable -print0 | sort -z | xargs -0 sha256sum > "$OLDPWD/sums"`,
  },
  {
    name: `compile ${C_FILES} C files`,
    needs: ['gcc', 'make'],
    prepare: async folder => makeSources(folder),
    made: 'objects',
    command: 'mkdir objects && make -s -j2',
  },
  {
    name: 'unpack Debian packages',
    needs: ['dpkg-deb'],
    prepare: makePackages,
    made: 'unpacked',
    command: 'mkdir unpacked && for deb in packages/*.deb; do dpkg-deb -x "$deb" unpacked; done',
  },
]

interface Mode {
  readonly name: string
  readonly isUser: boolean
  readonly isNewStore: boolean
  /** What design.md asks for. */
  readonly goal: number
}

const MODES: readonly Mode[] = [
  { name: 'root', isUser: false, isNewStore: false, goal: 1.3 },
  { name: 'root, new store', isUser: false, isNewStore: true, goal: 1.3 },
  { name: 'user', isUser: true, isNewStore: false, goal: 2 },
  { name: 'user, new store', isUser: true, isNewStore: true, goal: 2 },
].filter(mode => isRoot || mode.isUser)

interface Sample {
  readonly wallMs: number
  readonly cpuMs: number
  /** Most that all processes of asl held at one time. */
  readonly peakKib: number
}

const folder = mkdtempSync(join(tmpdir(), 'asl-bench-'))
try {
  chmodSync(folder, 0o755)
  const rows: Record<string, string | number>[] = []
  for (const workload of WORKLOADS.filter(({ name }) => name.includes(values.only))) {
    const missing = workload.needs.find(tool => findTool(tool) === undefined)
    if (missing !== undefined) {
      process.stderr.write(`skipped "${workload.name}": missing program: ${missing}\n`)
      continue
    }
    const work = join(folder, workload.name.replaceAll(' ', '-'))
    mkdirSync(work)
    await workload.prepare(work)
    for (const mode of MODES) rows.push(await measure(workload, mode, work))
  }
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`)
  else console.table(rows)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function measure(workload: Workload, mode: Mode, work: string): Promise<Record<string, string | number>> {
  const store = join(work, `store ${mode.name}`)
  const pairs: { readonly bare: Sample; readonly captured: Sample }[] = []
  if (isRoot) await give(work, mode.isUser)
  for (let i = -1; i < Number(values.pairs); i++) {
    if (mode.isNewStore || i < 0) await newStore(store, mode.isUser)
    const bare = await sample(workload, mode, work, ['/bin/sh', '-c', workload.command])
    const capture = [join(PROJECT, 'bin/asl-capture'), '--store', store, '--outdir', join(store, 'per')]
    const captured = await sample(workload, mode, work, [...capture, '--cmd', workload.command])
    if (i >= 0) pairs.push({ bare, captured }) // the first pair warms the page cache, and the store where it is kept
  }
  const ratio = (of: (sample: Sample) => number): number => median(pairs.map(pair => of(pair.captured) / of(pair.bare)))
  const wallRatio = ratio(({ wallMs }) => wallMs)
  const row = {
    workload: workload.name,
    as: mode.name,
    'bare s': seconds(median(pairs.map(({ bare }) => bare.wallMs))),
    'captured s': seconds(median(pairs.map(({ captured }) => captured.wallMs))),
    'wall ×': wallRatio.toFixed(2),
    'cpu ×': ratio(({ cpuMs }) => cpuMs).toFixed(2),
    'peak MiB': Math.round(Math.max(...pairs.map(({ captured }) => captured.peakKib)) / 1024),
    goal: `${wallRatio <= mode.goal ? 'reached' : 'missed'} (${mode.goal})`,
  }
  process.stderr.write(`${Object.values(row).join(' | ')}\n`)
  return row
}

async function sample(workload: Workload, mode: Mode, work: string, argv: readonly string[]): Promise<Sample> {
  rmSync(join(work, workload.made), { recursive: true, force: true })
  const as = mode.isUser && isRoot ? ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'] : []
  const before = childUsage()
  const memory = watchMemory()
  const result = await run([...as, ...argv], {
    env: { ...TOOL_ENV, SOURCE_DATE_EPOCH: '0' },
    cwd: work,
    stdout: () => {},
  })
  const peakKib = memory.stop()
  if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr.toString().slice(-400)}`)
  return { wallMs: result.wallMs, cpuMs: childUsage().cpuMs - before.cpuMs, peakKib }
}

/** Looks at every process that runs our Node but this one. */
function watchMemory(): { stop(): number } {
  let peakKib = 0
  const timer = setInterval(() => {
    let sumKib = 0
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
      try {
        if (readlinkSync(`/proc/${name}/exe`) !== process.execPath) continue
        if (!readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(PROJECT)) continue
        sumKib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1] ?? 0)
      } catch {
        // gone meanwhile
      }
    }
    peakKib = Math.max(peakKib, sumKib)
  }, 50)
  return {
    stop() {
      clearInterval(timer)
      return peakKib
    },
  }
}

async function newStore(path: string, isUser: boolean): Promise<void> {
  rmSync(path, { recursive: true, force: true })
  initStore(path, { withViews: true }).close()
  if (isRoot && isUser) await give(path, true)
}

async function give(path: string, isToUser: boolean): Promise<void> {
  const owner = isToUser ? NOBODY : 0
  await must(['chown', '-R', `${owner}:${owner}`, path])
}

async function makeRoot(path: string): Promise<void> {
  // As in the images: a kernel and systemd, some ten thousand files.
  await must([
    'mmdebstrap',
    '--variant=apt',
    '--include=systemd,linux-image-amd64,openssl,perl,locales',
    'trixie',
    path,
  ])
}

function makeSources(folder: string): void {
  mkdirSync(join(folder, 'include'))
  for (let i = 0; i < 20; i++) {
    const functions = Array.from(
      { length: 40 },
      (_, j) => `static inline int h${i}_${j}(int x) { return x * ${j} + ${i}; }`,
    )
    writeFileSync(
      join(folder, `include/h${i}.h`),
      `#pragma once\n#include <stdio.h>\n#include <string.h>\n${functions.join('\n')}\n`,
    )
  }
  const includes = Array.from({ length: 20 }, (_, i) => `#include "h${i}.h"`).join('\n')
  for (let i = 0; i < C_FILES; i++) {
    const body = Array.from({ length: 30 }, (_, j) => `int f${i}_${j}(int x) { return h${j % 20}_${j}(x) + ${i}; }`)
    writeFileSync(join(folder, `f${i}.c`), `${includes}\n${body.join('\n')}\n`)
  }
  const objects = Array.from({ length: C_FILES }, (_, i) => `objects/f${i}.o`).join(' ')
  const rules = `objects/%.o: %.c\n\tgcc -O1 -Iinclude -c $< -o $@\n`
  writeFileSync(join(folder, 'Makefile'), `objects/all.a: ${objects}\n\tar rc $@ $^\n${rules}`)
}

/** Packages made from this host's own files: a hundred of some hundred files each, compressed as Debian does. */
async function makePackages(folder: string): Promise<void> {
  mkdirSync(join(folder, 'packages'))
  const listing = await must(['find', '/usr/share', '/usr/lib', '-xdev', '-type', 'f', '-readable', '-size', '-200k'])
  const files = listing.split('\n').filter(path => path !== '' && !/[^\x21-\x7e]/.test(path))
  const perPackage = 120
  for (let i = 0; i < 60 && i * perPackage < files.length; i++) {
    const root = join(folder, 'one-package')
    mkdirSync(join(root, 'DEBIAN'), { recursive: true })
    writeFileSync(
      join(root, 'DEBIAN/control'),
      `Package: p${i}\nVersion: 1\nArchitecture: all\nMaintainer: bench <bench@example.org>\nDescription: bench\n`,
    )
    await must(['cp', '--parents', '-t', root, ...files.slice(i * perPackage, (i + 1) * perPackage)])
    await must(['dpkg-deb', '-Zxz', '-z1', '--root-owner-group', '-b', root, join(folder, `packages/p${i}.deb`)])
    rmSync(root, { recursive: true })
  }
}

async function must(argv: readonly string[]): Promise<string> {
  const result = await run(argv, { env: TOOL_ENV })
  if (result.exitCode !== 0) throw new Error(`${argv.slice(0, 4).join(' ')}: ${result.stderr.toString().slice(-400)}`)
  return result.stdout.toString()
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}
