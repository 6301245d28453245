import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findTool, run, TOOL_ENV } from '../sys/mod.ts'
import { compareDebianVersions, formatRelation, parseRelations, satisfiesVersion } from './mod.ts'

test('versions ascend as deb-version(7) says', () => {
  const ascending = [
    '~~',
    '~~a',
    '~',
    '',
    '1.0~rc1-1',
    '1.0',
    '1.0-1',
    '1.0-1+b1',
    '1.0-1.1',
    '1.0-2',
    '1.0a',
    '1.0+a',
    '1.0.1',
    '1.2',
    '1.10',
    'a',
    '1:0.1',
  ]
  for (const [i, low] of ascending.entries()) {
    for (const [j, high] of ascending.entries()) {
      assert.equal(Math.sign(compareDebianVersions(low, high)), Math.sign(i - j), `${low} and ${high}`)
    }
  }
})

test('zeros in front and a missing revision do not count', () => {
  assert.equal(compareDebianVersions('1.01', '1.1'), 0)
  assert.equal(compareDebianVersions('0:1.0-0', '1.0'), 0)
})

test('digits of any length are compared as numbers', () => {
  assert.ok(compareDebianVersions('1.99999999999999999999998', '1.99999999999999999999999') < 0)
})

test('satisfiesVersion() knows the five operators', () => {
  const held = (['<<', '<=', '=', '>=', '>>'] as const).map(operator =>
    ['0.9', '1.0', '1.1'].map(version => (satisfiesVersion(version, operator, '1.0') ? '+' : '-')).join(''),
  )
  assert.deepEqual(held, ['+--', '++-', '-+-', '-++', '--+'])
})

const dpkg = findTool('dpkg')

test('compareDebianVersions() agrees with dpkg --compare-versions', {
  skip: dpkg === undefined && 'dpkg',
}, async () => {
  // A fixed generator: a failure names the pair, and comes again.
  let seed = 20260912
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return Math.floor((seed / 2147483648) * below)
  }
  const letters = ['0', '1', '9', '10', 'a', 'z', 'A', '+', '.', '~', '-', 'rc']
  const version = (): string => {
    const body = Array.from({ length: 1 + random(6) }, () => letters[random(letters.length)]).join('')
    return `${random(4) === 0 ? `${random(3)}:` : ''}${random(10)}${body}${random(10)}`
  }
  for (let i = 0; i < 150; i++) {
    const [a, b] = [version(), version()]
    const ours = compareDebianVersions(a, b)
    const operator = ours < 0 ? 'lt' : ours > 0 ? 'gt' : 'eq'
    const { exitCode } = await run([dpkg as string, '--compare-versions', a, operator, b], { env: TOOL_ENV })
    assert.equal(exitCode, 0, `dpkg does not say that "${a}" ${operator} "${b}"`)
  }
})

test('relations: alternatives, versions, qualifiers, the obsolete operators', () => {
  const parsed = parseRelations('libc6 (>= 2.38), perl:any | perl-base (<< 6~), a(=1),\n b (< 2)', 'Depends')
  assert.deepEqual(
    parsed.map(group => group.map(formatRelation).join(' | ')),
    ['libc6 (>= 2.38)', 'perl:any | perl-base (<< 6~)', 'a (= 1)', 'b (<= 2)'],
  )
  assert.throws(() => parseRelations('libc6 (>= )', 'Depends'), /"libc6 \(>= \)" is no relation/)
  assert.throws(() => parseRelations('a | | b', 'Depends'), /no relation/)
})
