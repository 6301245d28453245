import { closeSync, copyFileSync, existsSync, lstatSync, mkdirSync, openSync, readSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AslError, type InputEntry, type Reference, type StepRecord } from '../../core/mod.ts'
import { thisMachine } from '../../sys/mod.ts'
import { type ReceiptPaths, writeReceiptFiles } from '../receipt-files.ts'
import { putReceipt } from '../receipts.ts'
import { type CaptureHost, UMASK } from './capture-request.ts'
import { contentRole } from './content.ts'
import { viewOf } from './record-view.ts'

/** Which of the store's folders for people a captured file is copied to. */
export type FileClass = 'binaries' | 'scripts'

export interface FileRequest {
  /** Absolute. */
  readonly path: string
  readonly outdir: string
  /** Default: the name of the file's folder, else `scripts` when it starts with `#!`, else `binaries`. */
  readonly fileClass: FileClass | undefined
  readonly sourceDateEpoch: number | undefined
  readonly step: string
}

export interface FileResult {
  readonly receiptRef: Reference
  readonly ref: Reference
  readonly sizeBytes: number
  /** Where the copy for people lies. */
  readonly copyPath: string
  readonly files: ReceiptPaths
}

/**
 * Puts one file into the store with a receipt of its own (`op:ingest`: one input, the same artifact as output), and a
 * copy into the folder for its class.
 * @throws AslError PATH_NOT_FOUND, REQUEST_INVALID for what is no regular file, and those of the store
 */
export function captureFile(
  request: FileRequest,
  host: Pick<CaptureHost, 'store' | 'storeFolder' | 'executor'>,
): FileResult {
  const { path } = request
  if (!existsSync(path)) throw new AslError('PATH_NOT_FOUND', `Cannot capture ${path}: there is no such file`)
  if (!lstatSync(path).isFile()) throw new AslError('REQUEST_INVALID', `Cannot capture ${path}: it is no regular file`)
  const head = headOf(path)
  const name = basename(path)
  const writer = host.store.openWriter()
  try {
    const ref = writer.putFile(path)
    const sizeBytes = lstatSync(path).size
    const input: InputEntry = { name, role: contentRole(head), ref, size: sizeBytes }
    const record: StepRecord = {
      command: { builtin: 'op:ingest', cwd: '/', expectExit: [0] },
      inputs: { entries: [input] },
      environment: {
        arch: thisMachine().arch,
        network: 'none',
        umask: UMASK,
        sourceDateEpoch: request.sourceDateEpoch ?? 0,
        vars: {},
      },
      outputs: { exitCode: 0, entries: [{ ...input, role: 'file' }] },
      executors: [host.executor],
    }
    const { receiptRef, receipt } = putReceipt(writer, record)
    writer.commit()
    const folder = join(host.storeFolder, request.fileClass ?? classOf(path, head))
    const copyPath = join(folder, name)
    mkdirSync(folder, { recursive: true })
    if (path !== copyPath) copyFileSync(path, copyPath)
    const files = writeReceiptFiles(request.outdir, receiptRef, receipt, { step: request.step, view: viewOf(record) })
    return { receiptRef, ref, sizeBytes, copyPath, files }
  } finally {
    writer.abort()
  }
}

function classOf(path: string, head: Buffer): FileClass {
  const folder = basename(dirname(path))
  if (folder === 'binaries' || folder === 'scripts') return folder
  return contentRole(head) === 'script' ? 'scripts' : 'binaries'
}

function headOf(path: string): Buffer {
  const fd = openSync(path, 'r')
  try {
    const head = Buffer.alloc(32)
    return head.subarray(0, readSync(fd, head, 0, head.length, 0))
  } finally {
    closeSync(fd)
  }
}
