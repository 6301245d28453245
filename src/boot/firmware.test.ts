import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findUefiFirmware } from './firmware.ts'

const folder = mkdtempSync(join(tmpdir(), 'asl-firmware-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('findUefiFirmware() takes the first descriptor that fits: flash, this machine, no Secure Boot, files present', () => {
  const local = join(folder, 'etc')
  const shipped = join(folder, 'usr')
  for (const path of [local, shipped]) mkdirSync(path)
  describe(shipped, '40-secure.json', { features: ['secure-boot', 'requires-smm', 'enrolled-keys'] })
  describe(shipped, '45-memory.json', { device: 'memory' })
  describe(shipped, '50-arm.json', { architecture: 'aarch64' })
  describe(shipped, '55-bios.json', { type: 'bios' })
  describe(shipped, '58-gone.json', { hasFiles: false })
  describe(shipped, '60-plain.json', {})
  const codeOf = (arch: 'amd64' | 'arm64') => findUefiFirmware(arch, [local, shipped, join(folder, 'absent')]).codePath
  assert.equal(codeOf('amd64'), join(shipped, '60-plain.json.code'))
  assert.equal(codeOf('arm64'), join(shipped, '50-arm.json.code'))
  describe(local, '60-plain.json', {})
  assert.equal(codeOf('amd64'), join(local, '60-plain.json.code'), 'a file of the same name hides the shipped one')
})

interface DescriptorParts {
  readonly features?: readonly string[]
  readonly device?: string
  readonly architecture?: string
  readonly type?: string
  readonly hasFiles?: boolean
}

function describe(into: string, name: string, parts: DescriptorParts): void {
  const { features = [], device = 'flash', architecture = 'x86_64', type = 'uefi', hasFiles = true } = parts
  const [code, vars] = [join(into, `${name}.code`), join(into, `${name}.vars`)]
  if (hasFiles) for (const path of [code, vars]) writeFileSync(path, '')
  const descriptor = {
    'interface-types': [type],
    mapping: {
      device,
      executable: { filename: code, format: 'raw' },
      'nvram-template': { filename: vars, format: 'raw' },
    },
    targets: [{ architecture, machines: ['pc-q35-*'] }],
    features,
  }
  writeFileSync(join(into, name), JSON.stringify(descriptor))
}
