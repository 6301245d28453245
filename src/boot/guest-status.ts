/** What the guest says about itself before it powers off: docs/spec/boot-test.md. */
export interface GuestStatus {
  /** 0 is success; others are the exit statuses of asl, such as 4 for a damaged history. */
  readonly status: number
  readonly message?: string
}

/** Exit statuses above are taken by shells for signals and for programs that were not found. */
const MAX_STATUS = 125

/**
 * One line of the status port: a JSON object with the number `status`. Other keys are for later.
 * @returns a text that says what is wrong when the line does not keep to that
 */
export function parseStatusLine(line: string): GuestStatus | string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return `the status port said ${JSON.stringify(line.slice(0, 200))}, which is not JSON`
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the status port said no JSON object'
  const { status, message } = value as Record<string, unknown>
  if (!isStatus(status)) return `the status port said status ${JSON.stringify(status)}, wanted 0 to ${MAX_STATUS}`
  return typeof message === 'string' ? { status, message } : { status }
}

/** The same on the console, for guests without the port: `asl: selftest status 0`, after a kernel time stamp or not. */
export function tryConsoleStatus(line: string): GuestStatus | undefined {
  const match = /(?:^|\s)asl: selftest status (\d{1,3})\s*$/.exec(line)
  const status = Number(match?.[1])
  return match !== null && isStatus(status) ? { status } : undefined
}

/** The text behind `asl: `, for lines that our programs in the guest have written. */
export function tryAslLine(line: string): string | undefined {
  return /(?:^|\s)(asl: .*)$/.exec(line)?.[1]
}

/** Lines after which a guest does not come back by itself. */
export function tryFatalLine(line: string): string | undefined {
  return FATAL.find(([pattern]) => pattern.test(line))?.[1]
}

const FATAL: readonly (readonly [RegExp, string])[] = [
  [/Kernel panic - not syncing/, 'the kernel panicked'],
  [/You are in (emergency|rescue) mode/, 'systemd fell into its emergency shell'],
  [/Entering emergency mode\. Exit the shell to continue/, 'the initramfs fell into its emergency shell'],
  [/^UEFI Interactive Shell v/, 'the firmware found nothing to boot and opened its shell'],
  [/No bootable device\.|BdsDxe: No bootable option or device was found/, 'the firmware found nothing to boot'],
  [/^error: .*\bGrub|Entering rescue mode\.\.\.|^grub rescue>/, 'GRUB fell into its rescue shell'],
]

function isStatus(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_STATUS
}
