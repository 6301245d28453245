import assert from 'node:assert/strict'
import { test } from 'node:test'
import { element, escapeXml, fitText, textWidth } from './svg.ts'

test('escapeXml() lets no markup, quote or forbidden character through', () => {
  assert.equal(escapeXml(`<a b="c">&'`), '&lt;a b=&quot;c&quot;&gt;&amp;&#39;')
  assert.equal(escapeXml('\u0000\u001b\ufffe'), '\ufffd\ufffd\ufffd')
  assert.equal(escapeXml('\ud800x'), '\ufffdx')
  assert.equal(escapeXml('tab\tline\n'), 'tab\tline\n')
})

test('element() escapes attributes and leaves out those that are absent', () => {
  assert.equal(
    element('a', { href: '"><script>', x: 1.26, y: undefined }),
    '<a href="&quot;&gt;&lt;script&gt;" x="1.3"/>',
  )
})

test('fitText() shortens in the middle, never beyond the room, and never splits a character', () => {
  const style = { sizePx: 11 }
  for (const text of ['/usr/lib/x86_64-linux-gnu/libcrypto.so.3', '🙂'.repeat(60), 'W'.repeat(400), '']) {
    const fitted = fitText(text, 120, style)
    assert.ok(textWidth(fitted, style) <= 120, fitted)
    assert.ok(fitted.isWellFormed())
  }
  assert.match(fitText('/usr/lib/x86_64-linux-gnu/libcrypto.so.3', 120, style), /^\/usr.*…/)
})
