import assert from 'node:assert/strict'
import { test } from 'node:test'
import { paragraphArena } from './paragraph-arena.ts'

test('an arena gives back what was added, also what is larger than its buffers, and copies it', () => {
  const arena = paragraphArena()
  const pieces = [10, 700_000, 700_000, 3_000_000, 0, 5].map((size, i) => Buffer.alloc(size, i + 1))
  const scratch = Buffer.alloc(3_000_000)
  for (const piece of pieces) {
    piece.copy(scratch)
    arena.add(scratch.subarray(0, piece.length))
  }
  assert.equal(arena.count, pieces.length)
  for (const [i, piece] of pieces.entries()) assert.ok(arena.at(i).equals(piece), `piece ${i}`)
  assert.throws(() => arena.at(pieces.length), /no paragraph 6/)
})
