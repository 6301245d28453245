import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestNames } from './mod.ts'

const KNOWN = ['mmdebstrap', 'debootstrap', 'coreutils', 'corekeeper', 'perl', 'perl-base']

test('nearestNames() finds what was mistyped: a letter more, less, another, two swapped', () => {
  for (const typed of ['mmdebstrapp', 'mdebstrap', 'mmdebstrab', 'mmdebtsrap']) {
    assert.equal(nearestNames(typed, KNOWN)[0], 'mmdebstrap', typed)
  }
})

test('nearestNames() offers nothing that is far away, and the nearest first', () => {
  assert.deepEqual(nearestNames('zsh', KNOWN), [])
  assert.deepEqual(nearestNames('perl-bas', KNOWN), ['perl-base'])
})
