import { rmSync, statSync, writeFileSync } from 'node:fs'

/**
 * Waits for the clock of the file systems to tick (it is coarser than ours): what is made from now on is younger than
 * everything that was there. `path` is a file that may be made and removed.
 * @returns nanoseconds since 1970
 */
export function startOfRun(path: string): bigint {
  const stamp = (): bigint => {
    writeFileSync(path, '', { mode: 0o600 })
    return statSync(path, { bigint: true }).ctimeNs
  }
  const first = stamp()
  let now = first
  while (now <= first) now = stamp()
  rmSync(path)
  return now
}
