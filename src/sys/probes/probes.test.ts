import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { thisMachine } from '../machine.ts'
import type { ProbePlace } from './finding.ts'
import { probeDisk, probeKernel, probeMemory } from './machine.ts'
import { countSubordinateIds, namespaceRemedy, trying } from './namespaces.ts'
import { probeHost } from './probe-host.ts'

const GIB = 1024 ** 3
const USER: ProbePlace = { uid: 1000, userName: 'ann', storeFolder: tmpdir(), folder: tmpdir() }

test('an old kernel stops an ordinary user, and root only loses something', () => {
  assert.equal(probeKernel(USER, '5.10.0-30-amd64').state, 'missing')
  assert.equal(probeKernel({ ...USER, uid: 0 }, '5.10.0-30-amd64').state, 'degraded')
  assert.equal(probeKernel(USER, '6.1.0-18-amd64').state, 'ok')
})

test('too little room is degraded, far too little is missing, and both have a remedy', () => {
  const states = [probeDisk(USER, 20 * GIB), probeDisk(USER, 5 * GIB), probeDisk(USER, GIB), probeMemory(GIB / 2)]
  assert.deepEqual(
    states.map(({ state }) => state),
    ['ok', 'degraded', 'missing', 'missing'],
  )
  assert.ok(states.slice(1).every(({ remedy }) => remedy !== undefined))
})

test('the remedy for forbidden user namespaces names the switch that forbids them', () => {
  const host = (path: string, value: string) => (asked: string) => (asked.endsWith(path) ? value : undefined)
  assert.match(
    namespaceRemedy(host('apparmor_restrict_unprivileged_userns', '1')),
    /apparmor_restrict_unprivileged_userns=0/,
  )
  assert.match(namespaceRemedy(host('unprivileged_userns_clone', '0')), /unprivileged_userns_clone=1/)
  assert.match(namespaceRemedy(host('max_user_namespaces', '0')), /max_user_namespaces=\d/)
  assert.match(
    namespaceRemedy(() => undefined),
    /root/,
  )
})

test('countSubordinateIds() adds the ranges of a user, by name or by number', () => {
  const text = 'bob:100000:65536\nann:165536:65536\n1000:300000:10\nann:broken\n'
  assert.equal(countSubordinateIds(text, USER), 65_546)
  assert.equal(countSubordinateIds('', USER), 0)
})

test('trying() says why a command fails, in one line', async () => {
  assert.equal(await trying(['true']), undefined)
  assert.match((await trying(['cp', '/no/such/file', '/tmp'])) ?? '', /No such file/)
  assert.equal(await trying(['false']), 'false ended with status 1')
  assert.equal(await trying(['no-such-program']), 'no-such-program is missing')
})

test('probeHost() answers every question, leaves nothing behind, and gives no remedy where all is well', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'asl-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const findings = await probeHost({
    uid: process.getuid?.() ?? 0,
    userName: thisMachine().user,
    storeFolder: folder,
    folder,
  })
  assert.deepEqual(readdirSync(folder), [])
  const names = findings.map(({ name }) => name)
  assert.deepEqual(names, [...new Set(names)])
  for (const { name, state, remedy } of findings) assert.ok(state !== 'ok' || remedy === undefined, name)
})
