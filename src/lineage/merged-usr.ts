import type { BytePath } from './byte-path.ts'

/**
 * Debian's merged /usr: `/bin` is a link to `usr/bin`, and packages may still ship, and dpkg still list, the old name.
 * Both names of a file become one here. Names as in base-files' own list (Debian bug 978636, file-hierarchy(7)).
 */
const ALIASED = /^\/(bin|sbin|lib|lib32|lib64|libo32|libx32)(?=\/|$)/

export function mergedPath(path: BytePath): BytePath {
  return ALIASED.test(path) ? (`/usr${path}` as BytePath) : path
}
