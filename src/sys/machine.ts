import { cpus, hostname, release, totalmem, userInfo } from 'node:os'

/** Facts about this machine and user for the run half of a receipt. Never for anything that enters an image. */
export interface Machine {
  readonly host: string
  readonly kernel: string
  readonly arch: 'amd64' | 'arm64'
  readonly cpuCount: number
  readonly memoryKib: number
  /** The JavaScript runtime and its version. */
  readonly runtime: string
  readonly user: string
}

export function thisMachine(): Machine {
  return {
    host: hostname(),
    kernel: release(),
    arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
    cpuCount: cpus().length,
    memoryKib: Math.floor(totalmem() / 1024),
    runtime: `node ${process.version}`,
    user: userName(),
  }
}

/** A user id without an entry in the user table is common in containers. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
