import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consoleLines, plainText } from './console-lines.ts'

test('plainText() takes out what would act on a terminal and keeps the words', () => {
  for (const [said, plain] of [
    ['\x1b[0;32m  OK  \x1b[0m Started\r', '  OK   Started'],
    ['\x1b]0;title\x07text', 'text'],
    ['\x1b[=3h\x1b(B\x1bcBdsDxe', 'BdsDxe'],
    ['\x9b31mred', 'red'],
    ['a\x00\x07b\tc', 'ab\tc'],
    ['progress 1%\rprogress 2%', 'progress 1% progress 2%'],
    ['\x1b', ''],
    ['ünïcödé', 'ünïcödé'],
  ] as const) {
    assert.equal(plainText(said), plain, JSON.stringify(said))
  }
})

test('consoleLines() joins lines over chunks, cuts endless ones and shows the last', () => {
  const lines: string[] = []
  const serial = consoleLines(line => lines.push(line))
  const bytes = Buffer.from('ä split\nnext')
  serial.push(bytes.subarray(0, 1))
  serial.push(bytes.subarray(1))
  assert.deepEqual(lines, ['ä split'])
  serial.end()
  assert.deepEqual(lines, ['ä split', 'next'])
  serial.push(Buffer.alloc(1 << 20, 'x'))
  assert.ok(lines.length > 2, 'an endless line is cut')
})
