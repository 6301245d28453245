import { join, resolve } from 'node:path'
import type { Context, VerbInput } from './verb.ts'

/** `--store`, else `$ASL_STORE`, else `.asl/store` in the project. */
export function storePathOf(context: Context, input: VerbInput): string {
  const given = input.tryText('store') ?? context.env.ASL_STORE
  return given === undefined ? join(context.projectRoot, '.asl', 'store') : resolve(context.cwd, given)
}
