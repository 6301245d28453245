import { redactUrl } from '../../capture/mod.ts'
import { isAslError } from '../../core/mod.ts'
import type { HostFinding } from '../../sys/mod.ts'
import { mirrorsOf } from '../settings.ts'
import type { Context } from '../verb.ts'

/** Where a build would fetch from, by the same rules; whether it answers is for the build to find out. */
export async function probeMirrors(context: Context): Promise<HostFinding> {
  const common = { name: 'mirrors', neededFor: ['build'] } as const
  try {
    const { debian, npm } = mirrorsOf(context)
    return { ...common, state: 'ok', found: `${redactUrl(debian)} and ${redactUrl(await npm())}` }
  } catch (error) {
    if (!isAslError(error)) throw error
    return { ...common, state: 'missing', found: error.message, remedy: error.hint ?? 'set ASL_DEBIAN_MIRROR' }
  }
}
