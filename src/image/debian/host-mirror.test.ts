import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { isAslError } from '../../core/mod.ts'
import { type HostMirror, parseMirror, tryHostMirror } from './mod.ts'

function mirrorOf(files: Readonly<Record<string, string>>): HostMirror | undefined {
  const root = mkdtempSync(join(tmpdir(), 'asl-test-'))
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, 'etc/apt', path)), { recursive: true })
      writeFileSync(join(root, 'etc/apt', path), content)
    }
    return tryHostMirror(root)
  } finally {
    rmSync(root, { recursive: true })
  }
}

const SOURCES = `Types: deb
URIs: https://packages.test/node
Suites: nodistro
Components: main

Types: deb-src deb
# a comment
URIs: http://mirror.test/mirrors/debian/
Suites: trixie trixie-updates
Components: main

Types: deb
URIs: http://security.test/debian-security
Suites: trixie-security
Components: main
`

test('deb822 sources: the first archive whose path ends in /debian, and its security archive', () => {
  assert.deepEqual(mirrorOf({ 'sources.list.d/debian.sources': SOURCES }), {
    debian: 'http://mirror.test/mirrors/debian',
    security: 'http://security.test/debian-security',
  })
})

test('one-line lists: options are passed over, comments and sources do not count', () => {
  const list = `# deb http://old.test/debian trixie main
deb-src http://source.test/debian trixie main
deb cdrom:[Debian]/ trixie main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.test/debian trixie main
`
  assert.deepEqual(mirrorOf({ 'sources.list': list }), {
    debian: 'http://mirror.test/debian',
    security: 'http://mirror.test/debian-security',
  })
})

test('disabled sources and other distributions do not count', () => {
  const disabled = 'Types: deb\nEnabled: no\nURIs: http://mirror.test/debian\nSuites: trixie\n'
  const ubuntu = 'Types: deb\nURIs: http://mirror.test/ubuntu\nSuites: noble\n'
  assert.equal(mirrorOf({ 'sources.list.d/a.sources': disabled, 'sources.list.d/b.sources': ubuntu }), undefined)
})

test('a machine without apt has no mirror', () => {
  assert.equal(mirrorOf({}), undefined)
})

test('a configuration that cannot be understood is an error, not an absent mirror', () => {
  assert.throws(
    () => mirrorOf({ 'sources.list.d/x.sources': 'no colon' }),
    error => isAslError(error, 'FORMAT_INVALID'),
  )
})

test('parseMirror() takes a base with or without a slash, and refuses what is none', () => {
  assert.deepEqual(parseMirror('http://m.test/debian/'), {
    debian: 'http://m.test/debian',
    security: 'http://m.test/debian-security',
  })
  assert.deepEqual(parseMirror('http://m.test/trixie', 'http://m.test/sec/').security, 'http://m.test/sec')
  assert.equal(parseMirror('http://m.test/snapshot').security, undefined)
  for (const text of ['mirror.test', 'file:///srv/debian', '']) {
    assert.throws(
      () => parseMirror(text),
      error => isAslError(error, 'CONFIG_INVALID'),
      text,
    )
  }
})
