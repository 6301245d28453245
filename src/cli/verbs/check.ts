import { AslError, isAslError } from '../../core/mod.ts'
import { type CheckReport, checkStore, diskFs, openStore, recordDamage } from '../../store/mod.ts'
import { formatBytes, printable } from '../format.ts'
import { openProgress, PROGRESS_OPTION } from '../progress.ts'
import { storePathOf } from '../store-path.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

const DAMAGED = 4
const MOST_SHOWN_REFERENCES = 5

export const verb: Verb = {
  name: 'check',
  group: 'Store',
  summary: 'read the whole store and derive everything again',
  description:
    'The chain of the log, every segment, every block and every artifact in it, the snapshots. Changes nothing but one ' +
    'note under tmp/ about damaged blocks, so that putting their content again writes it anew. The exit status is 4 when ' +
    'something that was promised is lost or changed; what only costs space is listed and does no harm.',
  options: [STORE_OPTION, PROGRESS_OPTION, JSON_OPTION],
  run: check,
}

async function check(context: Context, input: VerbInput): Promise<number> {
  const root = rootOf(storePathOf(context, input))
  const progress = openProgress(context, input.tryText('progress'))
  let report: CheckReport
  try {
    const startMs = context.clock.monotonicMs()
    progress.report({ kind: 'step-start', id: 'check', title: `check ${printable(root)}` })
    report = checkStore(diskFs, root, {
      signal: context.signal,
      onBlock: (itemsDone, itemsTotal, bytesDone) =>
        progress.report({ kind: 'step-progress', id: 'check', itemsDone, itemsTotal, bytesDone }),
    })
    const state = report.isClean ? 'built' : 'failed'
    progress.report({ kind: 'step-end', id: 'check', state, ms: context.clock.monotonicMs() - startMs })
  } finally {
    progress.close()
  }
  noteDamage(context, root, report)
  if (input.flag('json')) context.print(JSON.stringify(jsonView(report)))
  else for (const line of reportLines(report)) context.print(line)
  return report.isClean ? 0 : DAMAGED
}

/** A store so damaged that it cannot be opened can be checked all the same. */
function rootOf(path: string): string {
  try {
    const store = openStore(path)
    store.close()
    return store.location
  } catch (error) {
    if (!isAslError(error) || isAslError(error, 'STORE_NOT_FOUND', 'STORE_UNSUPPORTED')) throw error
    return path
  }
}

function noteDamage(context: Context, root: string, report: CheckReport): void {
  try {
    const store = openStore(root)
    try {
      recordDamage(store, report)
    } finally {
      store.close()
    }
  } catch (error) {
    if (!(error instanceof AslError)) throw error
    if (report.damagedBlocks.length > 0) context.say(`The damaged blocks could not be noted: ${error.message}`)
  }
}

function jsonView(report: CheckReport): Record<string, unknown> {
  return {
    clean: report.isClean,
    findings: report.findings.map(({ code, isDamage, path, message, references, referenceCount, blockId }) => ({
      code,
      damage: isDamage,
      path,
      message,
      refs: references,
      ref_count: referenceCount,
      block: blockId ?? null,
    })),
    artifacts: report.artifactCount,
    blocks: report.blockCount,
    segments: report.segmentCount,
    snapshots: report.snapshotCount,
    log_records: report.logRecordCount,
    bytes: report.checkedBytes,
  }
}

function reportLines(report: CheckReport): string[] {
  const lines: string[] = []
  for (const { code, isDamage, path, message, references, referenceCount } of report.findings) {
    lines.push(`${isDamage ? 'damage' : 'note  '}  ${code}  ${printable(path)}: ${printable(message)}`)
    for (const reference of references.slice(0, MOST_SHOWN_REFERENCES)) lines.push(`          lost: ${reference}`)
    const more = referenceCount - MOST_SHOWN_REFERENCES
    if (more > 0) lines.push(`          … and ${more} more; --json names them`)
  }
  const { artifactCount, blockCount, segmentCount, snapshotCount, logRecordCount, checkedBytes } = report
  const verdict = report.isClean ? 'clean' : 'DAMAGED'
  lines.push(
    `${verdict}: ${artifactCount} artifacts in ${blockCount} blocks, ${segmentCount} segments, ${snapshotCount} snapshots, ` +
      `${logRecordCount} log records; ${formatBytes(checkedBytes)} read`,
  )
  return lines
}
