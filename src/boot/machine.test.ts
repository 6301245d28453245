import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Machine, machineArgv } from './machine.ts'

const MACHINE: Machine = {
  qemuPath: 'qemu',
  arch: 'amd64',
  accelerator: 'tcg',
  cpu: 'qemu64',
  cpus: 1,
  memoryMib: 512,
  firmware: 'bios',
  disks: [],
  words: [],
  console: { fd: 5 },
  monitorFd: 3,
  statusFd: 4,
  extraArgs: [],
}
const ISO = { path: '/x/a.iso', format: 'raw', access: 'read-only' } as const
const UEFI = { codePath: '/fw/code', codeFormat: 'raw', varsPath: '/tmp/vars', varsFormat: 'raw' }

test('machineArgv() gives no machine a network, a default device or the configuration of the host', () => {
  for (const firmware of ['bios', 'uefi', 'kernel'] as const) {
    const argv = machineArgv({ ...MACHINE, firmware, uefi: UEFI, kernel: { kernelPath: '/k', commandLine: '' } })
    for (const word of ['-nodefaults', '-no-user-config', '-no-reboot']) assert.ok(argv.includes(word))
    assert.equal(argv[argv.indexOf('-nic') + 1], 'none')
    assert.ok(!argv.includes('-netdev') && !argv.includes('-net'))
  }
})

test('an image is attached as the medium says, and only a disk can be written to', () => {
  const image = (more: Partial<NonNullable<Machine['image']>>): string =>
    machineArgv({ ...MACHINE, image: { ...ISO, medium: 'cdrom', ...more } }).join(' ')
  assert.match(image({}), /readonly=on,media=cdrom,.*ide-cd,bus=ide.0,drive=image,bootindex=0/)
  assert.match(image({ medium: 'usb' }), /qemu-xhci,id=usb -device usb-storage,.*bootindex=0/)
  assert.match(image({ medium: 'disk', access: 'throw-away' }), /snapshot=on,.*virtio-blk-pci,drive=image/)
  assert.doesNotMatch(image({ medium: 'disk', access: 'write' }), /snapshot|readonly/)
  const arm = machineArgv({
    ...MACHINE,
    arch: 'arm64',
    firmware: 'uefi',
    uefi: UEFI,
    image: { ...ISO, medium: 'cdrom' },
  })
  assert.match(arm.join(' '), /virtio-scsi-pci,id=scsi -device scsi-cd/)
})

test('a path is a file whatever it is called: commas and colons are no options or protocols', () => {
  const argv = machineArgv({ ...MACHINE, disks: [{ path: '/x/nbd:a,readonly=on,b', format: 'raw' }] })
  assert.ok(argv.includes('if=none,id=disk0,format=raw,file.driver=file,file.filename=/x/nbd:a,,readonly=on,,b'))
})

test('words reach an image by fw_cfg and SMBIOS, and a kernel by its command line alone', () => {
  const words = ['asl.selftest', 'asl.x=1,2']
  const argv = machineArgv({ ...MACHINE, words })
  assert.ok(argv.includes('name=opt/asl/cmdline,string=asl.selftest asl.x=1,,2'))
  assert.ok(argv.includes('type=11,value=io.systemd.credential:asl.cmdline=asl.selftest asl.x=1,,2'))
  const direct = machineArgv({
    ...MACHINE,
    words,
    firmware: 'kernel',
    kernel: { kernelPath: '/k', commandLine: 'quiet' },
  })
  assert.equal(direct[direct.indexOf('-append') + 1], 'quiet asl.selftest asl.x=1,2')
  assert.ok(!direct.includes('-smbios') && !direct.includes('-fw_cfg'))
})

test('the firmware is read-only, its variables are not', () => {
  const argv = machineArgv({ ...MACHINE, firmware: 'uefi', uefi: UEFI })
  assert.ok(argv.includes('if=pflash,unit=0,format=raw,readonly=on,file.driver=file,file.filename=/fw/code'))
  assert.ok(argv.includes('if=pflash,unit=1,format=raw,file.driver=file,file.filename=/tmp/vars'))
})

test('arm64 has no BIOS, and a direct boot wants a kernel', () => {
  assert.throws(() => machineArgv({ ...MACHINE, arch: 'arm64' }), { code: 'USAGE' })
  assert.throws(() => machineArgv({ ...MACHINE, firmware: 'kernel' }), { code: 'USAGE' })
})
