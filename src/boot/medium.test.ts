import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { detectMedium, diskFormatOf } from './medium.ts'

const folder = mkdtempSync(join(tmpdir(), 'asl-medium-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('an image is known by its first bytes, not by its name', () => {
  const iso = Buffer.alloc(20 * 2048)
  iso.write('\x01CD001', 16 * 2048)
  assert.deepEqual(both('disk.raw', iso), ['cdrom', 'raw'])
  assert.deepEqual(both('image.iso', Buffer.from('QFI\xfb and more', 'latin1')), ['disk', 'qcow2'])
  assert.deepEqual(both('tiny', Buffer.from('x')), ['disk', 'raw'])
  assert.throws(() => both('empty', Buffer.alloc(0)), { code: 'FORMAT_INVALID' })
})

function both(name: string, bytes: Buffer): [string, string] {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return [detectMedium(path), diskFormatOf(path)]
}
