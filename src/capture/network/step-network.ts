import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AslError, type InputEntry, type Json, referenceOf } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { listenInNamespace } from '../../sys/mod.ts'
import type { FetchedContent } from '../hermetic/builtin.ts'
import type { NetworkRecord, StepNetwork } from '../hermetic/run-step.ts'
import { type Download, type KnownResponse, type Method, type ResponseKey, responseKey } from './download.ts'
import { RECORDER_ADDRESS, RECORDER_PORT } from './environment.ts'
import { type NetworkReport, openRecorder, type RecorderOptions } from './recorder.ts'

/** The network of one step: a recorder, its door in the step's namespace, and its answers as inputs. */
export function openStepNetwork(options: RecorderOptions): StepNetwork {
  const recorder = openRecorder(options)
  let local: { readonly folder: string; readonly path: string } | undefined
  let finished: NetworkReport | undefined
  return {
    caFile: undefined,
    async attach(pid) {
      recorder.attach(await listenInNamespace({ pid, address: RECORDER_ADDRESS, port: RECORDER_PORT }))
    },
    async fetch(url) {
      if (local === undefined) {
        const folder = mkdtempSync(join(tmpdir(), 'asl-'))
        local = { folder, path: join(folder, 'recorder') }
        // A socket in a folder of our own: the loopback of a machine without network is down.
        recorder.attach(local.path)
      }
      const status = await get(local.path, url)
      await recorder.settle()
      const { downloads, findings } = recorder.report()
      const found = downloads.find(download => download.url === url && download.method === 'GET')
      if (status === 404) return undefined
      if (status !== 200 || found === undefined) throw findings.at(-1) ?? unexpected(url, status)
      return contentOf(found, options.store)
    },
    async finish(): Promise<NetworkRecord> {
      finished = await recorder.close()
      return { inputs: finished.downloads.map(inputOf), details: detailsOf(finished), findings: finished.findings }
    },
    async close() {
      await recorder.close()
      if (local !== undefined) rmSync(local.folder, { recursive: true, force: true })
    },
  }
}

/** Responses that a replay serves again, from the inputs of a receipt. */
export function knownResponses(inputs: readonly InputEntry[]): ReadonlyMap<ResponseKey, KnownResponse> {
  const known = new Map<ResponseKey, KnownResponse>()
  for (const entry of inputs) {
    if (entry.role !== 'download') continue
    const [method, status, url] = parseDownloadName(entry.name)
    known.set(responseKey(method, url), { status, headers: {}, ref: entry.ref, sizeBytes: entry.size ?? 0 })
  }
  return known
}

/** A plain answer to GET is named by its URL; any other says method and status before it. */
function inputOf(download: Download): InputEntry {
  const { method, status, url, ref, sizeBytes } = download
  const name = method === 'GET' && status === 200 ? url : `${method} ${status} ${url}`
  // What a server writes into a refusal is its own affair, and differs from mirror to mirror.
  if (status >= 400) return { name, role: 'download', ref: EMPTY_REF, size: 0 }
  return { name, role: 'download', ref, size: sizeBytes }
}

const EMPTY_REF = referenceOf('')

function parseDownloadName(name: string): [Method, number, string] {
  const match = /^(GET|HEAD) (\d{3}) (.+)$/.exec(name)
  return match === null ? ['GET', 200, name] : [match[1] as Method, Number(match[2]), match[3] as string]
}

function contentOf(download: Download, store: StoreReader): FetchedContent {
  return { reference: download.ref, sizeBytes: download.sizeBytes, chunks: () => store.chunks(download.ref) }
}

function detailsOf(report: NetworkReport): Json {
  return {
    completeness: { state: report.completeness.state, reasons: [...report.completeness.reasons] },
    downloads: report.downloads.map(({ url, upstreamUrl, status }) => ({ url, upstream: upstreamUrl, status })),
    refusals: report.refusals.map(({ method, authority, reason }) => ({ method, authority, reason })),
  }
}

/** Asks the recorder as any program in a sandbox would; the body is drained, it is in the store already. */
function get(socketPath: string, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: url, headers: { host: new URL(url).host } }, response => {
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode ?? 0))
      response.resume()
    })
    sent.on('error', reject)
    sent.end()
  })
}

function unexpected(url: string, status: number): AslError {
  return new AslError('NETWORK_UNREACHABLE', `Cannot fetch ${url}: it was answered with status ${status}`)
}
