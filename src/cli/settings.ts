import { join, resolve } from 'node:path'
import { AslError } from '../core/mod.ts'
import { parseMirror, type SessionOptions, tryHostMirror } from '../image/mod.ts'
import { findTool, run, runTool, TOOL_ENV } from '../sys/mod.ts'
import type { Context, VerbInput } from './verb.ts'

/**
 * The mirrors that a build fetches from: `$ASL_DEBIAN_MIRROR` or `$DEBIAN_MIRROR`, else this host's apt configuration;
 * the npm registry that npm itself is configured for.
 * @throws AslError CONFIG_INVALID when no mirror is configured
 */
export function mirrorsOf(context: Context): SessionOptions['mirrors'] {
  const given = context.env.ASL_DEBIAN_MIRROR ?? context.env.DEBIAN_MIRROR
  const mirror = given === undefined ? tryHostMirror('/') : parseMirror(given, context.env.ASL_DEBIAN_SECURITY_MIRROR)
  if (mirror === undefined) {
    throw new AslError('CONFIG_INVALID', 'No Debian mirror is configured on this host', {
      hint: 'Set ASL_DEBIAN_MIRROR to the base URL of one, such as http://MIRROR/debian.',
    })
  }
  return { debian: mirror.debian, security: mirror.security ?? mirror.debian, npm: () => npmRegistry(context) }
}

async function npmRegistry(context: Context): Promise<string> {
  const given = context.env.ASL_NPM_REGISTRY ?? context.env.npm_config_registry
  if (given !== undefined) return given
  const npm = findTool('npm', context.env.PATH)
  if (npm === undefined) {
    throw new AslError('CONFIG_INVALID', 'No npm registry is configured: npm is not installed', {
      hint: 'Set ASL_NPM_REGISTRY to the base URL of a registry, or install npm.',
    })
  }
  const home = context.env.HOME === undefined ? {} : { HOME: context.env.HOME }
  const said = await runTool([npm, 'config', 'get', 'registry'], {
    env: { ...TOOL_ENV, ...home, PATH: context.env.PATH ?? '' },
    cwd: context.projectRoot,
  })
  return said.toString('utf8').trim()
}

/** `--out`, else `out` in the project. */
export function outFolderOf(context: Context, input: VerbInput): string {
  return resolve(context.cwd, input.tryText('out') ?? join(context.projectRoot, 'out'))
}

/** The commit that the project's sources come from, for manifests; neither enters an image. */
export async function sourceStateOf(context: Context): Promise<{ gitSha: string | null; isDirty: boolean }> {
  const git = findTool('git', context.env.PATH)
  if (git === undefined) return { gitSha: null, isDirty: false }
  const ask = async (...words: string[]): Promise<string | undefined> => {
    const said = await run([git, '-c', `safe.directory=${context.projectRoot}`, ...words], {
      env: TOOL_ENV,
      cwd: context.projectRoot,
    })
    return said.exitCode === 0 ? said.stdout.toString('utf8').trim() : undefined
  }
  const gitSha = await ask('rev-parse', 'HEAD')
  return { gitSha: gitSha ?? null, isDirty: gitSha !== undefined && (await ask('status', '--porcelain')) !== '' }
}
