import {
  AslError,
  compareText,
  decodeJson,
  encodeJson,
  type InputEntry,
  type Json,
  referenceOf,
} from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { type Download, type KnownResponse, type Method, type ResponseKey, responseKey } from './download.ts'

/**
 * Responses as inputs of a step, and back: the deterministic half of a receipt alone is enough to replay them. The
 * names say method, status and URL; the few headers that a step was shown lie in one more input beside them, since an
 * artifact has bytes and nothing else. Behind mirrors no headers are shown, so there is none.
 */

/** Name of the input that holds the headers: like a URL, since it too is found by running the step. */
export const HEADERS_INPUT_NAME = 'recorder://response-headers.json'

export interface RecordedInputs {
  readonly inputs: readonly InputEntry[]
  /** Content of the input {@link HEADERS_INPUT_NAME}, to be put into the store; absent when no header was shown. */
  readonly headers: Buffer | undefined
}

export function recordedInputs(downloads: readonly Download[]): RecordedInputs {
  const inputs: InputEntry[] = downloads.map(({ method, status, url, ref, sizeBytes }) => ({
    name: formatResponseName(method, status, url),
    role: 'download',
    ref,
    size: sizeBytes,
  }))
  const shown = downloads
    .filter(({ headers }) => Object.keys(headers).length > 0)
    .map(({ method, url, headers }) => [responseKey(method, url), headers] as const)
    .sort((a, b) => compareText(a[0], b[0]))
  if (shown.length === 0) return { inputs, headers: undefined }
  const headers = encodeJson(Object.fromEntries(shown))
  const entry: InputEntry = {
    name: HEADERS_INPUT_NAME,
    role: 'download',
    ref: referenceOf(headers),
    size: headers.length,
  }
  return { inputs: [...inputs, entry], headers }
}

/**
 * Responses that a replay serves again, from the inputs of one receipt or several.
 * @throws AslError RECORD_INVALID, STORE_NOT_FOUND
 */
export function knownResponses(
  inputs: readonly InputEntry[],
  store: StoreReader,
): ReadonlyMap<ResponseKey, KnownResponse> {
  const shown = new Map<string, Headers>()
  for (const { name, ref } of inputs) {
    if (name !== HEADERS_INPUT_NAME) continue
    for (const [key, headers] of parseHeaders(decodeJson(store.read(ref)))) shown.set(key, headers)
  }
  const known = new Map<ResponseKey, KnownResponse>()
  for (const { name, role, ref, size = 0 } of inputs) {
    if (role !== 'download' || name === HEADERS_INPUT_NAME) continue
    const { method, status, url } = parseResponseName(name)
    const key = responseKey(method, url)
    known.set(key, { status, headers: shown.get(key) ?? {}, ref, sizeBytes: size })
  }
  return known
}

/** A plain answer to GET is named by its URL; any other says method and status before it. */
function formatResponseName(method: Method, status: number, url: string): string {
  return method === 'GET' && status === 200 ? url : `${method} ${status} ${url}`
}

function parseResponseName(name: string): { method: Method; status: number; url: string } {
  const match = /^(GET|HEAD) (\d{3}) (.+)$/s.exec(name)
  if (match === null) return { method: 'GET', status: 200, url: name }
  return { method: match[1] as Method, status: Number(match[2]), url: match[3] as string }
}

type Headers = Readonly<Record<string, string>>

function parseHeaders(value: Json): (readonly [key: string, Headers])[] {
  return Object.entries(asObject(value)).map(([key, headers]) => {
    const pairs = Object.entries(asObject(headers)).map(([name, text]) => {
      if (typeof text !== 'string') throw invalid(`"${name}" of ${key} is not text`)
      return [name, text] as const
    })
    return [key, Object.fromEntries(pairs)] as const
  })
}

function asObject(value: Json): Readonly<Record<string, Json>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, Json>>
  }
  throw invalid('it is not an object')
}

function invalid(reason: string): AslError {
  return new AslError('RECORD_INVALID', `Input "${HEADERS_INPUT_NAME}": ${reason}`)
}
