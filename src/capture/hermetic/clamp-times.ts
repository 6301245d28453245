import { lstatSync, lutimesSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Gives a folder that becomes a layer the times that its tree has in the store: whole seconds, none after the epoch.
 * A later step then sees the same whether the layer was made here or checked out.
 * @param epoch seconds since 1970
 */
export function clampTimes(folder: string, epoch: number): void {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, item.name)
    if (item.isDirectory()) clampTimes(path, epoch)
    else clampOne(path, epoch)
  }
  clampOne(folder, epoch)
}

function clampOne(path: string, epoch: number): void {
  const { mtimeNs } = lstatSync(path, { bigint: true })
  const seconds = Number(mtimeNs / 1_000_000_000n)
  if (seconds > epoch) lutimesSync(path, epoch, epoch)
  else if (mtimeNs % 1_000_000_000n !== 0n) lutimesSync(path, seconds, seconds)
}
