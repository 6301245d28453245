import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { InputEntry } from '../../core/mod.ts'
import { childUsage, fileFactsReader, withTempFolder } from '../../sys/mod.ts'
import { cachingWriter } from './caching-writer.ts'
import { type CaptureContext, type CaptureHost, type CaptureRequest, UMASK } from './capture-request.ts'
import { putDeclaredInputs } from './declared-inputs.ts'
import { openDigestCache } from './digest-cache.ts'
import { excluder } from './exclusion.ts'
import { openLogFile } from './logs.ts'
import { type Naming, openNaming } from './naming.ts'
import { chooseObserver } from './observe.ts'
import { rawPath } from './raw-path.ts'
import { type CaptureResult, recordCapture } from './record-capture.ts'

/**
 * Runs a command in place, watched, and writes its receipt. The command's own failure is a result: both halves of its
 * receipt lie under `runs/` then, and nothing in the store.
 * @throws AslError USAGE, PATH_NOT_FOUND, TOOL_MISSING, CAPTURE_OUTPUT_MISSING, and those of the store
 */
export async function captureCommand(request: CaptureRequest, host: CaptureHost): Promise<CaptureResult> {
  const naming = openNaming({ roots: request.roots, files: { ...request.inputs, ...request.outputs } })
  const excluded = [host.store.location, host.storeFolder, request.outdir].map(rawPath)
  const chosen = await chooseObserver(request.observer)
  mkdirSync(host.tempFolder, { recursive: true })
  return withTempFolder(host.tempFolder, async folder => {
    const cachePath = join(host.tempFolder, 'digests')
    const cache = openDigestCache(cachePath)
    const factsOf = fileFactsReader()
    const declared = putDeclared(request, host, naming, { cache, factsOf })
    cache.save()
    const logs = { stdout: openLogFile(join(folder, 'stdout')), stderr: openLogFile(join(folder, 'stderr')) }
    const stdin = request.stdin === undefined ? undefined : openSync(request.stdin, 'r')
    const context: CaptureContext = {
      ...{ request, host, naming, cache, factsOf, declared, refusals: chosen.refusals },
      startedMs: host.clock.nowMs(),
      usageBefore: childUsage(),
    }
    try {
      const seen = await chosen.observe(
        {
          argv: request.argv,
          cwd: request.cwd,
          env: { ...request.env, SOURCE_DATE_EPOCH: String(request.sourceDateEpoch ?? 0) },
          umask: UMASK,
          lingerMs: request.lingerS * 1000,
          ...(stdin === undefined ? {} : { stdin }),
          ...(request.timeoutS === undefined ? {} : { timeoutMs: request.timeoutS * 1000 }),
          ...(host.onSignal === undefined ? {} : { onSignal: host.onSignal }),
          onStdout(chunk) {
            logs.stdout.write(chunk)
            host.onStdout(chunk)
          },
          onStderr(chunk) {
            logs.stderr.write(chunk)
            host.onStderr(chunk)
          },
        },
        { folder, excluded, cachePath },
      )
      host.progress?.('storing what was read and written')
      return recordCapture(context, seen, { logs, isExcluded: excluder(excluded) })
    } finally {
      if (stdin !== undefined) closeSync(stdin)
      logs.stdout.close()
      logs.stderr.close()
    }
  })
}

/** In a batch of its own: no lock is held while the command runs, which may well be a capture itself. */
function putDeclared(
  request: CaptureRequest,
  host: CaptureHost,
  naming: Naming,
  { cache, factsOf }: Pick<CaptureContext, 'cache' | 'factsOf'>,
): readonly InputEntry[] {
  const declared = { files: request.inputs, artifacts: request.artifactInputs, stdin: request.stdin }
  const isNone = naming.roots.length === 0 && Object.keys(request.inputs).length === 0
  if (isNone && request.artifactInputs.length === 0 && request.stdin === undefined) return []
  const writer = cachingWriter(host.store.openWriter(), cache, factsOf, host.clock)
  try {
    const entries = putDeclaredInputs(writer, declared, { naming, epoch: request.sourceDateEpoch ?? 0 })
    writer.commit()
    return entries
  } finally {
    writer.abort()
  }
}
