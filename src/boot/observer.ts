import { type GuestStatus, parseStatusLine, tryAslLine, tryConsoleStatus, tryFatalLine } from './guest-status.ts'

/** What was seen of a machine until it ended. */
export interface Observation {
  readonly end: BootEnd
  /** One sentence on the end, for people. */
  readonly reason: string
  /** What the guest reported. */
  readonly status: GuestStatus | undefined
  /** What was wrong with what it reported: then there is no status. */
  readonly statusProblem: string | undefined
  /** Lines of our programs in the guest. */
  readonly aslLines: readonly string[]
  /** What the console said last. */
  readonly lastLines: readonly string[]
  /** The kernel met a breakpoint of its own that was gone. */
  readonly hasPatchOops: boolean
}

/** Only `powered-off` is the guest's own orderly end. */
export type BootEnd = 'powered-off' | 'reset' | 'stuck' | 'timed-out' | 'machine-failed'

const LAST_LINES = 40
const MAX_STATUS_CHARS = 64 * 1024

export interface Observer {
  onFatal: (reason: string) => void
  line(line: string): void
  statusText(text: string): void
  shutdown(reason: string): void
  /** The first end counts. */
  ends(end: BootEnd, reason: string): void
  hasEnded(): boolean
  result(): Observation
}

/** Collects what the guest says on its channels and how it ends. */
export function observer(): Observer {
  const lastLines: string[] = []
  const aslLines: string[] = []
  const consoleStatuses: GuestStatus[] = []
  let portText = ''
  let end: { end: BootEnd; reason: string } | undefined
  let fatal: string | undefined
  let hasPatchOops = false
  const self: Observer = {
    onFatal: () => {},
    line(line) {
      lastLines.push(line)
      if (lastLines.length > LAST_LINES) lastLines.shift()
      const ours = tryAslLine(line)
      if (ours !== undefined) aslLines.push(ours)
      const status = tryConsoleStatus(line)
      if (status !== undefined) consoleStatuses.push(status)
      hasPatchOops ||= /\bint3: 0000 \[#\d+\]/.test(line)
      const reason = tryFatalLine(line)
      if (reason !== undefined && fatal === undefined) {
        fatal = reason
        self.onFatal(reason)
      }
    },
    statusText(text) {
      if (portText.length < MAX_STATUS_CHARS) portText += text
    },
    shutdown(reason) {
      if (reason === 'guest-shutdown') self.ends('powered-off', 'the guest powered off')
      else if (reason === 'guest-reset')
        self.ends('reset', fatal ?? 'the guest reset the machine instead of powering off')
      else if (reason === 'guest-panic') self.ends('stuck', 'the kernel panicked')
      else self.ends('machine-failed', `QEMU was stopped: ${reason}`)
    },
    ends(kind, reason) {
      end ??= { end: kind, reason: kind === 'powered-off' || fatal === undefined ? reason : `${fatal}` }
    },
    hasEnded: () => end !== undefined,
    result() {
      if (end === undefined) throw new Error('the machine has not ended')
      return { ...end, ...statusOf(portText, consoleStatuses), aslLines, lastLines, hasPatchOops }
    },
  }
  return self
}

/** The port decides; without it the console does. Two answers that differ are none. */
function statusOf(
  portText: string,
  consoleStatuses: readonly GuestStatus[],
): Pick<Observation, 'status' | 'statusProblem'> {
  const problem = (text: string) => ({ status: undefined, statusProblem: text })
  const portLines = portText.split('\n').filter(line => line.trim() !== '')
  if (portLines.length > 1) return problem(`the status port said ${portLines.length} lines, wanted one`)
  const port = portLines[0] === undefined ? undefined : parseStatusLine(portLines[0])
  if (typeof port === 'string') return problem(port)
  const all = [...(port === undefined ? [] : [port]), ...consoleStatuses]
  const [first] = all
  if (first !== undefined && all.some(other => other.status !== first.status)) {
    return problem(`the guest reported several statuses: ${all.map(each => each.status).join(', ')}`)
  }
  return { status: first, statusProblem: undefined }
}
