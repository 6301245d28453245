import { AslError } from '../core/mod.ts'
import { findTool, TOOL_PATH } from '../sys/mod.ts'

/** Set in the environment of the process that runs inside. */
const MARK = 'ASL_NAMESPACE'

/**
 * Replaces this process by itself in a mount namespace of its own, so that a killed build leaves no mount behind. An
 * ordinary user gets a user namespace too, in which they are root and the ids of /etc/subuid are theirs.
 * Returns only when this process is inside already.
 * @throws AslError TOOL_MISSING without unshare(1)
 */
export function enterNamespace(env: Readonly<Record<string, string | undefined>>, argv: readonly string[]): void {
  if (env[MARK] !== undefined) return
  const unshare = findTool('unshare', `${TOOL_PATH}:${env.PATH ?? ''}`)
  if (unshare === undefined) {
    throw new AslError('TOOL_MISSING', 'Cannot make namespaces: unshare is not installed', {
      hint: 'Install the package util-linux.',
    })
  }
  const isRoot = process.geteuid?.() === 0
  const user = isRoot ? [] : ['--user', '--map-root-user', '--map-auto']
  const words = [unshare, ...user, '--mount', '--propagation', 'private', '--', ...argv]
  const inherited = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  process.execve?.(unshare, words, { ...inherited, [MARK]: isRoot ? 'root' : 'user' })
}
