/** Checks that a text is well-formed XML of the kind we write: elements, attributes in double quotes, five entities. */
import assert from 'node:assert/strict'

const TOKEN = /<\?xml [^?]*\?>|<\/([a-zA-Z]+)>|<([a-zA-Z]+)((?: [a-zA-Z:-]+="[^"<]*")*)(\/?)>|[^<]+/y

export function assertWellFormed(xml: string): void {
  const open: string[] = []
  TOKEN.lastIndex = 0
  for (let at = 0; at < xml.length; ) {
    const match = TOKEN.exec(xml)
    assert.ok(match, `not well-formed at ${at}: ${JSON.stringify(xml.slice(at, at + 80))}`)
    at = TOKEN.lastIndex
    const [whole, closes, opens, , isEmpty] = match
    assert.doesNotMatch(whole, /&(?!(amp|lt|gt|quot|#39);)/, `bare & at ${at}`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 forbids them
    assert.doesNotMatch(whole, /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/, `forbidden character at ${at}`)
    if (closes !== undefined) assert.equal(open.pop(), closes, `</${closes}> at ${at}`)
    else if (opens !== undefined && isEmpty === '') open.push(opens)
  }
  assert.deepEqual(open, [], 'elements left open')
}
