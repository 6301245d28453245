import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAslError } from '../core/mod.ts'
import { parseDebianRelease, parseParagraph, parseParagraphs, readParagraphBytes, readParagraphs } from './mod.ts'

const TWO = `Package: alpha
Version: 1:2.0-1~deb13u1
Depends: libc6 (>= 2.38),
 perl:any
Description: the first
 More text.
 .
 After an empty line.
SHA256: 00

# a comment
Package: beta
Essential:  yes \t
Empty:
`

test('paragraphs have lower-case names, joined lines, trimmed values', () => {
  const [alpha, beta] = parseParagraphs(TWO, 'Packages')
  assert.equal(alpha?.get('depends'), 'libc6 (>= 2.38),\nperl:any')
  assert.equal(alpha?.get('description'), 'the first\nMore text.\n.\nAfter an empty line.')
  assert.deepEqual([...(alpha?.keys() ?? [])], ['package', 'version', 'depends', 'description', 'sha256'])
  assert.equal(beta?.get('essential'), 'yes')
  assert.equal(beta?.get('empty'), '')
})

test('readParagraphs() gives the same however the stream is cut', async () => {
  const whole = parseParagraphs(TWO, 'Packages')
  for (const size of [1, 2, 3, 7, 64, 1000]) {
    const pieces = Array.from({ length: Math.ceil(TWO.length / size) }, (_, i) =>
      Buffer.from(TWO.slice(i * size, (i + 1) * size)),
    )
    assert.deepEqual(await Array.fromAsync(readParagraphs(pieces, 'Packages')), whole, `pieces of ${size}`)
  }
})

test('fields that are not asked for are left out, with their further lines', () => {
  const [alpha] = parseParagraphs(TWO, 'Packages', { fields: new Set(['package', 'sha256']) })
  assert.deepEqual(
    [...(alpha ?? [])],
    [
      ['package', 'alpha'],
      ['sha256', '00'],
    ],
  )
})

test('readParagraphBytes() keeps the lines of the fields asked for, however the stream is cut', async () => {
  const text = 'Package: a\nDESCRIPTION: x\n more\nDepends: b,\n c\n\n\nTag: t\n\npackage: d\n'
  for (const size of [1, 5, 1000]) {
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
      Buffer.from(text.slice(i * size, (i + 1) * size)),
    )
    const found: string[] = []
    for await (const bytes of readParagraphBytes(pieces, 'x', new Set(['package', 'depends'])))
      found.push(bytes.toString())
    assert.deepEqual(found, ['package: a\ndepends: b,\n c\n', 'package: d\n'], `pieces of ${size}`)
  }
})

test('what breaks the format is refused with its line', async () => {
  const cases: [string, RegExp][] = [
    ['Package: a\nno colon here\n', /line 2/],
    [' continued\n', /line 1: a continuation line/],
    ['Package: a\n\nPackage: b\nPackage: c\n', /line 4: field "package" is there twice/],
    [': x\n', /line 1/],
  ]
  for (const [text, message] of cases) {
    assert.throws(
      () => parseParagraphs(text, 'x'),
      error => isAslError(error, 'FORMAT_INVALID') && message.test(error.message),
    )
    const inPieces = [...text].map(letter => Buffer.from(letter))
    await assert.rejects(Array.fromAsync(readParagraphs(inPieces, 'x')), message)
  }
  assert.throws(() => parseParagraph(TWO, 'x'), /has 2 paragraphs/)
})

test('a paragraph without end is refused before it fills the memory', async () => {
  function* endless(): Generator<Buffer> {
    for (;;) yield Buffer.from(`Field${Math.random()}: x\n`.repeat(1000))
  }
  await assert.rejects(Array.fromAsync(readParagraphs(endless(), 'x')), error => isAslError(error, 'LIMIT_EXCEEDED'))
})

const RELEASE = `Origin: Debian
Suite: stable
Codename: trixie
Date: Sat, 12 Sep 2026 07:55:41 UTC
Valid-Until: Sat, 19 Sep 2026 07:55:41 UTC
Acquire-By-Hash: yes
Architectures: all amd64
Components: main contrib
SHA256:
 ${'ab'.repeat(32)}  1961125 main/binary-amd64/Packages.xz
`

test('parseDebianRelease() reads dates as seconds, and the list of digests', () => {
  const release = parseDebianRelease(RELEASE, 'InRelease')
  assert.equal(release.date, Date.UTC(2026, 8, 12, 7, 55, 41) / 1000)
  assert.equal(release.validUntil, release.date + 7 * 86400)
  assert.equal(release.hasByHash, true)
  assert.deepEqual(release.components, ['main', 'contrib'])
  assert.deepEqual(release.files.get('main/binary-amd64/Packages.xz'), { sha256: 'ab'.repeat(32), sizeBytes: 1961125 })
})

test('parseDebianRelease() refuses a missing list, a bad date, a bad digest', () => {
  const broken = [
    RELEASE.slice(0, RELEASE.indexOf('SHA256')),
    RELEASE.replace('12 Sep 2026 07:55:41 UTC', 'yesterday'),
    RELEASE.replace('07:55:41 UTC', '07:55:41 CET'),
    RELEASE.replace('1961125', '-5'),
  ]
  for (const text of broken)
    assert.throws(
      () => parseDebianRelease(text, 'x'),
      error => isAslError(error, 'FORMAT_INVALID'),
    )
  assert.throws(
    () => parseDebianRelease(RELEASE.replace('abab', 'zzzz'), 'x'),
    error => isAslError(error, 'REF_INVALID'),
  )
})
