import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arBytes, debBytes, paxMember, type TarMember, tarBytes } from '../../tests/fakes/archive-builder.ts'
import { isAslError } from '../core/mod.ts'
import { openDeb } from './mod.ts'

for (const compression of ['none', 'gz', 'zst'] as const) {
  test(`openDeb() reads control files and data of a package with members in ${compression}`, async () => {
    const bytes = debBytes({
      compression,
      control: { Depends: 'libc6 (>= 2.38)' },
      controlMembers: [{ path: './postinst', mode: 0o755, content: '#!/bin/sh\n' }],
      data: [
        { path: './', flag: '5' },
        { path: './etc/', flag: '5' },
        { path: './etc/sample.conf', content: 'x' },
      ],
    })
    const deb = await openDeb([bytes], 'sample.deb')
    assert.equal(deb.control.get('depends'), 'libc6 (>= 2.38)')
    assert.deepEqual([...deb.controlFiles.keys()], ['control', 'postinst'])
    assert.equal(deb.controlFiles.get('postinst')?.mode, 0o755)
    const paths = await Array.fromAsync(deb.entries(), entry => entry.path.toString())
    assert.deepEqual(paths, ['./', './etc/', './etc/sample.conf'])
  })
}

test('members that start with _ are skipped', async () => {
  const bytes = arBytes([
    ['debian-binary', Buffer.from('2.0\n')],
    ['_gpgorigin', Buffer.from('odd')],
    ['control.tar', tarBytes([{ path: './control', content: 'Package: a\nVersion: 1\n' }])],
    ['_x', Buffer.from('xx')],
    ['data.tar', tarBytes([{ path: './f' }])],
  ])
  const deb = await openDeb([bytes], 'a.deb')
  assert.equal((await Array.fromAsync(deb.entries())).length, 1)
})

test('what is no package is said to be none, and why', async () => {
  const binary: [string, Buffer] = ['debian-binary', Buffer.from('2.0\n')]
  const control: [string, Buffer] = ['control.tar', tarBytes([{ path: './control', content: 'Package: a\n' }])]
  const cases: [string, Buffer, RegExp][] = [
    ['no ar', Buffer.from('PK\x03\x04 and more'), /not an ar archive/],
    ['wrong first member', arBytes([control]), /"control.tar" is where debian-binary belongs/],
    ['format 3', arBytes([['debian-binary', Buffer.from('3.0\n')], control]), /package format is "3.0\\n"/],
    ['no data', arBytes([binary, control]), /it has no data.tar/],
    ['no control file', arBytes([binary, ['control.tar', tarBytes([{ path: './x' }])]]), /has no control file/],
    ['lzma', arBytes([binary, ['control.tar.lzma', Buffer.alloc(9)]]), /compressed in a way that is not read/],
  ]
  for (const [title, bytes, message] of cases) {
    await assert.rejects(openDeb([bytes], 'x.deb'), error => {
      assert.ok(isAslError(error, 'FORMAT_INVALID'), `${title}: ${error}`)
      assert.match(error.message, message, title)
      return true
    })
  }
})

test('an ar member larger than the file is refused by name', async () => {
  const bytes = arBytes([['debian-binary', Buffer.from('2.0\n'), '4000000000']])
  await assert.rejects(openDeb([bytes], 'x.deb'), error => isAslError(error, 'LIMIT_EXCEEDED', 'ARCHIVE_HOSTILE'))
  const negative = arBytes([['debian-binary', Buffer.from('2.0\n'), '-4']])
  await assert.rejects(openDeb([negative], 'x.deb'), error => isAslError(error, 'ARCHIVE_HOSTILE'))
})

test('a control archive with a path, a link or the same file twice is refused', async () => {
  const hostileMembers = [
    [{ path: './postinst', flag: '2', link: '/etc/passwd' }],
    [{ path: './../postinst' }],
    [{ path: './sub/postinst' }],
    [{ path: './control', content: 'Package: other\n' }],
  ]
  for (const controlMembers of hostileMembers) {
    await assert.rejects(openDeb([debBytes({ controlMembers })], 'x.deb'), error =>
      isAslError(error, 'ARCHIVE_HOSTILE'),
    )
  }
})

test('a damaged package gives an error of ours or a whole reading, whichever byte is changed', async () => {
  const data: TarMember[] = [
    { path: './usr/bin/', flag: '5' },
    { path: './usr/bin/tool', content: 'x'.repeat(700) },
    paxMember({ path: 'a/long/path', 'SCHILY.xattr.user.a': 'b' }),
    { path: 'short', flag: '2', link: 'tool' },
  ]
  for (const compression of ['none', 'gz', 'zst'] as const) {
    const good = debBytes({ data, compression })
    // Every third byte, and a few values that sit on edges of the formats.
    for (let at = 0; at < good.length; at += 3) {
      const bad = Buffer.from(good)
      bad[at] = [0x00, 0xff, 0x2f, 0x39, 0x80][at % 5] as number
      try {
        const deb = await openDeb([bad], 'x.deb')
        for await (const entry of deb.entries()) for await (const _ of entry.content);
      } catch (error) {
        assert.ok(
          isAslError(error, 'FORMAT_INVALID', 'ARCHIVE_HOSTILE', 'LIMIT_EXCEEDED'),
          `byte ${at} of ${compression}: ${error instanceof Error ? error.stack : error}`,
        )
      }
    }
  }
})
