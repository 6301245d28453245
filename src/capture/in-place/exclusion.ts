import { isKernelPath } from './mounts.ts'
import { isWithin, type RawPath } from './raw-path.ts'

/** What no capture looks at: the kernel's own file systems, and the folders given (the store, the receipts). */
export function excluder(folders: readonly RawPath[]): (path: RawPath) => boolean {
  return path => isKernelPath(path) || folders.some(folder => isWithin(path, folder))
}
