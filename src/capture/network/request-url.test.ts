import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAuthority, parseTarget, redactUrl } from './request-url.ts'
import { tryProxyFor } from './upstream-proxy.ts'

test('redactUrl() hides what authorises, and keeps the rest to the byte', () => {
  for (const [url, redacted] of [
    ['http://u:p@x/a', 'http://x/a'],
    ['http://x/a?b=1&c=%2f+', 'http://x/a?b=1&c=%2f+'],
    ['http://x/a?access_token=s&b', 'http://x/a?access_token=REDACTED&b'],
    [
      'http://x/a?X-Amz-Signature=s&X-Amz-Credential=k%2f1&X-Amz-Date=d',
      'http://x/a?X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Date=d',
    ],
    ['http://x/a?sv=1&sig=s', 'http://x/a?sv=1&sig=REDACTED'],
    ['http://x/a?%74oken=s', 'http://x/a?%74oken=REDACTED'],
    ['http://x/a?token=', 'http://x/a?token='],
    ['http://x/a?monkey=1#part', 'http://x/a?monkey=1'],
  ]) {
    assert.equal(redactUrl(url!), redacted)
  }
})

test('parseTarget() takes absolute http and https URLs, and turns their user into a header', () => {
  const { url, authorization } = parseTarget('HTTP://us%C3%A9r:p%40ss@EXAMPLE.org:80/a/../b#c')
  assert.equal(url.href, 'http://example.org/b')
  assert.equal(Buffer.from(authorization!.slice(6), 'base64').toString(), 'usér:p@ss')
  for (const text of ['/a', 'a', '*', 'ftp://x/', 'http://', 'http://x:99999/', `http://x/${'a'.repeat(9000)}`]) {
    assert.throws(() => parseTarget(text), { code: 'REQUEST_INVALID' })
  }
})

test('parseAuthority() takes host:port and nothing else', () => {
  assert.deepEqual(parseAuthority('Example.org:443'), { host: 'example.org', port: 443 })
  assert.deepEqual(parseAuthority('[::1]:8443'), { host: '[::1]', port: 8443 })
  for (const text of ['', 'x', 'x:', 'x:0', 'x:65536', 'u@x:1', 'http://x:1', 'x:1/', 'x :1', '[::1]', ':443']) {
    assert.throws(() => parseAuthority(text), { code: 'REQUEST_INVALID' })
  }
})

test('tryProxyFor() reads no_proxy as curl and wget do', () => {
  const proxy = {
    http: 'proxy.example:3128',
    https: 'http://u:p@secure.example:8080/',
    except: '.corp, example.org,10.0.0.1:8080',
  }
  const used = (url: string) => tryProxyFor(new URL(url), proxy)?.host
  assert.equal(used('http://x/'), 'proxy.example:3128')
  assert.equal(used('https://x/'), 'secure.example:8080')
  for (const url of [
    'http://corp/',
    'http://a.b.corp/',
    'https://example.org/',
    'https://www.example.org/',
    'http://10.0.0.1:8080/',
  ]) {
    assert.equal(used(url), undefined)
  }
  for (const url of ['http://notcorp/', 'http://10.0.0.1/', 'http://example.org.evil/'])
    assert.notEqual(used(url), undefined)
  assert.equal(tryProxyFor(new URL('http://x/'), { ...proxy, except: '*' }), undefined)
  assert.equal(tryProxyFor(new URL('https://x/'), { http: 'http://p/' }), undefined)
  assert.throws(
    () => tryProxyFor(new URL('http://x/'), { http: 'socks5://u:secret@p:1' }),
    error => {
      assert.doesNotMatch(String(error), /secret/)
      return (error as { code?: string }).code === 'CONFIG_INVALID'
    },
  )
})
