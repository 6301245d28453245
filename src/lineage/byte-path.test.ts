import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytePathOf, isUtf8Path, joinPath, normalizeBytePath, ROOT_PATH, showPath, showText } from './byte-path.ts'
import { mergedPath } from './merged-usr.ts'

test('a path is absolute, without doubled slashes, dots or a slash at the end', () => {
  assert.equal(bytePathOf('usr//bin/./x/'), '/usr/bin/x')
  assert.equal(bytePathOf('/a/../b'), '/b')
  assert.equal(bytePathOf('../../etc'), '/etc')
  assert.equal(bytePathOf('/'), ROOT_PATH)
})

test('names that are not UTF-8 keep their bytes, and are shown with them escaped', () => {
  const path = joinPath(ROOT_PATH, Buffer.from([0x66, 0xff, 0x0a]))
  assert.equal(path.length, 4)
  assert.equal(isUtf8Path(path), false)
  assert.equal(showPath(path), '/f\\xff\\x0a')
  assert.equal(showPath(bytePathOf('/grüße')), '/grüße')
})

test('what moves a cursor or turns the writing direction is shown escaped', () => {
  assert.equal(showText('a\u001b[31m\u202egpj.exe\\'), 'a\\x1b[31m\\u{202e}gpj.exe\\\\')
  assert.equal(showText('line\nbreak'), 'line\\x0abreak')
})

test('the old names of the merged folders are those below /usr, and no others', () => {
  assert.equal(mergedPath(normalizeBytePath('./bin/ls')), '/usr/bin/ls')
  assert.equal(mergedPath(bytePathOf('/lib64/ld.so')), '/usr/lib64/ld.so')
  assert.equal(mergedPath(bytePathOf('/library/x')), '/library/x')
  assert.equal(mergedPath(bytePathOf('/opt/bin/x')), '/opt/bin/x')
})
