import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { type Reference, referenceOf, TREE, type TypeTag } from '../core/mod.ts'
import type { Store } from './interface.ts'

/** What every implementation of {@link Store} promises. `make` gives an empty one; `reopen` what another process would see. */
export function testStoreConformance(name: string, make: () => Store, reopen: (store: Store) => Store): void {
  const scratch = mkdtempSync(join(tmpdir(), 'asl-store-'))
  after(() => rmSync(scratch, { recursive: true }))
  const file = (content: Uint8Array): string => {
    const path = join(scratch, 'file')
    writeFileSync(path, content)
    return path
  }
  const put = (store: Store, content: Uint8Array | string, typeTag?: TypeTag): Reference => {
    const writer = store.openWriter()
    const reference = writer.put(Buffer.from(content as string), typeTag)
    writer.commit()
    return reference
  }
  /** Sizes around every boundary: nothing, one byte, the header, the limit of packing, more than a block. */
  const sizes = [0, 1, 9, 13, 4095, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (16 << 20) + 7]
  const content = (sizeBytes: number): Buffer => {
    const bytes = Buffer.alloc(sizeBytes)
    for (let at = 0; at < sizeBytes; at += 4) bytes.writeUInt8((at * 2654435761) & 0xff, at)
    return bytes
  }

  describe(name, () => {
    test('content of every size comes back as it was put, from bytes, chunks, a path and a descriptor', () => {
      for (const sizeBytes of sizes) {
        const bytes = content(sizeBytes)
        for (const how of ['bytes', 'chunks', 'path', 'descriptor'] as const) {
          const store = make()
          const writer = store.openWriter()
          let reference: Reference
          if (how === 'bytes') reference = writer.put(bytes)
          else if (how === 'path') reference = writer.putFile(file(bytes))
          else if (how === 'chunks') reference = writer.putChunks(pieces(bytes, 100_003), sizeBytes)
          else {
            const fd = openSync(file(bytes), 'r')
            const stat = writer.putOpenFile(fd, 'file')
            closeSync(fd)
            assert.equal(stat.sizeBytes, sizeBytes)
            reference = stat.reference
          }
          writer.commit()
          assert.equal(reference, referenceOf(bytes), `${how} ${sizeBytes}`)
          const again = reopen(store)
          assert.ok(again.read(reference).equals(bytes), `${how} ${sizeBytes}`)
          assert.ok(Buffer.concat([...again.chunks(reference)]).equals(bytes), `chunks of ${how} ${sizeBytes}`)
          assert.deepEqual(again.tryStat(reference), { reference, typeTag: undefined, sizeBytes })
          store.close()
          again.close()
        }
      }
    })

    test('a tag is part of the identity, at every size', () => {
      for (const sizeBytes of sizes) {
        const store = make()
        const bytes = content(sizeBytes)
        const writer = store.openWriter()
        const plain = writer.put(bytes)
        const tagged = writer.put(bytes, TREE.typeTag)
        const streamed = writer.putChunks(pieces(bytes, 65_536), sizeBytes, 0x777 as TypeTag)
        writer.commit()
        assert.equal(new Set([plain, tagged, streamed]).size, 3)
        assert.equal(tagged, referenceOf(bytes, TREE.typeTag))
        assert.equal(store.tryStat(tagged)?.typeTag, TREE.typeTag)
        assert.ok(store.read(tagged).equals(bytes))
        assert.ok(store.read(streamed).equals(bytes))
        store.close()
      }
    })

    test('nothing is visible before commit, everything after, and abort leaves nothing', () => {
      const store = make()
      const before = store.state()
      const writer = store.openWriter()
      const first = writer.put(Buffer.from('one'))
      const second = writer.put(content(3 << 20))
      assert.ok(writer.has(first) && writer.has(second))
      assert.ok(!store.has(first) && !store.has(second))
      assert.deepEqual(store.state(), before)
      const state = writer.commit()
      assert.ok(store.has(first) && store.has(second))
      assert.deepEqual(store.state(), state)
      assert.ok(state.logPosition > before.logPosition)
      writer.abort()
      assert.ok(store.has(first))
      const aborted = store.openWriter()
      const third = aborted.put(Buffer.from('three'))
      aborted.abort()
      assert.ok(!store.has(third))
      assert.deepEqual(store.state(), state)
      store.close()
    })

    test('putting what is there changes nothing', () => {
      const store = make()
      const reference = put(store, 'hello')
      const large = put(store, content(2 << 20))
      const state = store.state()
      assert.equal(put(store, 'hello'), reference)
      assert.equal(put(store, content(2 << 20)), large)
      assert.deepEqual(store.state(), state)
      const writer = store.openWriter()
      assert.equal(writer.putFile(file(content(2 << 20))), large)
      assert.deepEqual(writer.commit(), state)
      store.close()
    })

    test('an absent artifact is undefined to tryStat and STORE_NOT_FOUND to a read', () => {
      const store = make()
      const reference = referenceOf('never put')
      assert.equal(store.has(reference), false)
      assert.equal(store.tryStat(reference), undefined)
      assert.equal(store.isDeclaredAbsent(reference), false)
      assert.equal(store.tryContentPath(reference), undefined)
      assert.throws(() => store.read(reference), { code: 'STORE_NOT_FOUND' })
      assert.throws(() => [...store.chunks(reference)], { code: 'STORE_NOT_FOUND' })
      assert.throws(() => store.readRange(reference, 0, 1), { code: 'STORE_NOT_FOUND' })
      store.close()
    })

    test('references ascend, and a tag or null picks those that carry it or none', () => {
      const store = make()
      const untagged = Array.from({ length: 300 }, (_, i) => put(store, `content ${i % 150}`)).slice(0, 150)
      const tagged = Array.from({ length: 20 }, (_, i) => put(store, `tree ${i}`, TREE.typeTag))
      const sorted = (list: Reference[]): Reference[] => [...list].sort()
      assert.deepEqual([...store.references()], sorted([...untagged, ...tagged]))
      assert.deepEqual([...store.references(null)], sorted(untagged))
      assert.deepEqual([...store.references(TREE.typeTag)], sorted(tagged))
      assert.deepEqual([...store.references(0x123 as TypeTag)], [])
      store.close()
    })

    test('a range is the same part of the content, and ends where the content ends', () => {
      const store = make()
      for (const sizeBytes of [100, 70_000, 3 << 20, 17 << 20]) {
        const bytes = content(sizeBytes)
        const reference = put(store, bytes)
        for (const [offset, length] of [
          [0, 1],
          [sizeBytes - 1, 1],
          [sizeBytes >> 1, sizeBytes],
          [10, 20],
          [sizeBytes, 5],
        ] as const) {
          const part = store.readRange(reference, offset, length)
          assert.ok(part.equals(bytes.subarray(offset, offset + length)), `${sizeBytes} ${offset} ${length}`)
        }
      }
      store.close()
    })

    test('a read above the limit is refused', () => {
      const store = make()
      const reference = put(store, content(1000))
      assert.throws(() => store.read(reference, 999), { code: 'LIMIT_EXCEEDED' })
      assert.equal(store.read(reference, 1000).length, 1000)
      store.close()
    })

    test('content shorter or longer than announced is refused, and the batch goes on', () => {
      const store = make()
      const writer = store.openWriter()
      for (const announced of [10, 2 << 20]) {
        for (const found of [announced - 1, announced + 1]) {
          assert.throws(() => writer.putChunks([content(found)], announced), { code: 'ARTIFACT_INVALID' })
        }
      }
      const good = writer.put(Buffer.from('good'))
      writer.commit()
      assert.deepEqual([...store.references()], [good])
      store.close()
    })

    test('what another opening has committed is seen after refresh', () => {
      const store = make()
      const other = reopen(store)
      const reference = put(store, 'new')
      other.refresh()
      assert.ok(other.has(reference))
      assert.equal(other.read(reference).toString(), 'new')
      assert.deepEqual(other.state(), store.state())
      store.close()
    })
  })
}

function* pieces(bytes: Buffer, sizeBytes: number): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes)
}
