import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes, formatCount, formatDuration, printable } from './format.ts'
import { tableLines, textWidth } from './table.ts'

test('formatBytes() gives one decimal above bytes, and never 1024 of a unit', () => {
  const pairs: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [12_897_485, '12.3 MiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [1024 ** 3 - 1, '1.0 GiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
  ]
  for (const [bytes, text] of pairs) assert.equal(formatBytes(bytes), text)
})

test('formatDuration() changes its unit where the next one would be reached by rounding', () => {
  const pairs: [number, string][] = [
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [59_949, '59.9 s'],
    [59_950, '1 min 00 s'],
    [64_000, '1 min 04 s'],
    [3_599_600, '1 h 00 min'],
    [7_380_000, '2 h 03 min'],
  ]
  for (const [ms, text] of pairs) assert.equal(formatDuration(ms), text)
})

test('formatCount() groups thousands', () => {
  assert.equal(formatCount(999), '999')
  assert.equal(formatCount(1_234_567), '1\u202f234\u202f567')
})

test('printable() leaves no character that moves the cursor or turns the writing direction', () => {
  assert.equal(printable('a\x1b[2Jb\nc\u009bd\u202ee'), 'a\\x1b[2Jb\\x0ac\\x9bd\\u{202e}e')
  assert.equal(printable('Größe 大 ✓'), 'Größe 大 ✓')
})

test('tableLines() aligns columns by width on screen, numbers to the right', () => {
  const lines = tableLines(
    [
      ['base', '9.0 s'],
      ['日本', '12.3 s'],
    ],
    { head: ['step', 'time'], right: [1], indent: 2 },
  )
  assert.deepEqual(lines, ['  step    time', '  ────  ──────', '  base   9.0 s', '  日本  12.3 s'])
})

test('a cell with a newline stays one line', () => {
  assert.deepEqual(tableLines([['a\nb', 'c']]), ['a\\x0ab  c'])
})

test('textWidth() counts what a terminal shows', () => {
  assert.equal(textWidth('e\u0301'), 1)
  assert.equal(textWidth('한글'), 4)
})
