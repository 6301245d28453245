import { join } from 'node:path'
import type { InputEntry, Json } from '../../core/mod.ts'
import type { StoreReader } from '../../store/mod.ts'
import { listenInNamespace, withTempFolder, writeFileAtomic } from '../../sys/mod.ts'
import type { FetchedContent } from '../hermetic/builtin.ts'
import type { StepNetwork } from '../hermetic/run-step.ts'
import type { Download } from './download.ts'
import { RECORDER_ADDRESS, RECORDER_PORT } from './environment.ts'
import { recordedInputs } from './recorded-inputs.ts'
import { type NetworkReport, openRecorder, type RecorderOptions } from './recorder.ts'

/** The network of one step: a recorder, its door in the step's namespace, and its answers as inputs. */
export function openStepNetwork(options: RecorderOptions): StepNetwork {
  const recorder = openRecorder(options)
  return {
    // Made when first asked for: only steps that run a program need it.
    get caFile() {
      return recorder.certificateFile()
    },
    async attach(pid) {
      recorder.attach(await listenInNamespace({ pid, address: RECORDER_ADDRESS, port: RECORDER_PORT }))
    },
    async fetch(url) {
      const found = await recorder.fetch(url)
      return found === undefined ? undefined : contentOf(found, options.store)
    },
    async finish() {
      const report = await recorder.close()
      const inputs = await keepInputs(report.downloads, options)
      return { inputs, details: detailsOf(report), findings: report.findings }
    },
    async close() {
      await recorder.close()
    },
  }
}

async function keepInputs(
  downloads: readonly Download[],
  { keep, spoolParent }: RecorderOptions,
): Promise<readonly InputEntry[]> {
  const { inputs, headers } = recordedInputs(downloads)
  if (headers !== undefined) {
    await withTempFolder(spoolParent, async folder => {
      const path = join(folder, 'headers')
      writeFileAtomic(path, headers)
      await keep([path])
    })
  }
  return inputs
}

function contentOf(download: Download, store: StoreReader): FetchedContent {
  return { reference: download.ref, sizeBytes: download.sizeBytes, chunks: () => store.chunks(download.ref) }
}

function detailsOf(report: NetworkReport): Json {
  const { completeness, downloads, refusals, opaqueTraffic } = report
  return {
    completeness: { state: completeness.state, reasons: [...completeness.reasons] },
    downloads: downloads.map(({ url, upstreamUrl, status, via, upstreamHeaders }) => ({
      url,
      status,
      upstream: upstreamUrl,
      via: via.length === 0 ? undefined : [...via],
      headers: upstreamUrl === undefined ? undefined : { ...upstreamHeaders },
    })),
    refusals: refusals.map(refusal => ({ ...refusal })),
    opaque: opaqueTraffic.map(traffic => ({ ...traffic })),
  }
}
