/** The image that the image and boot tests share: built with the project's own store, so that a second test finds it. */
import assert from 'node:assert/strict'
import { closeSync, copyFileSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openHistory } from '../src/lineage/mod.ts'
import { type RunResult, run } from '../src/sys/mod.ts'

export const ROOT = join(import.meta.dirname, '..')
export const IMAGE = join(ROOT, 'out', 'auth-host', 'iso', 'amd64', 'auth-host.iso')
export const RECIPE = 'recipes/auth-host.yaml'

/** What a build needs of the environment: its own settings, and where npm finds the user's. */
export function buildEnv(): Record<string, string> {
  const kept = [
    'PATH',
    'HOME',
    'ASL_DEBIAN_MIRROR',
    'ASL_DEBIAN_SECURITY_MIRROR',
    'ASL_NPM_REGISTRY',
    'http_proxy',
    'https_proxy',
  ]
  return Object.fromEntries(kept.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}

export async function asl(...words: readonly string[]): Promise<RunResult> {
  return run([join(ROOT, 'bin', 'asl'), ...words], { env: buildEnv(), cwd: ROOT, isGroup: true })
}

/** As {@link asl}, for commands that must succeed. */
export async function aslOk(...words: readonly string[]): Promise<string> {
  const result = await asl(...words)
  assert.equal(result.exitCode, 0, `asl ${words.join(' ')}\n${result.stdout}${result.stderr}`)
  return result.stdout.toString('utf8')
}

export interface BuiltImage {
  readonly folder: string
  readonly root_tree: string
  readonly files: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[]
  readonly steps: readonly { readonly name: string; readonly state: string; readonly receipt: string }[]
}

export async function buildSharedImage(): Promise<BuiltImage> {
  return JSON.parse(await aslOk('build', RECIPE, '--progress', 'none', '--json')) as BuiltImage
}

/** A copy of the image with one bit of one artifact of its history changed. @returns the artifact's reference */
export function damagedCopy(target: string): string {
  const store = openHistory(IMAGE)
  const reference = [...store.references(null)].find(ref => (store.tryStat(ref)?.sizeBytes ?? 0) > 2_000_000)
  assert.ok(reference !== undefined)
  const start = store.readRange(reference, 0, 64)
  store.close()
  copyFileSync(IMAGE, target)
  const fd = openSync(target, 'r+')
  try {
    const offset = find(fd, start) + 1_000_000
    const byte = Buffer.alloc(1)
    readSync(fd, byte, 0, 1, offset)
    byte[0] = (byte[0] as number) ^ 0x10
    writeSync(fd, byte, 0, 1, offset)
  } finally {
    closeSync(fd)
  }
  return reference
}

/** Contents on an ISO begin at blocks of 2 KiB. */
function find(fd: number, start: Buffer): number {
  const block = Buffer.alloc(start.length)
  for (let offset = 0; readSync(fd, block, 0, block.length, offset) === block.length; offset += 2048) {
    if (block.equals(start)) return offset
  }
  throw new Error('the artifact does not lie on the medium')
}
