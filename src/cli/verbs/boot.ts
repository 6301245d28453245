import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { isatty } from 'node:tty'
import {
  ARCH_FACTS,
  type BootFirmware,
  type BootMedium,
  type BootOptions,
  type BootResult,
  bootImage,
  detectMedium,
  diskFormatOf,
  type GuestArch,
  hostArch,
  type MachineDisk,
  type MachineImage,
  type MachineKernel,
  parseGuestArch,
  requireStatus,
  tryAslLine,
} from '../../boot/mod.ts'
import { AslError } from '../../core/mod.ts'
import { formatDuration } from '../format.ts'
import { type Context, JSON_OPTION, type Verb, type VerbInput } from '../verb.ts'

const SELFTEST_WORD = 'asl.selftest'
const DEFAULT_TIMEOUT_S = 900
const DEFAULT_MEMORY_MIB = 2048

export const verb: Verb = {
  name: 'boot',
  group: 'Build',
  summary: 'boot an image in QEMU, or test that it boots',
  description:
    'On a terminal the guest has your keyboard: Ctrl-A X ends the machine, Ctrl-A H shows more. Elsewhere its console ' +
    'is printed. With --selftest the image checks itself, reports a status and powers off; that status is the exit ' +
    'status, and a guest that reports none has failed. The machine has no network, and the image is not changed.',
  args: [{ name: 'IMAGE', summary: 'an ISO, raw or qcow2 image; not needed with --kernel', isOptional: true }],
  options: [
    { flags: '--selftest', summary: 'let the image check itself and power off; its status is the exit status' },
    {
      flags: '--firmware NAME',
      summary: 'what starts the image',
      choices: ['bios', 'uefi'],
      defaultText: 'bios; uefi for arm64',
    },
    {
      flags: '--media KIND',
      summary: 'how the image is attached',
      choices: ['cdrom', 'usb', 'disk'],
      defaultText: 'cdrom for an ISO, else disk',
    },
    {
      flags: '--disk FILE',
      summary: 'a further disk: a file, or a size such as 8G for an empty one that is gone afterwards',
      isRepeatable: true,
    },
    { flags: '--kernel FILE', summary: 'boot this kernel directly, without firmware' },
    { flags: '--initrd FILE', summary: 'its initramfs' },
    { flags: '--cmdline TEXT', summary: 'its command line', defaultText: 'a serial console' },
    { flags: '--word WORD', summary: 'a word for the guest, as on its command line', isRepeatable: true },
    { flags: '--arch ARCH', summary: 'machine type', choices: ['amd64', 'arm64'], defaultText: 'that of this host' },
    { flags: '--memory MIB', summary: 'memory', defaultText: `${DEFAULT_MEMORY_MIB}` },
    { flags: '--cpus N', summary: 'processors', defaultText: '2' },
    {
      flags: '--accel NAME',
      summary: 'how instructions run',
      choices: ['auto', 'kvm', 'tcg'],
      defaultText: 'auto: kvm where a test guest runs under it',
    },
    {
      flags: '--timeout S',
      summary: 'stop the machine after this many seconds',
      defaultText: `${DEFAULT_TIMEOUT_S}; none on a terminal`,
    },
    { flags: '--log FILE', summary: 'write everything the console says to this file' },
    JSON_OPTION,
  ],
  run: boot,
}

async function boot(context: Context, input: VerbInput): Promise<number | undefined> {
  const isSelftest = input.flag('selftest')
  const asJson = input.flag('json')
  const isInteractive = !isSelftest && !asJson && isatty(0) && isatty(1)
  const result = await bootImage({
    ...machineOf(context, input),
    words: [...(isSelftest ? [SELFTEST_WORD] : []), ...input.texts('word')],
    console: isInteractive ? 'terminal' : 'capture',
    ...timeoutOf(input, isInteractive),
    onConsoleLine: line => {
      const shown = isSelftest ? tryAslLine(line) : line
      if (shown !== undefined && !asJson) context.print(shown)
    },
    onStart: accelerator => {
      context.say(`starting QEMU with ${accelerator.kind}: ${accelerator.reason}`)
      if (isInteractive) context.say('Ctrl-A X ends the machine')
    },
    onRestart: reason => context.say(`starting once more: ${reason}`),
    scratchParent: context.env.TMPDIR ?? tmpdir(),
    signal: context.signal,
    clock: context.clock,
  })
  const status = isSelftest ? requireStatus(result).status : 0
  if (!isInteractive && result.end !== 'powered-off') {
    throw new AslError('BOOT_FAILED', `The machine did not end in order: ${result.reason}`)
  }
  if (asJson) context.print(JSON.stringify(viewOf(result)))
  if (isSelftest) context.say(`the guest reported status ${status} after ${formatDuration(result.wallMs)}`)
  return status
}

function machineOf(context: Context, input: VerbInput) {
  const arch = archOf(input)
  const kernelPath = pathOf(context, input.tryText('kernel'))
  const imagePath = pathOf(context, input.tryArg('IMAGE'))
  if (kernelPath === undefined && imagePath === undefined) {
    throw new AslError('USAGE', 'asl boot wants an IMAGE, or --kernel FILE')
  }
  const cpus = input.tryNumber('cpus')
  const logPath = pathOf(context, input.tryText('log'))
  return {
    arch,
    firmware: kernelPath === undefined ? firmwareOf(input, arch) : 'kernel',
    ...(imagePath === undefined ? {} : { image: imageOf(imagePath, input) }),
    ...(kernelPath === undefined ? {} : { kernel: kernelOf(context, input, kernelPath, arch) }),
    disks: input.texts('disk').map(text => diskOf(context, text)),
    memoryMib: input.tryNumber('memory') ?? DEFAULT_MEMORY_MIB,
    ...(cpus === undefined ? {} : { cpus }),
    accelerator: (input.tryText('accel') ?? 'auto') as 'auto' | 'kvm' | 'tcg',
    ...(logPath === undefined ? {} : { consoleLogPath: logPath }),
  } satisfies Partial<BootOptions>
}

function archOf(input: VerbInput): GuestArch {
  const given = input.tryText('arch')
  if (given !== undefined) return parseGuestArch(given)
  const host = hostArch()
  if (host === undefined) throw new AslError('USAGE', 'This host is of another architecture than any image: use --arch')
  return host
}

function firmwareOf(input: VerbInput, arch: GuestArch): BootFirmware {
  return (input.tryText('firmware') as 'bios' | 'uefi' | undefined) ?? ARCH_FACTS[arch].defaultFirmware
}

/** A disk may be written to, but what is written is forgotten; a CD or stick is read-only. */
function imageOf(path: string, input: VerbInput): MachineImage {
  const medium = (input.tryText('media') as BootMedium | undefined) ?? detectMedium(path)
  return { path, medium, format: diskFormatOf(path), access: medium === 'disk' ? 'throw-away' : 'read-only' }
}

function kernelOf(context: Context, input: VerbInput, kernelPath: string, arch: GuestArch): MachineKernel {
  const initrdPath = pathOf(context, input.tryText('initrd'))
  return {
    kernelPath,
    ...(initrdPath === undefined ? {} : { initrdPath }),
    commandLine: input.tryText('cmdline') ?? `console=${ARCH_FACTS[arch].serialConsole} panic=-1`,
  }
}

const UNIT_BYTES: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/** `8G` is a size; a file of that name is `./8G`. */
function diskOf(context: Context, text: string): MachineDisk | { readonly sizeBytes: number } {
  const [, count, unit] = /^(\d{1,5})([MGT])$/.exec(text) ?? []
  if (count !== undefined && unit !== undefined) return { sizeBytes: Number(count) * (UNIT_BYTES[unit] as number) }
  const path = resolve(context.cwd, text)
  return { path, format: diskFormatOf(path) }
}

function timeoutOf(input: VerbInput, isInteractive: boolean): { readonly timeoutMs?: number } {
  const seconds = input.tryNumber('timeout') ?? (isInteractive ? undefined : DEFAULT_TIMEOUT_S)
  return seconds === undefined ? {} : { timeoutMs: seconds * 1000 }
}

function pathOf(context: Context, text: string | undefined): string | undefined {
  return text === undefined ? undefined : resolve(context.cwd, text)
}

/** What `--json` prints; docs/spec/boot-test.md. */
function viewOf(result: BootResult): Record<string, unknown> {
  const { end, reason, status, aslLines, accelerator, argv, wallMs } = result
  return {
    end,
    reason,
    status: status?.status,
    message: status?.message,
    aslLines,
    accelerator: accelerator.kind,
    argv,
    wallMs: Math.round(wallMs),
  }
}
