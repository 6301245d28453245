import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mirrorMap } from './mirror-map.ts'

const map = mirrorMap([
  { logical: 'http://mirror.internal/debian', upstream: 'https://user:pw@real.example/pub/debian/' },
  { logical: 'http://mirror.internal/debian/security/', upstream: 'http://other.example' },
])
const upstream = (url: string) => map.tryUpstream(new URL(url))?.upstream.href

test('a logical URL is asked for below the mirror of the longest base that holds it', () => {
  assert.equal(
    upstream('http://mirror.internal/debian/dists/x?y=1'),
    'https://user:pw@real.example/pub/debian/dists/x?y=1',
  )
  assert.equal(upstream('http://mirror.internal/debian/security/pool/z'), 'http://other.example/pool/z')
})

test('a host that is no logical one is not mapped, and one that is has nothing besides', () => {
  assert.equal(upstream('http://real.example/debian/x'), undefined)
  for (const url of ['http://mirror.internal/', 'http://mirror.internal/debianx/y']) {
    assert.throws(() => upstream(url), { code: 'NETWORK_REFUSED' })
  }
})

test('one file has one recorded URL, however its name is spelled, and the spelling all servers understand', () => {
  for (const name of ['a_1+b~2.deb', 'a_1%2bb~2.deb', 'a%5F1%2Bb%7e2.deb']) {
    const found = map.tryUpstream(new URL(`http://mirror.internal/debian/${name}`))
    assert.equal(found?.url.href, 'http://mirror.internal/debian/a_1+b~2.deb')
    assert.equal(found?.upstream.pathname, '/pub/debian/a_1%2Bb~2.deb')
  }
})

test('an encoded slash stays encoded: it is no step into another folder', () => {
  const found = map.tryUpstream(new URL('http://mirror.internal/debian/@scope%2fname'))
  assert.equal(found?.url.pathname, '/debian/@scope%2Fname')
})

test('bases that are no URLs, and two of one logical base, are refused', () => {
  for (const logical of ['mirror.internal', 'ftp://x/', 'http://', '']) {
    assert.throws(() => mirrorMap([{ logical, upstream: 'http://x/' }]), { code: 'CONFIG_INVALID' })
  }
  const twice = { logical: 'http://a/b', upstream: 'http://x/' }
  assert.throws(() => mirrorMap([twice, { ...twice, logical: 'http://a/b/' }]), { code: 'CONFIG_INVALID' })
})
