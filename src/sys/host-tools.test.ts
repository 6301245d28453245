import assert from 'node:assert/strict'
import { test } from 'node:test'
import { installLine, parseOsRelease } from './distribution.ts'
import { compareVersions, parseVersion, probeHostTool } from './host-tool-state.ts'
import { HOST_TOOLS, type HostTool, hostToolsFor, TOOL_USES } from './host-tools.ts'

const SHELL: HostTool = {
  name: 'sh',
  neededFor: ['test'],
  why: 'a program that every host has',
  packages: { debian: 'dash', fedora: 'bash' },
}

test('every row of the table says what it is for, and its names are unique', () => {
  const names = HOST_TOOLS.map(({ name }) => name)
  assert.deepEqual(names, [...new Set(names)])
  for (const tool of HOST_TOOLS) {
    assert.ok(tool.neededFor.length > 0 && tool.neededFor.every(use => TOOL_USES.includes(use)), tool.name)
    assert.match(tool.packages.debian, /^[a-z0-9][a-z0-9.+-]+$/)
    assert.match(tool.packages.fedora, /^[a-z0-9][a-z0-9.+-]+$/)
    assert.ok(tool.minimum === undefined || tool.versionArgs !== undefined, `${tool.name} cannot be asked its version`)
  }
})

test('hostToolsFor() gives the rows of any of the uses, and none of another machine type', () => {
  const names = hostToolsFor(['boot'], 'x64').map(({ name }) => name)
  assert.ok(names.includes('qemu-system-x86_64'))
  assert.ok(!names.includes('restic'))
})

test('probeHostTool() tells missing, old and broken programs apart', async () => {
  const version = { versionArgs: ['-c', 'echo sh of make-believe-2.10.1'] }
  const states = await Promise.all(
    [
      { ...SHELL, ...version },
      { ...SHELL, ...version, minimum: '2.9' },
      { ...SHELL, ...version, minimum: '2.11' },
      { ...SHELL, versionArgs: ['-c', 'exit 1'] },
      { ...SHELL, name: 'no-such-program' },
      { ...SHELL, name: 'no such file', files: ['/no/such/file', '/etc/os-release/nor/this'] },
      { ...SHELL, name: 'a file', files: ['/no/such/file', '/etc/os-release'] },
    ].map(probeHostTool),
  )
  assert.deepEqual(
    states.map(({ state }) => state),
    ['ok', 'ok', 'too-old', 'broken', 'missing', 'missing', 'ok'],
  )
  assert.equal(states[2]?.problem, 'version 2.10.1, wanted 2.11 or newer')
})

test('parseVersion() finds the version in what real programs print', () => {
  const pairs: [string, string][] = [
    ['unshare from util-linux 2.38.1', '2.38.1'],
    ['ip utility, iproute2-6.1.0, libbpf 1.1.2', '6.1.0'],
    ['strace -- version 6.13', '6.13'],
    ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)', '7.2.22'],
    ['mcopy (GNU mtools) 4.0.32', '4.0.32'],
    ['mkfs.fat 4.2 (2021-01-31)', '4.2'],
    ['gcc (Debian 12.2.0-14) 12.2.0', '12.2.0'],
    ['mkfs.erofs (erofs-utils) 1.5', '1.5'],
  ]
  for (const [text, version] of pairs) assert.equal(parseVersion(text), version)
  assert.equal(parseVersion('no number here'), undefined)
})

test('compareVersions() compares numbers, not text', () => {
  assert.ok(compareVersions('2.10', '2.9') > 0)
  assert.ok(compareVersions('6.1', '6.1.1') < 0)
  assert.equal(compareVersions('0.8', '0.8.0'), 0)
})

test('parseOsRelease() knows the families by ID and ID_LIKE', () => {
  const ubuntu = parseOsRelease(
    'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"',
  )
  assert.deepEqual(ubuntu, { id: 'ubuntu', versionId: '24.04', prettyName: 'Ubuntu 24.04 LTS', family: 'debian' })
  assert.equal(parseOsRelease('ID=fedora').family, 'fedora')
  assert.equal(parseOsRelease('ID="rocky"\nID_LIKE="rhel centos fedora"').family, 'fedora')
  assert.equal(parseOsRelease('ID=arch').family, 'other')
  assert.equal(parseOsRelease('').id, 'linux')
})

test('installLine() never asks a question', () => {
  assert.equal(installLine('debian', ['a', 'b']), 'apt-get install --yes --no-install-recommends a b')
  assert.match(installLine('fedora', ['a']) ?? '', /--assumeyes/)
  assert.equal(installLine('other', ['a']), undefined)
})
