import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { FingerprintTable, fingerprintOf } from './fingerprint-table.ts'
import { RecordTable, sortDigests } from './record-table.ts'

const digestOf = (i: number): Buffer => createHash('sha256').update(String(i)).digest()

test('every value is found under its fingerprint, and none that was not put', () => {
  const table = new FingerprintTable()
  const count = 20_000
  for (let i = 0; i < count; i++) table.insert(fingerprintOf(digestOf(i)), i)
  assert.equal(table.count, count)
  for (let i = 0; i < count; i++)
    assert.equal(
      table.find(fingerprintOf(digestOf(i)), value => value === i),
      i,
    )
  for (let i = count; i < 2 * count; i++)
    assert.equal(
      table.find(fingerprintOf(digestOf(i)), value => value === i),
      -1,
    )
  assert.equal([...table.values()].length, count)
})

test('equal fingerprints stand side by side, and replacing changes the confirmed one', () => {
  const table = new FingerprintTable()
  for (const value of [1, 2, 3]) table.insert(0xffffffff, value)
  table.replace(0xffffffff, 20, value => value === 2)
  assert.deepEqual([...table.values()].sort(), [1, 20, 3].sort())
  table.replace(0xffffffff, 4, value => value === 99)
  assert.equal(table.count, 4)
  for (const value of [1, 20, 3, 4])
    assert.equal(
      table.find(0xffffffff, found => found === value),
      value,
    )
})

test('sortDigests orders by all 32 bytes, also where the beginnings are equal', () => {
  const digests = Array.from({ length: 2000 }, (_, i) => digestOf(i))
  for (let i = 0; i < 1000; i++) digests[i]!.fill(i % 3, 0, 4)
  const order = sortDigests(Buffer.concat(digests), digests.length)
  const sorted = digests.map((_, i) => i).sort((a, b) => Buffer.compare(digests[a]!, digests[b]!))
  assert.deepEqual([...order], sorted)
})

test('a record table gives back what was put, past every growth', () => {
  const table = new RecordTable()
  const row = (i: number) => ({
    typeTag: i % 3 === 0 ? undefined : (i as never),
    isContent: i % 2 === 0,
    totalLength: i * 1e10,
    block: i % 7,
    offset: i * 1e9,
  })
  for (let i = 0; i < 3000; i++) table.add(digestOf(i), row(i))
  for (let i = 0; i < 3000; i++) {
    assert.equal(table.find(digestOf(i)), i)
    assert.deepEqual(table.row(i), row(i))
    assert.ok(Buffer.from(table.digest(i)).equals(digestOf(i)))
  }
  assert.equal(table.find(digestOf(3000)), -1)
})
