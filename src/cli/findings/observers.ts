import { whyNoFanotify, whyNoStrace } from '../../capture/mod.ts'
import { errnoOf, type HostFinding, openFanotify, type ProbePlace } from '../../sys/mod.ts'

const FAN_OPEN = 0x20 // include/uapi/linux/fanotify.h

/** Root's observer: makes its groups, and marks the file system of the store as a step's is marked. */
export function probeFanotify({ uid, folder }: ProbePlace): HostFinding {
  const common = { name: 'fanotify', neededFor: [] }
  if (uid !== 0) return { ...common, state: 'degraded', found: 'for root alone; strace observes in its place' }
  const problem = whyNoFanotify() ?? whyNoMark(folder)
  if (problem === undefined) return { ...common, state: 'ok', found: 'marks a whole file system' }
  const remedy = 'run outside of a container, or with CAP_SYS_ADMIN; until then strace observes'
  return { ...common, state: 'degraded', found: problem, remedy }
}

function whyNoMark(folder: string): string | undefined {
  const group = openFanotify('descriptor')
  try {
    group.mark('filesystem', FAN_OPEN, folder)
    return undefined
  } catch (error) {
    return `the kernel refuses to mark the file system of ${folder}: ${errnoOf(error)}`
  } finally {
    group.close()
  }
}

/** Everybody's observer: traces one short program as a step is traced. */
export async function probeStrace({ uid }: ProbePlace): Promise<HostFinding> {
  const problem = await whyNoStrace()
  const common = { name: 'tracing', neededFor: uid === 0 ? ([] as const) : (['user-mode'] as const) }
  if (problem === undefined) return { ...common, state: 'ok', found: 'strace follows a program' }
  const remedy = 'install strace; in a container allow ptrace (--cap-add=SYS_PTRACE)'
  return { ...common, state: uid === 0 ? 'degraded' : 'missing', found: problem, remedy }
}
