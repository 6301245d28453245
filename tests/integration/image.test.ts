/** The main job on real input: the authority host, built, compared, asked and built again from itself. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { run, TOOL_ENV } from '../../src/sys/mod.ts'
import {
  asl,
  aslOk,
  type BuiltImage,
  buildEnv,
  buildSharedImage,
  damagedCopy,
  IMAGE,
  RECIPE,
  ROOT,
} from '../image-build.ts'
import { needs, needsRoot } from '../needs.ts'

let built: BuiltImage
const folders: string[] = []
const temporary = (parent = tmpdir()): string => {
  const folder = mkdtempSync(join(parent, 'asl image-'))
  folders.push(folder)
  return folder
}

before(async () => {
  built = await buildSharedImage()
})
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

test('a build ends with image, manifest, digests, receipts and drawing, all of one run', async () => {
  const sums = readFileSync(join(built.folder, 'SHA256SUMS'), 'utf8')
  const checked = await run(['sha256sum', '--check', '--strict', 'SHA256SUMS'], { env: TOOL_ENV, cwd: built.folder })
  assert.equal(checked.exitCode, 0, checked.stdout.toString())
  assert.deepEqual(
    sums
      .trim()
      .split('\n')
      .map(line => line.slice(66)),
    ['auth-host.iso', 'build-manifest.json', 'dag.svg'],
  )
  const manifest = JSON.parse(readFileSync(join(built.folder, 'build-manifest.json'), 'utf8'))
  assert.equal(manifest.artifacts['auth-host.iso'].sha256, sums.slice(0, 64))
  assert.equal(manifest.root.tree, built.root_tree)
  assert.match(readFileSync(join(built.folder, 'dag.svg'), 'utf8'), /^<\?xml|^<svg/)
  assert.ok(existsSync(join(built.folder, 'receipts')))
})

test('a second build runs no step and gives the same files', async () => {
  const again = await buildSharedImage()
  assert.deepEqual(
    again.steps.map(step => step.state),
    again.steps.map(() => 'known'),
  )
  assert.deepEqual(again.files, built.files)
})

test('another folder, user, time zone, locale and umask give the same image, byte for byte', {
  skip: needsRoot() || needs('useradd', 'newuidmap', 'runuser'),
  timeout: 900_000,
}, async () => {
  const folder = temporary()
  const project = join(folder, 'a longer checkout ü')
  const user = `asl-test-${process.pid}`
  const root = async (...argv: string[]): Promise<void> => {
    const result = await run(argv, { env: TOOL_ENV })
    assert.equal(result.exitCode, 0, `${argv.join(' ')}: ${result.stderr}`)
  }
  await root('useradd', '--no-create-home', '--home-dir', folder, user)
  try {
    for (const part of ['bin', 'dracut', 'overlays', 'recipes', 'src', 'package.json', 'package-lock.json']) {
      cpSync(join(ROOT, part), join(project, part), { recursive: true, verbatimSymlinks: true })
    }
    await root('cp', '-a', join(ROOT, 'node_modules'), project)
    await root('chmod', '755', folder)
    await root('chown', '-R', user, folder)
    const words = [
      'build',
      RECIPE,
      '--progress',
      'none',
      '--store',
      join(folder, 'store'),
      '--out',
      join(folder, 'out'),
    ]
    const script = 'umask 077; cd "$1"; shift; exec bin/asl "$@"'
    const { PATH = '', HOME: _home, ...env } = buildEnv()
    const result = await run(['runuser', '-u', user, '--', 'sh', '-c', script, 'sh', project, ...words], {
      env: { ...env, PATH, HOME: folder, USER: user, TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', COLUMNS: '40' },
      isGroup: true,
    })
    assert.equal(result.exitCode, 0, `${result.stdout}${result.stderr}`)
    const other = join(folder, 'out', 'auth-host', 'iso', 'amd64')
    const digest = (path: string): string => readFileSync(join(path, 'SHA256SUMS'), 'utf8').slice(0, 64)
    assert.equal(digest(other), digest(built.folder))
    const receipts = async (path: string) =>
      (await run(['ls', join(path, 'receipts')], { env: TOOL_ENV })).stdout.toString()
    assert.equal(await receipts(other), await receipts(built.folder))
  } finally {
    await run(['pkill', '-KILL', '-u', user], { env: TOOL_ENV })
    await root('chown', '-R', '0:0', folder)
    await root('userdel', user)
  }
})

test('the ISO rebuilds itself: no network, an empty store, the same bytes', { timeout: 900_000 }, async () => {
  const result = await run(
    ['unshare', '--net', join(ROOT, 'bin', 'asl'), 'replay', IMAGE, '--progress', 'none', '--json'],
    {
      env: buildEnv(),
      cwd: ROOT,
      isGroup: true,
    },
  )
  assert.equal(result.exitCode, 0, `${result.stdout}${result.stderr}`)
  const replay = JSON.parse(result.stdout.toString('utf8'))
  assert.equal(replay.identical, true)
  assert.deepEqual(
    replay.steps.filter((step: { verdict: string }) => step.verdict === 'different'),
    [],
  )
})

test('whence answers for every regular file of the root tree', { timeout: 300_000 }, async () => {
  const result = await asl('whence', IMAGE, '--all', '--json')
  assert.equal(result.exitCode, 0, result.stderr.toString())
})

test('whence leads from a file to the key that signed the archive', async () => {
  const chain = await aslOk('whence', IMAGE, '/usr/bin/openssl')
  for (const word of ['← step', '← package  openssl', '← index', '← release', '← key'])
    assert.ok(chain.includes(word), word)
})

test('the history inside the image holds, and one flipped byte is named', async () => {
  assert.match(
    await aslOk('history', IMAGE, '--verify'),
    /^asl: history verified: \d+ artifacts, \d+ receipts, root 0001/,
  )
  const damaged = join(temporary(), 'damaged.iso')
  const reference = damagedCopy(damaged)
  const result = await asl('history', damaged, '--verify')
  assert.equal(result.exitCode, 4)
  assert.ok(result.stderr.toString().includes(reference), `${result.stderr} names ${reference}`)
})

test('an unknown key of a recipe is refused with the nearest name, a missing package with its suite', async () => {
  const folder = temporary(join(ROOT, 'recipes'))
  const text = readFileSync(join(ROOT, RECIPE), 'utf8')
  const typo = join(folder, 'typo.yaml')
  writeFileSync(typo, text.replace('hostname:', 'hostnam:'))
  const refused = await asl('build', typo, '--progress', 'none')
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stderr.toString(), /did you mean "hostname"\?/)
})
