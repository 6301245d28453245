import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AslError, httpStatusOf } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { type ByteRange, parseByteRange } from './byte-range.ts'
import type { KnownResponse, ResponseHead } from './download.ts'
import { sendSpool } from './send-spool.ts'
import type { Spool } from './spool.ts'
import type { Arrival } from './transfer.ts'

const PIECE_SIZE_BYTES = 1024 * 1024

type Headers = Readonly<Record<string, string | string[]>>

/** Says no, or what went wrong, in words that a user finds in the program's own output. */
export function answerError(response: ServerResponse, error: AslError): void {
  answerText(
    response,
    error.code === 'NETWORK_REFUSED' ? 403 : error.code === 'REPLAY_INPUT_MISSING' ? 504 : 502,
    error,
  )
}

/** The request itself is at fault. */
export function answerInvalid(response: ServerResponse, error: AslError): void {
  answerText(response, httpStatusOf(error.code), error)
}

function answerText(response: ServerResponse, status: number, error: AslError): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = Buffer.from(`asl: ${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}\n`)
  response.sendDate = false
  // One line that programs show which hide the body of an error.
  response.statusMessage = error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length })
  response.end(body)
}

/** An answer of the moment, as upstream gave it. */
export function answerPassed(response: ServerResponse, arrival: Extract<Arrival, { kind: 'passed' }>): void {
  response.sendDate = false
  response.writeHead(arrival.status, { ...arrival.headers, 'content-length': arrival.body.length })
  response.end(response.req.method === 'HEAD' ? undefined : arrival.body)
}

/** A body that is arriving, or has arrived and waits for the store. */
export async function answerFromSpool(
  response: ServerResponse,
  spool: Spool,
  head: ResponseHead,
  options: { readonly sizeBytes: number | undefined; readonly unrecorded: Headers },
): Promise<void> {
  const sizeBytes = spool.state.kind === 'complete' ? spool.sizeBytes : options.sizeBytes
  const range = writeHead(response, head, sizeBytes, options.unrecorded)
  if (range !== undefined) await sendSpool(spool, response, range)
}

/** A body in the store. It is verified while it is sent; a damaged one never arrives whole. */
export async function answerFromStore(
  response: ServerResponse,
  store: StoreReader,
  known: KnownResponse,
): Promise<void> {
  const range = writeHead(response, known, known.sizeBytes, {})
  if (range === undefined) return
  try {
    const isWhole = range.start === 0 && range.end === known.sizeBytes
    const pieces = isWhole ? store.chunks(known.ref) : rangePieces(store, known, range)
    let held: Buffer | undefined
    for (const piece of pieces) {
      // The digest is checked with the last piece: nothing is sent before the next one was read.
      if (held !== undefined && !response.write(held)) await drained(response)
      if (response.destroyed) return
      held = piece
    }
    response.end(held)
  } catch (error) {
    response.destroy()
    throw error
  }
}

function* rangePieces(store: StoreReader, { ref }: KnownResponse, range: ByteRange): Iterable<Buffer> {
  for (let at = range.start; at < range.end; at += PIECE_SIZE_BYTES) {
    yield store.readRange(ref, at, Math.min(PIECE_SIZE_BYTES, range.end - at))
  }
}

/** Sends status and headers. @returns the part of the body to send, `undefined` when the response ends here */
function writeHead(
  response: ServerResponse,
  head: ResponseHead,
  sizeBytes: number | undefined,
  unrecorded: Headers,
): ByteRange | undefined {
  const { req } = response
  response.sendDate = false
  const headers: Record<string, string | string[] | number> = { ...unrecorded, ...head.headers }
  if (req.method === 'HEAD') {
    if (sizeBytes !== undefined) headers['content-length'] ??= sizeBytes
    response.writeHead(head.status, headers)
    response.end()
    return undefined
  }
  if (head.status === 200) headers['accept-ranges'] = 'bytes'
  const range = head.status === 200 && sizeBytes !== undefined ? wantedRange(req, head, sizeBytes) : 'whole'
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${sizeBytes}`, 'content-length': 0 })
    response.end()
    return undefined
  }
  if (range === 'whole') {
    if (sizeBytes !== undefined && head.status !== 204) headers['content-length'] = sizeBytes
    response.writeHead(head.status, headers)
    return { start: 0, end: sizeBytes ?? Number.POSITIVE_INFINITY }
  }
  headers['content-length'] = range.end - range.start
  headers['content-range'] = `bytes ${range.start}-${range.end - 1}/${sizeBytes}`
  response.writeHead(206, headers)
  return range
}

/** `If-Range` (RFC 9110 §13.1.5): a client that continues another body than ours gets all of it. */
function wantedRange(req: IncomingMessage, head: ResponseHead, sizeBytes: number): ReturnType<typeof parseByteRange> {
  const condition = req.headers['if-range']
  const { etag, 'last-modified': lastModified } = head.headers
  const isOurs =
    condition === undefined || condition === lastModified || (condition === etag && !etag?.startsWith('W/'))
  return isOurs ? parseByteRange(req.headers.range, sizeBytes) : 'whole'
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
