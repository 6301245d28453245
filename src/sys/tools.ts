import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const PATH_DEFAULT = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A fixed search path that finds administrators' programs for ordinary users too. */
export const TOOL_PATH = PATH_DEFAULT

/** The environment of host programs that make sandboxes and boot guests: fixed, so that no user setting leaks in. */
export const TOOL_ENV: Readonly<Record<string, string>> = {
  PATH: TOOL_PATH,
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  HOME: '/nonexistent',
}

/** The absolute path of a host program, or `undefined` when it is not installed. */
export function findTool(name: string, path: string = TOOL_PATH): string | undefined {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, name)
    try {
      accessSync(candidate, constants.X_OK)
      if (statSync(candidate).isFile()) return candidate
    } catch {
      // not in this folder: the next one may have it
    }
  }
  return undefined
}
